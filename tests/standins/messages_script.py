"""What the stand-in of the Messages API says: replies, faults, and their events in the API's own form."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Body = Mapping[str, Any]
Block = dict[str, Any]


def text(words: str) -> Block:
    return {"type": "text", "text": words}


def note(words: str) -> Block:
    """A note between tool calls: thinking, displayed as updates."""
    return {"type": "thinking", "thinking": words}


def call(name: str, /, call_id: str | None = None, **arguments: Any) -> Block:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def malformed_call(name: str, raw_input: str) -> Block:
    """A call whose input arrives as the text `raw_input`, which need not be JSON."""
    return {"type": "tool_use", "id": None, "name": name, "input": {}, "_raw": raw_input}


@dataclass(frozen=True)
class Says:
    """A reply. `fault` spoils its delivery."""

    blocks: tuple[Block, ...]
    stop_reason: str
    category: str | None = None
    fault: "Spoiled | None" = None


@dataclass(frozen=True)
class Spoiled:
    """How a reply is spoiled on the way, after so many events or bytes of its body."""

    how: Literal["reset", "cut", "eof", "silence", "pings", "error", "slow"]
    after_events: int | None = None
    after_bytes: int | None = None
    error_type: str = "overloaded_error"
    """For `error`: an event in the stream."""
    pause_s: float = 0.0
    """For `slow`: between single bytes; for `pings`: between those that are all that still comes."""


@dataclass(frozen=True)
class Fails:
    """An error instead of a reply."""

    status: int
    error_type: str
    message: str = "scripted by the stand-in"
    retry_after: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class Hangs:
    """No answer at all, not even headers, until the client leaves; `refuse` closes at once instead."""

    refuse: bool = False


Step = Says | Fails | Hangs
Answer = Callable[[Body], Step]


def says(
    *blocks: Block, stop: str | None = None, category: str | None = None, fault: Spoiled | None = None
) -> Says:
    """A reply; it stops for its calls if it has any."""
    asks = any(block["type"] == "tool_use" for block in blocks)
    return Says(blocks, stop or ("tool_use" if asks else "end_turn"), category, fault)


def fails(status: int, **more: Any) -> Fails:
    kinds = {
        400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
        404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error",
    }  # fmt: skip
    return Fails(status, more.pop("error_type", kinds.get(status, "api_error")), **more)


def spend_cap() -> Fails:
    """The account's budget is spent: a 429 without retry-after, and with this code."""
    return fails(429, message="stopped for today", code="enforced_spend_limit_reached")


@dataclass
class Script:
    """Steps taken one a request; the last one again and again if `endless`."""

    steps: Sequence[Step]
    endless: bool = False
    taken: int = 0

    def __call__(self, body: Body) -> Step:
        if self.taken < len(self.steps):
            self.taken += 1
            return self.steps[self.taken - 1]
        if self.endless:
            return self.steps[-1]
        raise AssertionError(f"the script has {len(self.steps)} steps, and one more request came")


@dataclass
class Signer:
    """Signs thinking and compaction blocks over what came before them, as the service does."""

    counter: int = 0
    known: set[str] = field(default_factory=set)

    def sign(self, body: Body, messages: Sequence[Any], thinking: str) -> str:
        """Thinking in the prefix is left out: the service lets it be dropped from the front."""
        seed = json.dumps(
            [_bare(body.get("system")), _bare(body.get("tools")), _unthought(messages), thinking],
            sort_keys=True,
        )
        return "sig-" + hashlib.sha256(seed.encode()).hexdigest()[:24]

    def fresh_id(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}_{self.counter:04d}"


