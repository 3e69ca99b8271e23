"""The entries of a transcript that the loop writes, and that `agent.history.rebuild` reads.

Types: `user`, `assistant` (a reply as received, before anything in it is run), `call` (before it runs),
`outcome` (after; `ran` tells whether it got past the gate), `system`, `end`.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from agent.demo.request import DemoRequest
from agent.models.base import Message, Model, Reply, ToolCall
from tools.tool import Effect, Outcome

Entry = dict[str, Any]


class Recorder(Protocol):
    """Where entries go: a transcript (`agent.transcript.file`)."""

    def record(self, entry: Entry) -> object:
        """Append one entry durably."""
        ...


def user(text: str, remark: str, by: str, demo: DemoRequest | None = None) -> Entry:
    """Tell what was asked, and the remark that went before it; `by` is `person` or `host`."""
    asked = {"demo": asdict(demo)} if demo is not None else {}
    return {"type": "user", "text": text, "remark": remark, "by": by, **asked}


def assistant(reply: Reply, model: Model) -> Entry:
    """Tell a reply as it was received."""
    return {
        "type": "assistant",
        "content": list(reply.content),
        "stop_reason": reply.stop_reason,
        "model": model.name,
        "driver": model.driver,
        "usage": asdict(reply.usage),
    }


def call(asked: ToolCall, effect: Effect) -> Entry:
    """Tell a call that is about to run."""
    return {
        "type": "call",
        "id": asked.id,
        "tool": asked.name,
        "arguments": dict(asked.arguments),
        "effect": effect.value,
    }


def outcome(came: Outcome, *, ran: bool) -> Entry:
    """Tell what came of a call."""
    return {
        "type": "outcome",
        "id": came.call_id,
        "tool": came.tool,
        "ran": ran,
        "ok": came.ok,
        "text": came.text,
        "data": dict(came.data),
        "evidence": came.evidence,
        "summary": came.summary,
        "seconds": came.seconds,
    }


def system(text: str) -> Entry:
    """Tell a note that was placed."""
    return {"type": "system", "text": text}


def compaction(before: int, messages: Sequence[Message]) -> Entry:
    """Tell that `messages` took the place of all before."""
    return {
        "type": "system",
        "kind": "compaction",
        "text": f"{before} messages were compacted",
        "messages": [{"role": item.role, "content": list(item.content)} for item in messages],
    }


def end(reason: str, detail: str) -> Entry:
    """Tell how a turn ended."""
    return {"type": "end", "reason": reason, "detail": detail}
