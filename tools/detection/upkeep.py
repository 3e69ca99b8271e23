"""Upkeep that a node tells of itself: while it lasts the node answers nothing, and that is no incident.

A member of etcd that is being defragmented serves nobody for as long as that takes, says so in its metrics
and still answers what it knows without its data.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from subjects.base import Subject
from subjects.errors import SubjectError
from tools.events import Emit, Notice
from tools.observe.kinds import signal
from tools.observe.signal import CLIENT_PORT, Signal
from tools.tasks import TaskPerNode

EACH_S = 0.25
"""How often a node is asked whether it goes on; as often as it is asked for its health."""
BOUND_S = 0.5
PATIENCE = 4
"""So many questions in a row without an answer, and it is not known any more."""
TAIL_S = 0.5
"""A question from before its end is answered by then."""
MOST_S = 300.0
"""What lasts longer is no upkeep any more: 8 GB, the most that etcd advises, take a minute or two."""
EXCUSED = frozenset({"silent", "unhealthy", "lagging", "stalled"})


@runtime_checkable
class TellsOfUpkeep(Protocol):
    """A subject whose nodes say themselves that they are put through something and serve nobody meanwhile."""

    async def upkeep(self, node: str) -> str | None:
        """Return what is being done to the node, to complete "NODE …"; None where it says nothing of it."""
        ...


class Upkeep:
    """Asks nodes that fall silent, and follows what they say until it is over."""

    def __init__(self, subject: Subject, take: Callable[[Signal], object], emit: Emit) -> None:
        self._subject = subject
        self._take = take
        self._emit = emit
        self._under: set[str] = set()
        self._asking = TaskPerNode()

    def ask(self, node: str) -> None:
        """Ask a node, which does not answer for its health, whether it says why."""
        self._asking.start(node, lambda: self._follow(node))

    def excuses(self, seen: Signal) -> bool:
        """Whether `seen` is what the node's upkeep leads to. That its port answers nothing at all is not."""
        return seen.node in self._under and seen.kind in EXCUSED and seen.via != CLIENT_PORT

    async def aclose(self) -> None:
        """Ask no more."""
        await self._asking.aclose()

    async def _follow(self, node: str) -> None:
        began = time.monotonic()
        what, unanswered = "", 0
        try:
            while unanswered < PATIENCE and time.monotonic() - began < MOST_S:
                try:
                    what, unanswered = await self._said(node), 0
                except (SubjectError, TimeoutError):
                    unanswered += 1  # a busy machine's delay is no word that it is over
                    continue
                if not what:
                    break
                if node not in self._under:
                    self._under.add(node)
                    self._take(signal("defragmenting", node, what))
                    self._emit(Notice(f"{node} {what}: it serves nobody until that is over."))
                await asyncio.sleep(EACH_S)
            if node in self._under:
                took_s = time.monotonic() - began
                if unanswered:
                    ended = f"{node} no longer says whether it {what}, after {took_s:.1f} s."
                elif what:
                    ended = f"{node} says that it still {what}, after {took_s:.1f} s: its silence counts now."
                else:
                    ended = f"{node} is done after {took_s:.1f} s."
                self._emit(Notice(ended))
                await asyncio.sleep(TAIL_S)
        finally:
            self._under.discard(node)

    async def _said(self, node: str) -> str:
        if not isinstance(self._subject, TellsOfUpkeep) or node not in self._subject.nodes:
            return ""
        async with asyncio.timeout(BOUND_S):
            return await self._subject.upkeep(node) or ""