def events(
    step: Says, body: Body, signer: Signer, usage: Mapping[str, int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a streamed reply, in order."""
    message = {"id": signer.fresh_id("msg"), "type": "message", "role": "assistant", "model": body["model"]}
    ends: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message={**message, **ends, "usage": {**usage, "output_tokens": 1}})
    yield _event("ping")
    spoken = 0
    for index, block in enumerate(step.blocks):
        for kind, data in _block_events(block, body, signer):
            spoken += len(json.dumps(data)) // 8
            yield _event(kind, index=index, **data)
    details = {"type": "refusal", "category": step.category, "explanation": None} if step.category else None
    delta = {"stop_reason": step.stop_reason, "stop_sequence": None, "stop_details": details}
    yield _event("message_delta", delta=delta, usage={"output_tokens": max(1, spoken)})
    yield _event("message_stop")


def _block_events(block: Block, body: Body, signer: Signer) -> Iterator[tuple[str, dict[str, Any]]]:
    match block["type"]:
        case "text":
            yield "content_block_start", {"content_block": {"type": "text", "text": ""}}
            for piece in _pieces(block["text"]):
                yield "content_block_delta", {"delta": {"type": "text_delta", "text": piece}}
        case "thinking":
            shown = block["thinking"] if (body.get("thinking") or {}).get("display") == "updates" else ""
            yield (
                "content_block_start",
                {"content_block": {"type": "thinking", "thinking": "", "signature": ""}},
            )
            for piece in _pieces(shown):
                yield "content_block_delta", {"delta": {"type": "thinking_delta", "thinking": piece}}
            signature = signer.sign(body, body["messages"], shown)
            yield "content_block_delta", {"delta": {"type": "signature_delta", "signature": signature}}
        case "tool_use":
            call_id = block["id"] or signer.fresh_id("toolu")
            empty = {"type": "tool_use", "id": call_id, "name": block["name"], "input": {}}
            yield "content_block_start", {"content_block": empty}
            for piece in _pieces(block.get("_raw", json.dumps(block["input"])), 9):
                yield "content_block_delta", {"delta": {"type": "input_json_delta", "partial_json": piece}}
        case "compaction":
            yield "content_block_start", {"content_block": {"type": "compaction", "content": None,
                                                            "signature": block["signature"]}}  # fmt: skip
            yield "content_block_delta", {"delta": {"type": "compaction_delta", "content": block["content"],
                                                    "encrypted_content": "opaque"}}  # fmt: skip
    yield "content_block_stop", {}


def whole_message(step: Says, body: Body, signer: Signer, usage: Mapping[str, int]) -> dict[str, Any]:
    """The same reply in one piece, for requests without `stream`."""
    message: dict[str, Any] = {}
    raw: dict[int, str] = {}
    for kind, data in events(step, body, signer, usage):
        match kind:
            case "message_start":
                message = data["message"]
            case "content_block_start":
                message["content"].append(dict(data["content_block"]))
            case "content_block_delta":
                block, delta = message["content"][data["index"]], dict(data["delta"])
                what = delta.pop("type")
                if what == "input_json_delta":
                    raw[data["index"]] = raw.get(data["index"], "") + delta["partial_json"]
                elif what in {"text_delta", "thinking_delta"}:
                    ((key, value),) = delta.items()
                    block[key] += value
                else:
                    block.update(delta)
            case "message_delta":
                message.update(data["delta"])
                message["usage"].update(data["usage"])
    for index, piece in raw.items():
        message["content"][index]["input"] = json.loads(piece)
    return message


def _event(kind: str, **data: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, **data}


def _pieces(words: str, size: int = 12) -> list[str]:
    return [words[start : start + size] for start in range(0, len(words), size)]


def _bare(value: Any) -> Any:
    """Without cache markers, which may move."""
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if key != "cache_control"}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value


def _unthought(messages: Sequence[Any]) -> list[Any]:
    kept = []
    for message in messages:
        content = message["content"]
        if isinstance(content, list):
            content = [_bare(block) for block in content if "thinking" not in block.get("type", "")]
        kept.append([message["role"], content])
    return kept


# What a reply may be made from: the results of calls in the history, for scripts that react.


@dataclass(frozen=True)
class Came:
    """One call of the conversation so far, and its result."""

    tool: str
    arguments: Mapping[str, Any]
    text: str
    ok: bool

    @property
    def evidence(self) -> str | None:
        found = re.match(r"\[([A-Z]+\d+)\]", self.text)
        return found[1] if found else None

    @property
    def data(self) -> dict[str, Any]:
        """The JSON at the head of the result; empty if there is none."""
        start = self.text.find("{")
        try:
            value, _end = json.JSONDecoder().raw_decode(self.text[start:]) if start >= 0 else ({}, 0)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def came_of_calls(body: Body) -> list[Came]:
    """Every answered call, oldest first."""
    asked: dict[str, Block] = {}
    came = []
    for message in body["messages"]:
        if isinstance(message["content"], str):
            continue
        for block in message["content"]:
            if block["type"] == "tool_use":
                asked[block["id"]] = block
            elif block["type"] == "tool_result":
                it = asked[block["tool_use_id"]]
                words = block.get("content") or ""
                if isinstance(words, list):
                    words = "".join(part.get("text", "") for part in words)
                came.append(Came(it["name"], it["input"], words, not block.get("is_error")))
    return came


def came_since_question(body: Body) -> list[Came]:
    """The calls answered since the person's (or the host's) newest text."""
    start = 0
    for index, message in enumerate(body["messages"]):
        content = message["content"]
        if message["role"] == "user" and (isinstance(content, str) or content[-1]["type"] == "text"):
            start = index
    return came_of_calls({**body, "messages": body["messages"][start:]})


def last_said(body: Body) -> str:
    """The newest text of the person (or of the host in their place)."""
    for message in reversed(body["messages"]):
        if message["role"] != "user":
            continue
        if isinstance(message["content"], str):
            return str(message["content"])
        words: list[str] = [block["text"] for block in message["content"] if block["type"] == "text"]
        if words:
            return words[-1]
    return ""
