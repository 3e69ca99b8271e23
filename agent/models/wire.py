"""What goes over the wire: a pure function of the history, so that shared prefixes stay equal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.models.base import Block, Message, Request, ToolSpec
from agent.models.catalog import ModelFacts

THINKING = frozenset({"thinking", "redacted_thinking"})
PLAIN = frozenset({"text", "tool_use", "tool_result"})
"""The blocks that every compatible server takes."""

UPDATES_BETA = "thinking-display-updates-2026-08-18"
FALLBACK_BETA = "server-side-fallback-2026-07-01"
COMPACTION_BETA = "compact-2026-09-04"
DEFAULT_OUTPUT = 64_000
"""Thinking counts against it; the API's documentation asks for no less at high effort."""
COMPAT_OUTPUT = 8_192


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to speak to one model at one provider."""

    model: str
    facts: ModelFacts
    compat: bool = False
    """Send only model, max_tokens, system, messages, tools and stream: for other servers."""
    plain: bool = False
    """Send nothing that is a beta or new: the service refused it, for this model or at this provider."""
    first_party: bool = False
    """Anthropic's own API, which lets another model answer where one declines work on faults as `cyber`."""
    cached_for: Literal["5m", "1h"] = "5m"


def body(request: Request, dialect: Dialect, *, unthink_before: int = 0) -> dict[str, Any]:
    """Return the request's arguments. Thinking in messages before index `unthink_before` is left out."""
    facts, compat = dialect.facts, dialect.compat
    room = min(COMPAT_OUTPUT if compat else DEFAULT_OUTPUT, facts.max_output)
    sent: dict[str, Any] = {
        "model": dialect.model,
        "max_tokens": request.max_tokens or room,
        "messages": _compat(request.messages) if compat else _full(request.messages, dialect, unthink_before),
        "stream": True,
    }
    if request.tools:
        sent["tools"] = [_tool(spec) for spec in request.tools]
    if compat:
        return {**sent, "system": request.system} if request.system else sent
    cached = {"type": "ephemeral", **({} if dialect.cached_for == "5m" else {"ttl": dialect.cached_for})}
    if request.system:
        sent["system"] = [{"type": "text", "text": request.system, "cache_control": cached}]
    betas = []
    if not dialect.plain:
        sent["cache_control"] = cached
        sent["output_config"] = {"effort": facts.effort}
        sent["thinking"] = {"type": "adaptive", "display": "updates"}
        betas.append(UPDATES_BETA)
    if request.compact is not None:
        sent["compaction"] = {"type": "summarize", "instructions": request.compact}
    elif dialect.first_party and not dialect.plain:
        sent["fallbacks"] = "default"
        betas.append(FALLBACK_BETA)
    if request.compact is not None or _has(request.messages, {"compaction"}):
        betas.append(COMPACTION_BETA)
    sent["betas"] = betas
    return sent


def has_thinking(messages: Sequence[Message], since: int = 0) -> bool:
    """Return whether any message from index `since` on holds thinking."""
    return _has(messages[since:], THINKING)


def _full(messages: Sequence[Message], dialect: Dialect, unthink_before: int) -> list[dict[str, Any]]:
    system_messages = dialect.facts.system_messages and not dialect.plain
    sent = []
    for index, message in enumerate(messages):
        content: Iterable[Block] = message.content
        if index < unthink_before:
            content = [block for block in content if block.get("type") not in THINKING]
        if dialect.plain or not dialect.first_party:
            content = [block for block in content if block.get("type") != "fallback"]
        role = message.role
        if role == "system" and not system_messages:
            role = "user"
        sent.append({"role": role, "content": list(content)})
    return sent


def _compat(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return plain messages with roles that take turns: not every server merges those that don't."""
    sent: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [_plain(block) for block in message.content if block.get("type") in PLAIN | {"compaction"}]
        if not blocks:
            continue
        if sent and sent[-1]["role"] == role:
            sent[-1]["content"].extend(blocks)
        else:
            sent.append({"role": role, "content": blocks})
    return sent


def _plain(block: Block) -> Block:
    if block["type"] == "compaction":
        return {"type": "text", "text": block.get("content") or "(a summary that this server cannot read)"}
    return block


def _tool(spec: ToolSpec) -> dict[str, Any]:
    return {"name": spec.name, "description": spec.description, "input_schema": dict(spec.schema)}


def _has(messages: Sequence[Message], types: Iterable[str]) -> bool:
    wanted = set(types)
    return any(block.get("type") in wanted for message in messages for block in message.content)
