"""A recorded session played through the real loop: the same replies, the same outcomes, in the same order.

Matched are order and shape (tool names, canonical input, ok or error), never prose. A run that goes
another way than the recording raises TapeMismatch with the recording's line, and goes on raising it,
so that no retry and no broad `except` can swallow it; `Tape.assert_all_played` has the last word.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent.demo.request import DemoRequest
from agent.errors import AgentError, BadTranscript
from agent.models.base import (
    Block,
    Message,
    ModelEvent,
    NoteDelta,
    Reply,
    Request,
    TextDelta,
    Usage,
)
from agent.orders import read_demo
from agent.transcript.reading import Entry, Header, read, read_header


class TapeMismatch(AgentError):
    """A recorded session and this run went different ways; the text names the line."""


@dataclass(slots=True)
class TapedCall:
    """One recorded call with its outcome."""

    line: int
    call_id: str
    name: str
    arguments: Mapping[str, Any]
    outcome: Mapping[str, Any]
    played: bool = False

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return bool(self.outcome.get("ok"))


@dataclass(slots=True)
class TapedReply:
    """One recorded reply and the calls that it led to."""

    line: int
    entry: Mapping[str, Any]
    calls: list[TapedCall] = field(default_factory=list)


class Tape:
    """A transcript as a tape: its requests to ask again, its replies and outcomes to answer with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Header = read_header(path)
        self.requests: list[tuple[str, DemoRequest | None]] = []
        """What the person asked, in order, and the demo that it asked for."""
        self.replies: list[TapedReply] = []
        self._next_reply = 0
        self._mismatch: TapeMismatch | None = None
        self._load(list(read(path)))

    def _load(self, entries: Sequence[Entry]) -> None:
        outcomes = {entry.data["id"]: entry.data for entry in entries if entry.type == "outcome"}
        for entry in entries:
            match entry.type:
                case "user" if entry.data.get("by", "person") == "person":
                    demo = entry.data.get("demo")
                    self.requests.append(
                        (entry.data["text"], DemoRequest(**demo) if demo else read_demo(entry.data["text"]))
                    )
                case "assistant":
                    if entry.data.get("stop_reason") == "interrupted":
                        raise BadTranscript(f"{self.path}, line {entry.line}: interrupted, so no tape.")
                    self.replies.append(TapedReply(entry.line, entry.data))
                case "call" if self.replies:
                    self._load_call(entry, outcomes)

    def _load_call(self, entry: Entry, outcomes: Mapping[str, Mapping[str, Any]]) -> None:
        call_id = entry.data["id"]
        if call_id not in outcomes:
            raise BadTranscript(f"{self.path}, line {entry.line}: this call has no outcome, so no tape.")
        taped = TapedCall(entry.line, call_id, entry.data["tool"], entry.data["arguments"], outcomes[call_id])
        self.replies[-1].calls.append(taped)

    def next_reply(self) -> TapedReply:
        """Return the next recorded reply; TapeMismatch when there is none."""
        self.check()
        if self._next_reply == len(self.replies):
            raise self.mismatch(self.last_line, "the recording ends here, the run goes on")
        reply = self.replies[self._next_reply]
        self._next_reply += 1
        return reply

    def before(self, reply: TapedReply) -> TapedReply | None:
        """Return the reply before `reply`."""
        place = self.replies.index(reply)
        return self.replies[place - 1] if place else None

    @property
    def last_line(self) -> int:
        """The line of the last reply."""
        return self.replies[-1].line if self.replies else 1

    def next_calls(self) -> list[TapedCall]:
        """Return what is left to play of the first round that is not played yet: the order within is free."""
        self.check()
        for reply in self.replies:
            left = [call for call in reply.calls if not call.played]
            if left:
                return left
        return []

    def mismatch(self, line: int, why: str) -> TapeMismatch:
        """Return the mismatch to raise; every later use of the tape raises it again."""
        self._mismatch = TapeMismatch(f"{self.path.name}, line {line}: {why}")
        return self._mismatch

    def check(self) -> None:
        """Raise the mismatch that was found before, if one was."""
        if self._mismatch is not None:
            raise self._mismatch

    def assert_all_played(self, *, replies: bool = True) -> None:
        """Raise TapeMismatch unless everything recorded was played and nothing went another way.

        `replies=False` is for a run in which another driver answered and only the calls were played.
        """
        self.check()
        for call in self.next_calls():
            raise self.mismatch(call.line, f"{call.name} was recorded, but the run did not call it")
        if replies and self._next_reply < len(self.replies):
            raise self.mismatch(
                self.replies[self._next_reply].line, "this reply was recorded, but never asked for"
            )


class TapeModel:
    """Answers with the recorded replies."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    @property
    def driver(self) -> Literal["tape"]:
        """It is a tape."""
        return "tape"

    @property
    def name(self) -> str | None:
        """There is no model now, whoever answered when it was recorded."""
        return None

    @property
    def compaction(self) -> Literal["model"]:
        """A summary is one more recorded reply."""
        return "model"

    async def respond(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Answer as recorded; TapeMismatch where the results before are of another shape than recorded."""
        reply = self._tape.next_reply()
        previous = self._tape.before(reply)
        if previous is not None and previous.calls:
            self._compare_results(previous, request.messages)
        content: tuple[Block, ...] = tuple(reply.entry["content"])
        for block in content:
            if block.get("type") == "text":
                yield TextDelta(block["text"], done=True)
            elif block.get("type") == "thinking" and block.get("thinking"):
                yield NoteDelta(block["thinking"], done=True)
        yield Reply(content, reply.entry.get("stop_reason", "end_turn"), _usage(reply.entry))

    def _compare_results(self, previous: TapedReply, messages: Sequence[Message]) -> None:
        given = {
            block["tool_use_id"]: not block.get("is_error", False)
            for message in messages
            for block in message.content
            if block.get("type") == "tool_result"
        }
        for call in previous.calls:
            if given.get(call.call_id) is not call.ok:
                raise self._tape.mismatch(
                    call.line, f"{call.name} was recorded as {'ok' if call.ok else 'an error'}; now it isn't"
                )

    async def aclose(self) -> None:
        """There is nothing to close."""


def _usage(entry: Mapping[str, Any]) -> Usage:
    recorded = entry.get("usage") or {}
    return Usage(**{name: recorded.get(name, 0) for name in Usage.__dataclass_fields__})
