"""The detections that were made, and those who wait for the next one."""

import asyncio
from collections import deque
from collections.abc import Iterator

from tools.detection.signals import Detection

KEPT = 200
"""Detections that are kept: a watch of days must not grow."""


class Detections:
    """Detections, oldest first."""

    def __init__(self) -> None:
        self._kept: deque[Detection] = deque(maxlen=KEPT)
        self._news = asyncio.Condition()
        self._waking: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Detection]:
        return iter(tuple(self._kept))

    def add(self, detection: Detection) -> None:
        """Keep a detection and wake those who wait."""
        self._kept.append(detection)
        task = asyncio.get_running_loop().create_task(self._wake())
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)

    async def wait(self, after: float, timeout_s: float) -> Detection | None:
        """Return the first detection made at or after monotonic `after`, be it made already; else None."""
        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(lambda: self._first(after) is not None)
        except TimeoutError:
            return None
        return self._first(after)

    async def aclose(self) -> None:
        """Let those who are being woken wake."""
        await asyncio.gather(*self._waking, return_exceptions=True)

    def _first(self, after: float) -> Detection | None:
        return next((made for made in self._kept if made.at >= after), None)

    async def _wake(self) -> None:
        async with self._news:
            self._news.notify_all()
