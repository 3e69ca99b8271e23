"""What waiting for a detection needs: the monitor, and word of what it is waited for."""

from dataclasses import dataclass

from tools.detection.monitor import Monitor
from tools.observe.observed import Observed


@dataclass(frozen=True, slots=True)
class Awaited:
    """What was done that a wait is about, passed on by whoever did it; the monitor learns nothing of it."""

    at: float
    """Monotonic seconds."""
    alarm_due: bool
    """Whether silence would be a failure: not after what is planned, nor after nothing at all."""


@dataclass(kw_only=True)
class Watched(Observed):
    """A cluster with a monitor on it."""

    monitor: Monitor | None = None
    awaited: Awaited | None = None
    """None where nothing was done: then any detection is news."""
