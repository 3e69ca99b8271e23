"""What was seen of one incident, as plain data."""

from dataclasses import dataclass
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

    @property
    def words(self) -> str:
        """What people are told."""
        return "recovery not observed" if self is State.UNWATCHED else self.value


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

    def as_json(self) -> dict[str, Any]:
        """Return it as results and reports have it."""
        seconds = None if self.seconds is None else round(self.seconds, 3)
        return {"who": self.who, "seconds": seconds, "measured": self.measured, "how": self.how}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenIncident:
    """What was seen of one incident, from its first signal to its recovery: nothing of what anybody did."""

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
    recovered: float | None = None
    """Wall time from which all views were clear."""
    signals: tuple[Signal, ...] = ()
    """Its timeline, oldest first."""
    knew: tuple[FirstSeen, ...] = ()
