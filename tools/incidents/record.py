"""What is known of one incident, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tools.observe.signal import Signal


class State(StrEnum):
    """How far an incident has come."""

    OPEN = "open"
    RECOVERED = "recovered"
    """Every view of every node in it was clear again, for the hold."""
    UNWATCHED = "unwatched"
    """The watch ended; a recovery was not observed."""


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """When one of those who could know, knew."""

    who: str
    """`kernel`, `connection`, `node itself`, `peers`, `control plane`, `client`, or an alert rule's name."""
    seconds: float | None
    """After the incident's first signal. Of an alert rule: what it takes by its own definition."""
    wall: float | None
    """Seconds since the epoch; None where nothing was measured (alert rules)."""
    how: str
    """The observation, or the source of an alert rule's time."""
    measured: bool = True


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident, from its first signal to its recovery."""

    id: str
    cluster: str
    state: State
    opened: float
    """Wall time of the first signal."""
    text: str
    nodes: tuple[str, ...]
    invariants: tuple[str, ...]
    reopened: int = 0
    """How often it came back by itself within a minute of a recovery (flapping)."""
    healed: float | None = None
    heal_text: str = ""
    recovered: float | None = None
    """Wall time from which all views were clear."""
    diagnosis: Mapping[str, Any] | None = None
    """As a `result` tells it."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What reports draw: load before, during and after, prediction and outcome, per-second windows."""
    signals: tuple[Signal, ...] = ()
    """Its timeline: what was seen, concluded and done, oldest first."""
    knew: tuple[FirstSeen, ...] = ()


def utc(wall: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
