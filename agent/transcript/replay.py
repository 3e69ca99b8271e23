"""`operator replay`: a recorded session drawn again, at its own pace or faster.

Nothing is run: every event comes from the transcript, on a virtual clock that the pacing follows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.budget import headline
from agent.events import CallEnded, CallStarted, Finished, SessionOpened, Text, ended
from agent.transcript.event_entries import from_entry
from agent.transcript.reading import Entry, Header, read, read_header
from agent.view.words import answerer
from tools.events import Emit, Event, Notice
from tools.tool import Outcome

LONGEST_IDLE_S = 4.0
"""A longer pause (somebody went for coffee, the session went on the next day) is played as this."""

Sleep = Callable[[float], Awaitable[object]]


async def replay(path: Path, emit: Emit, speed: float, sleep: Sleep = asyncio.sleep) -> None:
    """Draw the session `path` through `emit`; the last event is the result.

    `speed` is 1 as recorded, 2 twice as fast, 0 at once; ValueError for a negative one. Raises BadTranscript
    before anything is drawn if `path` is none.
    """
    if speed < 0:
        raise ValueError(f"the speed must not be negative (given: {speed:g}); 0 plays at once")
    header = read_header(path)
    emit(SessionOpened(header.id, header.driver, header.model, header.operator))
    emit(Notice(announcement(header, _cluster(path))))
    result: Mapping[str, Any] = {}
    ended = False
    entries, at = 0, 0.0
    damaged: list[int] = []
    for entry in read(path, damaged.append):
        entries += 1
        gap, at = min(entry.t - at, LONGEST_IDLE_S), entry.t
        if speed > 0 and gap > 0:
            await sleep(gap / speed)
        ended = entry.type == "end" or (ended and entry.type != "user")
        for event in _whole(entry, damaged):
            if isinstance(event, Finished):
                result = event.result
            else:
                emit(event)
    if damaged:
        emit(Notice(f"{damaged_lines(damaged)} left out.", level="warning"))
    if not ended and not result:
        emit(Notice("The recording stops here: the session did not come to its end.", level="warning"))
    emit(Finished(_result(header, entries, result)))


def _whole(entry: Entry, damaged: list[int]) -> list[Event]:
    try:
        return list(drawn(entry))
    except (AttributeError, TypeError, ValueError, OverflowError):
        damaged.append(entry.line)
        return []


def damaged_lines(lines: Sequence[int]) -> str:
    """Say which lines of a transcript are damaged: `1 damaged line (7) was`."""
    shown = ", ".join(map(str, lines[:5])) + (", …" if len(lines) > 5 else "")
    return (
        f"1 damaged line ({shown}) was" if len(lines) == 1 else f"{len(lines)} damaged lines ({shown}) were"
    )


def announcement(header: Header, cluster: str = "") -> str:
    """Say that this is a recording, and of what; `cluster` is its label, if one was looked at."""
    made = datetime.fromtimestamp(header.made, UTC).strftime("%Y-%m-%d %H:%M UTC")
    who = answerer(header.driver, header.model)
    return (
        f"This is a recording: {header.command}, made {made} with operator {header.operator}"
        f"{f' on {cluster}' if cluster else ''}; {who} answered. Nothing is run now."
    )


def _cluster(path: Path) -> str:
    """Return the label of the cluster that the session looked at first; it is chosen after the header."""
    for entry in read(path):
        data = entry.data.get("data") if entry.type == "outcome" else None
        if isinstance(data, dict) and data.get("cluster"):
            return str(data["cluster"])
    return ""


def drawn(entry: Entry) -> Iterator[Event]:
    """Yield what a view draws for one entry."""
    data = entry.data
    match entry.type:
        case "user" if data.get("by", "person") == "person":
            yield Notice(f"> {data.get('text', '')}")
        case "assistant":
            yield from _reply(data)
        case "call":
            yield CallStarted(str(data.get("id")), str(data.get("tool")), dict(data.get("arguments") or {}))
        case "outcome":
            yield _ended(data)
        case "resumed":
            yield Notice("The session was resumed here.")
        case "event":
            event = from_entry(data)
            if event is not None:
                yield event
        case _:
            return


def _reply(data: Mapping[str, Any]) -> Iterator[Event]:
    for block in data.get("content") or ():
        note = block.get("type") == "thinking"
        text = block.get("thinking" if note else "text", "")
        if block.get("type") in {"text", "thinking"} and text.strip():
            yield Text(text, note=note)
            yield Text("", note=note, done=True)


def _ended(data: Mapping[str, Any]) -> CallEnded:
    outcome = Outcome(
        call_id=str(data.get("id")),
        tool=str(data.get("tool")),
        ok=bool(data.get("ok")),
        text=str(data.get("text", "")),
        data=data.get("data") or {},
        evidence=data.get("evidence"),
        seconds=float(data.get("seconds") or 0.0),
        summary=str(data.get("summary") or ""),
    )
    return ended(outcome, headline(outcome))


def _result(header: Header, entries: int, recorded: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "result",
        "ok": True,
        "command": "replay",
        "session": header.id,
        "entries": entries,
        "recorded": dict(recorded) or None,
    }
