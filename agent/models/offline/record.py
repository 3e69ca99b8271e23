"""The history that offline mode is sent, read as requests and results: all it says is taken from here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.demo.request import DemoRequest
from agent.models.base import Block, Message
from prompts import remark
from subjects.untrusted import read_leading_object

_EVIDENCE = re.compile(r"^\[([A-Z]+\d+)\] ")
_BEFORE, _AFTER = remark("refused", reason="\0").split("\0")
"""What stands around the reason in the result of a call that was refused."""
INJECTS, HEALS = ("store_kill", "fault_inject"), ("store_restart", "fault_heal")


@dataclass(frozen=True, slots=True)
class Step:
    """One reply: words, and one call or the end of the turn."""

    say: str
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


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
        return self.tool in INJECTS and (self.ok or "fault" in self.data)

    @property
    def refused(self) -> str:
        """Why the call was not allowed; empty if it was."""
        if not self.text.startswith(_BEFORE):
            return ""
        return self.text.removeprefix(_BEFORE).removesuffix(_AFTER).removesuffix(". It did nothing.")

    @property
    def declined(self) -> bool:
        """Whether it was refused for good: the person said no to it, or stopped the demo."""
        return self.text.startswith(_BEFORE) and self.text.endswith(_AFTER)

    @property
    def error(self) -> str:
        """Why it failed, in the tool's own words."""
        return str(self.data.get("error") or self.text)


@dataclass(slots=True)
class Record:
    """The history as offline mode reads it."""

    demo: DemoRequest | None = None
    """The demo that is asked for, as data."""
    request: str = ""
    """What the person asked last."""
    since: list[Seen] = field(default_factory=list)
    """The results since then, in order."""
    seen: list[Seen] = field(default_factory=list)
    """All results of the session."""
    first: bool = True
    """Whether this will be the session's first reply."""
    calls: int = 0
    """Calls made so far; the next one's id follows from it."""

    def tried(self, *tools: str) -> Seen | None:
        """Return the latest result of one of `tools` since the request, successful or not."""
        return next((found for found in reversed(self.since) if found.tool in tools), None)

    @property
    def broken(self) -> Seen | None:
        """What was injected in this session last."""
        return next((seen for seen in reversed(self.seen) if seen.injected), None)

    @property
    def incident(self) -> str:
        """The incident that is talked of: the last one of this session, else the last that is known."""
        for seen in reversed(self.seen):
            if seen.injected:
                break
            named = seen.data.get("incident")
            if seen.tool in ("wait_for_detection", "diagnose") and seen.ok and isinstance(named, str):
                return named
        return "last"


def read(messages: Sequence[Message], demo: DemoRequest | None = None) -> Record:
    """Read the history."""
    record, asked = Record(demo), dict[str, Block]()
    for message in messages:
        if message.role == "assistant":
            record.first = False
            asked |= {block["id"]: block for block in message.content if block.get("type") == "tool_use"}
        elif message.role == "user":
            results = [block for block in message.content if block.get("type") == "tool_result"]
            texts = [block["text"] for block in message.content if block.get("type") == "text"]
            for block in results:
                seen = _seen(block, asked.get(block.get("tool_use_id", "")))
                record.seen.append(seen)
                record.since.append(seen)
            if texts and not results:
                record.request = texts[-1]  # before it may stand a remark of the host's
                record.since.clear()
    record.calls = len(asked)
    return record


def _seen(block: Block, call: Block | None) -> Seen:
    content = block.get("content", "")
    if not isinstance(content, str):
        content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
    found = _EVIDENCE.match(content)
    return Seen(
        tool=call["name"] if call else "",
        arguments=call["input"] if call else {},
        ok=not block.get("is_error", False),
        data=read_leading_object(content[found.end() :] if found else content)[0],
        evidence=found.group(1) if found else None,
        text=content,
    )
