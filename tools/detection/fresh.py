"""Fresh connections: what those that are held can't see, a node that no longer lets new clients in.

A held connection outlives much that keeps a new one from being made: lost packets at its beginning, a
full backlog, a firewall that lets through what is established. So now and then each node is asked over a
connection of its own, beside the held one to the same port, and the two answers are compared: a machine
that is busy is late with both, and only a fault of the way in lets the one answer and the other not.
Before a node is blamed for silence, another one is asked in the same way at the same time.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from tools.detection.timer_wheel import Wheel
from tools.observe.kinds import signal
from tools.observe.signal import Signal
from tools.observe.targets import (
    DENIED,
    LOST,
    NO_ANSWER,
    NO_CONNECTION,
    UNTRUSTED,
    ProbeTarget,
    probe_new_connection,
)
from tools.tasks import TaskPerNode

VIA = "new connections"
"""The line of what is seen here: what holds on the held connection to the same port does not clear it."""

EACH_S = 1.0
"""How often each node is asked over a fresh connection."""

EACH_TLS_S = 5.0
"""The same where that takes a TLS handshake, which costs ten times as much."""

MOST_PER_S = 20.0
"""Fresh connections in all: of many nodes each gets its turn more seldom."""

BURST = 4
"""Tries after one that failed, all at once: of connections half of which are lost, all four pass 1 in 16."""

MEANWHILE_PERIODS = 2.5
"""In so many periods the held connection is asked LOST times at the least."""

CLEAN_BURSTS = 3
"""So many bursts in a row without a loss end it: twelve connections, of which half would be lost, all pass
1 in 4,096."""


class FreshConnections:
    """Asks one node after another over a fresh connection."""

    def __init__(self, wheel: Wheel, take: Callable[[Signal], object]) -> None:
        self._wheel = wheel
        self._take = take
        self._turn = self._compared_with = 0
        self._lossy: dict[str, int] = {}
        """Nodes that lose connections → clean bursts since."""
        self._denied: set[str] = set()
        """Nodes that let us in no more, which is told once."""
        self._asking = TaskPerNode()

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            lines = self._wheel.innermost
            if lines:
                self._turn = (self._turn + 1) % len(lines)
                line = lines[self._turn]
                self._asking.start(line.node, partial(self._look, line))
            await asyncio.sleep(_pause_s(lines))

    async def aclose(self) -> None:
        """Ask no more."""
        await self._asking.aclose()

    async def _look(self, line: ProbeTarget) -> None:
        at = asyncio.get_running_loop().time()
        known = line.node in self._lossy
        before = self._wheel.count(line)
        tries = BURST if known else 1
        lost = await self._lost(line, tries)
        if self._refused_us(line, lost, at):
            return
        if lost and not known:
            more, elsewhere = await asyncio.gather(self._lost(line, BURST), self._lost_elsewhere(line))
            if elsewhere >= LOST:
                return  # what another node has, too, is this machine's or its network's
            lost += more
            tries += BURST
        if lost:
            # A refusal comes at once: the held connection is given time to be asked, too.
            await asyncio.sleep(
                MEANWHILE_PERIODS * self._wheel.period_s + LOST * self._wheel.way_s(line.node)
            )
        answered = self._compared(line, before)
        if lost and answered is None:
            return  # the held connection has no answers either: that is seen, and judged, elsewhere
        untrusted = next((how for how in lost if how.startswith(UNTRUSTED)), None)
        if untrusted is not None:
            kind = "expired" if "expired" in untrusted else "untrusted"
            self._lossy[line.node] = 0
            self._take(signal(kind, line.node, f"{line.where}: {untrusted}", via=VIA, as_of=at))
        elif len(lost) >= LOST or (lost and known):
            self._lossy[line.node] = 0
            raw = (
                f"{len(lost)} of {tries} new connections to {line.where} got nothing ({lost[-1]}), while "
                f"the one that is held was answered {answered} times"
            )
            self._take(signal("lossy", line.node, raw, via=VIA, as_of=at))
        elif known:
            self._clean(line, at)

    def _refused_us(self, line: ProbeTarget, lost: Sequence[str], at: float) -> bool:
        """Whether it is us whom the node lets in no more: others get in, and nothing is wrong with it."""
        if DENIED not in lost:
            if not lost:
                self._denied.discard(line.node)
            return False
        if line.node not in self._denied:
            self._denied.add(line.node)
            self._take(signal("denied", line.node, f"{line.where}: {DENIED}", via=VIA, as_of=at))
        return True

    async def _lost_elsewhere(self, line: ProbeTarget) -> int:
        """Return how many connections of a burst meet silence at another node; each time at the next."""
        others = [each for each in self._wheel.innermost if each.node not in {line.node, *self._lossy}]
        if not others:
            return 0
        self._compared_with += 1
        lost = await self._lost(others[self._compared_with % len(others)], BURST)
        return sum(how in {NO_ANSWER, NO_CONNECTION} for how in lost)

    def _clean(self, line: ProbeTarget, at: float) -> None:
        self._lossy[line.node] += 1
        if self._lossy[line.node] >= CLEAN_BURSTS:
            del self._lossy[line.node]
            raw = f"{CLEAN_BURSTS * BURST} new connections were answered"
            self._take(signal("accepts_new", line.node, raw, via=VIA, as_of=at))

    async def _lost(self, line: ProbeTarget, tries: int) -> list[str]:
        way_s = self._wheel.way_s(line.node)
        results = await asyncio.gather(*(probe_new_connection(line, way_s) for _ in range(tries)))
        return [how for how in results if how is not None]

    def _compared(self, line: ProbeTarget, before: tuple[int, int] | None) -> int | None:
        """Return how often the held connection was answered meanwhile; None if it ever was not."""
        now = self._wheel.count(line)
        if before is None or now is None or now[1] != before[1] or now[0] - before[0] < LOST:
            return None
        return now[0] - before[0]


def _pause_s(lines: Sequence[ProbeTarget]) -> float:
    if not lines:
        return EACH_S
    each_s = EACH_TLS_S if lines[0].tls is not None else EACH_S
    return max(each_s / len(lines), 1 / MOST_PER_S)
