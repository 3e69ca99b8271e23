"""The rules by which the Messages API refuses a request (400), as far as they can be checked without it.

From the API's documentation and users' reports, Aug to Nov 2026. Strict on purpose: a history that
passes here was never refused for its form by the real service.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.standins.messages_script import Signer

MODELS = {"claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-2", "claude-fable-5-1"}
SYSTEM_ROLE_MODELS = MODELS - {"claude-haiku-5-5"}
COMPAT_PARAMETERS = {"model", "max_tokens", "system", "messages", "tools", "stream"}
PARAMETERS = COMPAT_PARAMETERS | {
    "tool_choice", "thinking", "cache_control", "output_config", "metadata", "stop_sequences", "compaction",
    "context_management", "service_tier", "diagnostics", "fallbacks",
}  # fmt: skip
BLOCKS = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use", "compaction", "fallback"},
    "system": {"text"},
}


class Refused(Exception):
    """The request breaks a rule."""

    def __init__(self, message: str, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Server:
    """What kind of server it is."""

    compat: bool = False
    """An imitation by somebody else: only the basic parameters and blocks, any model."""
    context_limit: int = 1_000_000


def check(body: Mapping[str, Any], betas: set[str], signer: Signer, server: Server) -> None:
    """Raise Refused if the request breaks a rule."""
    _parameters(body, betas, server)
    _tools(body)
    messages = [_listed(message) for message in body["messages"]]
    _shapes(messages, body, server)
    _system_places(messages, body)
    _rounds(messages)
    _ending(messages, body)
    if not server.compat:
        _bound_blocks(messages, body, betas, signer)
    _cache_markers(body)
    size = tokens(body)
    if size > server.context_limit:
        raise Refused(f"prompt is too long: {size} tokens > {server.context_limit} maximum")


def tokens(value: Any) -> int:
    """A rough count: four characters a token."""
    return len(str(value)) // 4


def _parameters(body: Mapping[str, Any], betas: set[str], server: Server) -> None:
    allowed = COMPAT_PARAMETERS if server.compat else PARAMETERS
    for name in body:
        if name in {"temperature", "top_p", "top_k"}:
            raise Refused(f"{name}: not supported by this model")
        if name not in allowed:
            raise Refused(f"{name}: Extra inputs are not permitted")
    if not server.compat and body.get("model") not in MODELS:
        raise Refused(f"model: {body.get('model')}", status=404)
    if not 0 < body.get("max_tokens", 0) <= 128_000:
        raise Refused("max_tokens: must be between 1 and 128000")
    if not body.get("messages"):
        raise Refused("messages: at least one message is required")
    if (body.get("tool_choice") or {}).get("type", "auto") not in {"auto", "none"}:
        raise Refused("tool_choice: forced tool use is not supported with thinking")
    thinking = body.get("thinking")
    if thinking is not None:
        if thinking.get("type") != "adaptive":
            raise Refused(f"thinking.type: {thinking.get('type')} is not supported by this model")
        if thinking.get("display", "omitted") not in {"omitted", "summarized", "updates"}:
            raise Refused("thinking.display: unknown")
        if thinking.get("display") == "updates" and "thinking-display-updates-2026-08-18" not in betas:
            raise Refused("thinking.display: updates requires a beta header")
    if (body.get("output_config") or {}).get("effort", "low") not in {
        "low",
        "medium",
        "high",
        "xhigh",
        "max",
    }:
        raise Refused("output_config.effort: unknown")
    if "fallbacks" in body and "server-side-fallback-2026-07-01" not in betas:
        raise Refused("fallbacks: Extra inputs are not permitted")
    if "compaction" in body:
        if "compact-2026-09-04" not in betas:
            raise Refused("compaction: Extra inputs are not permitted")
        if "context_management" in body or "stop_sequences" in body:
            raise Refused("compaction: cannot be combined with context_management or stop_sequences")


def _tools(body: Mapping[str, Any]) -> None:
    names = [tool.get("name", "") for tool in body.get("tools", ())]
    for name in names:
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
            raise Refused(f"tools: bad name {name!r}")
    if len(set(names)) < len(names):
        raise Refused("tools: names must be unique", code="tool_name_conflict")
    for tool in body.get("tools", ()):
        if tool.get("input_schema", {}).get("type") != "object":
            raise Refused(f"tools.{tool['name']}.input_schema.type: must be object")


def _listed(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    return {"role": message.get("role"), "content": content}


def _shapes(messages: Sequence[Mapping[str, Any]], body: Mapping[str, Any], server: Server) -> None:
    for index, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role not in BLOCKS or (server.compat and role == "system"):
            raise Refused(f"messages.{index}.role: {role!r} is not allowed")
        final_assistant = role == "assistant" and index == len(messages) - 1
        if not content and not final_assistant:
            raise Refused(
                f"messages.{index}: all messages must have non-empty content except the final assistant"
            )
        for block in content:
            if block.get("type") not in BLOCKS[role]:
                raise Refused(f"messages.{index}: {block.get('type')} is not allowed in {role} messages")
            if server.compat and block["type"] not in {"text", "tool_use", "tool_result"}:
                raise Refused(f"messages.{index}: unknown block {block['type']}")
            if block["type"] == "text" and not block["text"].strip():
                raise Refused(f"messages.{index}: text content blocks must contain non-whitespace text")
            if block["type"] == "tool_use" and not re.fullmatch("[a-zA-Z0-9_-]+", block.get("id", "")):
                raise Refused(f"messages.{index}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
            if block["type"] == "tool_use" and not isinstance(block.get("input"), dict):
                raise Refused(f"messages.{index}: tool_use.input: must be an object")
            extra = set(block) - _fields(block["type"])
            if extra:
                raise Refused(
                    f"messages.{index}.{block['type']}.{sorted(extra)[0]}: Extra inputs are not permitted"
                )
    first = messages[0]
    compacted = first["content"] and first["content"][0]["type"] == "compaction"
    if first["role"] != "user" and not compacted:
        raise Refused("messages.0: the first message must be from the user")


def _fields(kind: str) -> set[str]:
    known: dict[str, set[str]] = {
        "text": {"text", "citations"},
        "thinking": {"thinking", "signature"},
        "redacted_thinking": {"data"},
        "tool_use": {"id", "name", "input", "caller"},
        "tool_result": {"tool_use_id", "content", "is_error"},
        "fallback": {"from", "to", "trigger"},
        "compaction": {"content", "encrypted_content", "signature", "tool_changes"},
    }
    return {"type", "cache_control"} | known.get(kind, set())


def _system_places(messages: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> None:
    for index, message in enumerate(messages):
        if message["role"] != "system":
            continue
        if body["model"] not in SYSTEM_ROLE_MODELS:
            raise Refused(f"messages.{index}: role system is not supported by this model")
        after = messages[index + 1]["role"] if index + 1 < len(messages) else "assistant"
        if index == 0 or messages[index - 1]["role"] != "user" or after != "assistant":
            raise Refused(
                f"messages.{index}: role system must follow a user turn and precede an assistant turn"
            )


def _merged(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    merged: list[dict[str, Any]] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1]["content"] = [*merged[-1]["content"], *message["content"]]
        else:
            merged.append(dict(message))
    return merged


def _rounds(messages: Sequence[Mapping[str, Any]]) -> None:
    """Each round of calls is answered at once, wholly, and before any other word."""
    seen: set[str] = set()
    merged = _merged(messages)
    for index, message in enumerate(merged):
        before = merged[index - 1]["content"] if index else []
        asked = {block["id"] for block in before if block["type"] == "tool_use"}
        answers = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        if asked - set(answers):
            missing = sorted(asked - set(answers))
            raise Refused(
                f"`tool_use` ids were found without `tool_result` blocks immediately after: {missing}"
            )
        if set(answers) - asked:
            raise Refused(
                f"unexpected `tool_use_id` found in `tool_result` blocks: {sorted(set(answers) - asked)}"
            )
        if len(set(answers)) < len(answers):
            raise Refused("each tool_use must have a single result")
        kinds = [block["type"] == "tool_result" for block in message["content"]]
        if answers and not all(kinds[: len(answers)]):
            raise Refused(
                "`tool_use` ids were found without `tool_result` blocks immediately after: text came first"
            )
        for block in message["content"]:
            if block["type"] == "tool_use":
                if block["id"] in seen:
                    raise Refused("`tool_use` ids must be unique")
                seen.add(block["id"])


def _ending(messages: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> None:
    last = messages[-1]
    pending = any(block["type"] == "tool_use" for block in last["content"])
    if "compaction" in body:
        if last["role"] == "assistant" and pending:
            raise Refused("compaction: there are pending tool calls", code="compaction_incomplete_turn")
        return
    if last["role"] == "assistant":
        raise Refused(
            "This model does not support assistant message prefill: the last message must be the user's."
        )


def _bound_blocks(
    messages: Sequence[Mapping[str, Any]], body: Mapping[str, Any], betas: set[str], signer: Signer
) -> None:
    for index, message in enumerate(messages):
        for place, block in enumerate(message["content"]):
            if block["type"] == "thinking":
                expected = signer.sign(body, body["messages"][:index], block.get("thinking", ""))
                if block.get("signature") != expected:
                    raise Refused(
                        f"messages.{index}.content.{place}: Invalid `signature` in `thinking` block: "
                        "bound to a different conversation"
                    )
            if block["type"] == "compaction":
                if (index, place) != (0, 0):
                    raise Refused("compaction blocks must come first", code="compaction_block_misplaced")
                if "compact-2026-09-04" not in betas:
                    raise Refused("compaction: requires a beta header")
                if block.get("signature") not in signer.known:
                    raise Refused("compaction: invalid signature", code="compaction_signature_invalid")


def _cache_markers(body: Mapping[str, Any]) -> None:
    if sum(1 for _ in _markers(body)) > 4:
        raise Refused("A maximum of 4 blocks with cache_control may be provided")


def _markers(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        if value.get("cache_control"):
            yield value["cache_control"]
        for item in value.values():
            yield from _markers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _markers(item)
