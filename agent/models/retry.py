"""What to do when a request fails: which failures pass with time, and how long to wait for them.

Overload at the service has lasted up to a quarter of an hour; a tool that gives up after three tries
loses the person's work. So we wait for minutes, and every wait is seen and can be stopped.
"""

import asyncio
import email.utils
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agent.errors import ModelRefused, ModelUnavailable

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
"""Of our own choice; a server's Retry-After may be longer."""
MALFORMED_TRIES = 3
"""The service sends whole replies; one that is broken three times is not broken by chance."""
STALLED_TRIES = 2
"""Pings or comments alone, for minutes: each try takes as long again."""
NONSENSE_S = 31 * 86_400.0
"""A Retry-After of more than a month is ignored."""


@dataclass(frozen=True, slots=True)
class TransientFailure:
    """A failure that may pass by itself."""

    reason: str
    retry_after_s: float | None = None
    """What the server asks us to wait."""
    tries: int | None = None
    """The most tries that make sense; None is as many as patience allows."""
    passes: bool = True
    """Whether trying later may help; what a server always does wrong stays."""


@dataclass(slots=True)
class Patience:
    """How long one reply may be tried for. Clock and sleep are given, so that tests need not wait."""

    total_s: float = 900.0
    """Fourteen minutes is the longest overload that users of such tools reported."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    spread: Callable[[], float] = field(default=lambda: random.uniform(0.8, 1.2))  # noqa: S311 - no secret


class Tries:
    """The tries for one reply."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began = patience.clock()
        self._failed = 0

    def next_wait(self, failure: TransientFailure) -> float:
        """Return the seconds to wait before the next try.

        ModelUnavailable when patience is out, ModelRefused for what time does not mend.
        """
        self._failed += 1
        left = self._patience.total_s - (self._patience.clock() - self._began)
        wait = failure.retry_after_s
        if wait is None or wait < FIRST_WAIT_S:  # "now", said again and again, would never let it rest
            growing = min(FIRST_WAIT_S * 2 ** (self._failed - 1), LONGEST_WAIT_S)
            wait = growing * self._patience.spread()
        if wait > left or self._failed == failure.tries:
            tried = f"tried {self._failed} times" if self._failed > 1 else "tried once"
            if not failure.passes:
                raise ModelRefused(f"{failure.reason} ({tried}).")
            asked = f", and it asks to wait {wait:.0f} s" if wait == failure.retry_after_s else ""
            raise ModelUnavailable(f"{failure.reason} ({tried}{asked}). Try again later.")
        return wait


def retry_after(headers: dict[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that `retry-after-ms` or `retry-after` (seconds or a date) asks for, if any."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif (given := headers.get("retry-after", "")).replace(".", "", 1).isdigit():
            seconds = float(given)
        else:
            seconds = email.utils.parsedate_to_datetime(given).timestamp() - now()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if seconds < NONSENSE_S else None  # NaN is less than nothing
