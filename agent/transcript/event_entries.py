"""Events as entries of a transcript, and back.

Kept is what a replay draws and no other entry holds: text, calls and outcomes have entries of their own.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent.events import Finished, Stage
from agent.transcript.entries import Recorder
from tools.events import Diagnosed, Emit, Event, Failed, Notice, Progress, Table
from tools.observe.signal import Detection, Signal

KEPT: Mapping[str, type[Event]] = {
    kind.__name__: kind
    for kind in (Stage, Progress, Notice, Failed, Signal, Detection, Diagnosed, Table, Finished)
}

_FORMERLY = {"SignalSeen": "Signal", "Detected": "Detection"}
"""What transcripts of before call an event, and what it is called now."""

_ADAPTERS: Mapping[str, TypeAdapter[Event]] = {name: TypeAdapter(kind) for name, kind in KEPT.items()}


def recording(transcript: Recorder, emit: Emit) -> Emit:
    """Return an `emit` that writes down what a replay will draw, and passes everything on."""

    def both(event: Event) -> None:
        entry = to_entry(event)
        if entry is not None:
            transcript.record(entry)
        emit(event)

    return both


def to_entry(event: Event) -> dict[str, Any] | None:
    """Return `event` as an entry of the transcript; None for one that is not kept."""
    name = type(event).__name__
    if name not in KEPT:
        return None
    return {"type": "event", "name": name, "event": asdict(event)}


def from_entry(entry: Mapping[str, Any]) -> Event | None:
    """Return the event of such an entry; None where this version cannot draw it."""
    name = str(entry.get("name"))
    kind = KEPT.get(_FORMERLY.get(name, name))
    if kind is None:
        return None
    try:
        return _ADAPTERS[kind.__name__].validate_python(entry.get("event"))
    except ValidationError:
        return None
