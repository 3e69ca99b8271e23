"""When the next frame is drawn: soon, but seldom enough to cost little."""

import asyncio
from collections.abc import Callable

FRAME_S = 1 / 12
"""The least time between two frames."""

SHARE = 10
"""No frame sooner than this many times what the last one cost: a slow machine spends a tenth of a core."""


class Pace:
    """Calls `draw` when a frame is due; it owns the one timer that there is."""

    def __init__(self, draw: Callable[[], None], clock: Callable[[], float]) -> None:
        self._draw = draw
        self._clock = clock
        self._due = clock()
        self._timer: asyncio.TimerHandle | None = None

    def soon(self, delay_s: float = 0.0) -> None:
        """Draw now if a frame is due and no delay is asked for, else as soon as both have passed."""
        if self._timer is not None and self._clock() < self._due:
            return
        wait = max(delay_s, self._due - self._clock())
        if wait <= 0:
            self.now()
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # drawn without a loop (a test, a report): the next event draws
            return
        self.stop()
        self._timer = loop.call_later(wait, self.now)

    def now(self) -> None:
        """Draw."""
        self.stop()
        began = self._clock()
        self._draw()
        ended = self._clock()
        self._due = ended + max(FRAME_S, SHARE * (ended - began))

    def stop(self) -> None:
        """Forget the frame that was to come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
