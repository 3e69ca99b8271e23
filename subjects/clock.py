"""Wall times on which durations can be told: the monotonic clock, with a date.

A wall clock may be set by hours at any moment. What is written down with a date, and later counted from, is
dated here, so that whoever sets the clock changes dates and no duration.
"""

import time

TOLERATED_S = 1.0
"""A smaller difference is a clock that is being kept in step, and not worth a jump."""

_offset = time.time() - time.monotonic()


def wall(at: float | None = None) -> float:
    """Return the seconds since the epoch at monotonic time `at`, by default now."""
    return _offset + (time.monotonic() if at is None else at)


def follow() -> None:
    """Take over the date that the system has now. Only where nothing is open that is counted from."""
    global _offset
    now = time.time() - time.monotonic()
    if abs(now - _offset) > TOLERATED_S:
        _offset = now


def earliest(then: float) -> float:
    """Return the earliest date that a log may give to what happened at `then`: its clock may be set back."""
    return then + min(0.0, time.time() - wall())


def latest(then: float) -> float:
    """Return the latest date that others may give to what happened at `then`: theirs may be set forward."""
    return then + max(0.0, time.time() - wall())
