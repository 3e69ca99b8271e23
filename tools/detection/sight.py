"""Nodes that are seen through something which may itself stall, as an API server.

Before anything is held against a node that is seen so, the way there must have answered: one that stalls
makes every node look silent at once, and is told as what it is.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from subjects.base import Nodes, SeenThrough
from tools.events import Emit, Notice
from tools.observe.kinds import Weight, meaning
from tools.observe.signal import Signal, Source

TELL_S = 1.0
"""How often it is looked whether the way is known to have stalled."""

Deliver = Callable[[Signal], object]

_OWN_WORD = frozenset({Source.PROCESS, Source.LOG})
"""What comes by the same way and tells of itself: that it came shows that the way is open."""


class Sight:
    """Passes signals on, in order; what speaks against a node waits until the way to it has answered."""

    def __init__(self, nodes: Nodes, emit: Emit) -> None:
        self._nodes = nodes if isinstance(nodes, SeenThrough) else None
        self._emit = emit
        self._waiting: deque[tuple[Signal, Deliver]] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._lost = False

    def take(self, seen: Signal, deliver: Deliver) -> None:
        """Deliver it: now, once the way has answered, or never where the way does not answer."""
        if self._nodes is None or (not self._waiting and not _doubtful(seen)):
            deliver(seen)
            return
        self._waiting.append((seen, deliver))
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask(self._nodes))

    async def run(self) -> None:
        """Tell when the way to the nodes stalls, and when it answers again, until cancelled."""
        while self._nodes is not None:
            self._tell(self._nodes.stalled)
            await asyncio.sleep(TELL_S)

    async def aclose(self) -> None:
        """Deliver nothing more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self, nodes: SeenThrough) -> None:
        try:
            while self._waiting:
                count = len(self._waiting)
                why = await nodes.in_sight()
                self._tell(why)
                # What came while it was asked waits for the next answer: it may have stalled since.
                for _ in range(count):
                    seen, deliver = self._waiting.popleft()
                    if not why or not _doubtful(seen):
                        deliver(seen)
        finally:
            self._asking = None

    def _tell(self, why: str) -> None:
        if why and not self._lost:
            self._emit(Notice(f"{why}: what is seen through it is not held against nodes.", level="warning"))
        elif self._lost and not why:
            self._emit(Notice("The way to the nodes answers again."))
        self._lost = bool(why)


def _doubtful(seen: Signal) -> bool:
    return seen.source not in _OWN_WORD and meaning(seen.kind).weight is not Weight.ALL_CLEAR
