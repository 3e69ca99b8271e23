"""Operations on a schedule that waits for nobody: a slow database makes them late, not fewer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from tools.load.workloads import Operation

SENT_BY = 0.75
"""The share of its deadline by which an operation is sent, if at all. One that is sent at the last moment
ends late and has used what the next one needed: then too much load would get nothing done at all."""

Perform = Callable[[Operation, float, float], Awaitable[None]]
"""Does one operation, given when it was due and its deadline; never raises for one that fails."""

Miss = Callable[[Operation], None]
"""Told of an operation that could not be sent in time."""


class OpenLoop:
    """Issues operation n at start + n / rate. Whoever runs it owns its tasks and calls `close`."""

    def __init__(
        self,
        draw: Callable[[], Operation],
        perform: Perform,
        miss: Miss,
        *,
        rate: float,
        deadline_s: float,
        max_in_flight: int,
    ) -> None:
        self._draw = draw
        self._perform = perform
        self._miss = miss
        self._interval = 1 / rate
        self._deadline_s = deadline_s
        self._sent_by_s = deadline_s * SENT_BY
        self._max_in_flight = max_in_flight
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[tuple[Operation, float]] = deque()
        """Due but not sent; bounded, since each leaves when it is too late to be sent."""
        self._pacer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin the schedule now; call again after `pause` to begin a new one."""
        self._pacer = asyncio.create_task(self._pace())
        self._pacer.add_done_callback(surface)

    async def pause(self) -> None:
        """Issue nothing more; return when all that was due has ended, each by its deadline at the latest."""
        await _end(self._pacer)
        while self._tasks or self._waiting:
            if self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self._feed()

    async def close(self) -> None:
        """Drop everything."""
        await _end(self._pacer)
        self._waiting.clear()
        for task in list(self._tasks):
            await _end(task)

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        start, n = loop.time(), 0
        while True:
            now = loop.time()
            while (due := start + n * self._interval) <= now:
                self._waiting.append((self._draw(), due))
                n += 1
            self._feed()
            await asyncio.sleep(due - loop.time())

    def _feed(self) -> None:
        """Send what is due while there is room, and count what can no longer be sent in time."""
        now = asyncio.get_running_loop().time()
        while self._waiting:
            operation, due = self._waiting[0]
            if due + self._sent_by_s <= now:
                self._waiting.popleft()
                self._miss(operation)
            elif len(self._tasks) < self._max_in_flight:
                self._waiting.popleft()
                self._send(operation, due)
            else:
                return

    def _send(self, operation: Operation, due: float) -> None:
        async def one() -> None:
            await self._perform(operation, due, due + self._deadline_s)

        task = asyncio.create_task(one())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        surface(task)
        if not task.cancelled():
            self._feed()


def surface(task: asyncio.Task[None]) -> None:
    """Hand a bug to the event loop's exception handler, so that it is not swallowed with the task."""
    if not task.cancelled():
        task.result()


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is None:
        return
    task.cancel()
    await asyncio.wait([task])
