"""Events as entries of a transcript, and back.

Kept is what a replay draws and no other entry holds: text, calls and outcomes have entries of their own.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent.events import Stage
from tools.events import Detected, Diagnosed, Event, Failed, Notice, Progress, SignalSeen, Table

KEPT: Mapping[str, type[Event]] = {
    kind.__name__: kind for kind in (Stage, Progress, Notice, Failed, SignalSeen, Detected, Diagnosed, Table)
}


_ADAPTERS: Mapping[str, TypeAdapter[Event]] = {name: TypeAdapter(kind) for name, kind in KEPT.items()}


def to_entry(event: Event) -> dict[str, Any] | None:
    """Return `event` as an entry of the transcript; None for one that is not kept."""
    name = type(event).__name__
    if name not in KEPT:
        return None
    return {"type": "event", "name": name, "event": asdict(event)}


def from_entry(entry: Mapping[str, Any]) -> Event | None:
    """Return the event of such an entry; None where this version cannot draw it."""
    kind = KEPT.get(str(entry.get("name")))
    if kind is None:
        return None
    try:
        return _ADAPTERS[kind.__name__].validate_python(entry.get("event"))
    except ValidationError:
        return None
