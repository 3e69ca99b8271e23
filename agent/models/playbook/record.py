"""What the playbook knows: the history that it is sent, read as requests and results.

The playbook keeps nothing between replies. Everything it says is taken from here.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.demo.request import DemoRequest
from agent.models.base import Block, Message
from agent.remarks import remark

_EVIDENCE = re.compile(r"^\[([A-Z]+\d+)\] ")
_BEFORE, _AFTER = remark("refused", reason="\0").split("\0")
"""What stands around the reason in the result of a call that was refused."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One call and what came of it."""

    tool: str
    arguments: Mapping[str, Any]
    ok: bool
    data: Mapping[str, Any]
    """The result's JSON; empty where it could not be read."""
    evidence: str | None
    text: str

    @property
    def injected(self) -> bool:
        """Whether it put a fault in force, also one whose effect was not seen in time."""
        return self.tool in {"store_kill", "fault_inject"} and (self.ok or "fault" in self.data)

    @property
    def refused(self) -> str:
        """Why the call was not let through; empty if it was."""
        if not self.text.startswith(_BEFORE):
            return ""
        return self.text.removeprefix(_BEFORE).removesuffix(_AFTER)

    @property
    def error(self) -> str:
        """Why it failed, in the tool's own words."""
        return str(self.data.get("error") or self.text)


@dataclass(frozen=True, slots=True)
class Record:
    """The history as the playbook sees it."""

    request: str
    """What the person asked last."""
    since: tuple[Seen, ...]
    """The results since then, in order."""
    seen: tuple[Seen, ...]
    """All results of the session."""
    first: bool = True
    """Whether this will be the session's first reply."""
    demo: DemoRequest | None = None
    """The demo that was asked for, as data."""
    calls: int = 0
    """Calls made so far; the next one's id follows from it."""

    def last(self, *tools: str) -> Seen | None:
        """Return the latest successful result of one of `tools` of the session."""
        for found in reversed(self.seen):
            if found.tool in tools and found.ok:
                return found
        return None

    def tried(self, *tools: str) -> Seen | None:
        """Return the latest result of one of `tools` since the request, successful or not."""
        return next((found for found in reversed(self.since) if found.tool in tools), None)


@dataclass(slots=True)
class _Reading:
    request: str = ""
    since: list[Seen] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    calls: dict[str, Block] = field(default_factory=dict)
    replies: int = 0


def read(messages: Sequence[Message], demo: DemoRequest | None = None) -> Record:
    """Read the history."""
    reading = _Reading()
    for message in messages:
        match message.role:
            case "assistant":
                reading.replies += 1
                reading.calls.update(
                    {block["id"]: block for block in message.content if block.get("type") == "tool_use"}
                )
            case "user":
                _read_user(reading, message.content)
    return Record(
        reading.request,
        tuple(reading.since),
        tuple(reading.seen),
        first=reading.replies == 0,
        demo=demo,
        calls=len(reading.calls),
    )


def _read_user(reading: _Reading, content: Iterable[Block]) -> None:
    results = [block for block in content if block.get("type") == "tool_result"]
    texts = [block["text"] for block in content if block.get("type") == "text"]
    for block in results:
        seen = _seen(block, reading.calls.get(block.get("tool_use_id", "")))
        reading.seen.append(seen)
        reading.since.append(seen)
    if texts and not results:
        reading.request = texts[-1]  # before it may stand a remark of the host's
        reading.since.clear()


def _seen(block: Block, call: Block | None) -> Seen:
    text = _text_of(block.get("content", ""))
    found = _EVIDENCE.match(text)
    return Seen(
        tool=call["name"] if call else "",
        arguments=call["input"] if call else {},
        ok=not block.get("is_error", False),
        data=_object(text[found.end() :] if found else text),
        evidence=found.group(1) if found else None,
        text=text,
    )


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if isinstance(part, dict))


def _object(text: str) -> Mapping[str, Any]:
    """Return the JSON object that `text` begins with; what follows is pasted content."""
    try:
        data, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
