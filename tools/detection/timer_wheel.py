"""The timer wheel: each probe has its tick once a period, spread evenly, so that a thousand make no burst."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence

from tools.detection.probe import HeldProbe, Reports
from tools.observe.signal import CLIENT_PORT, HEALTH_PORT
from tools.observe.targets import ProbeTarget

PERIOD_S = 0.25
"""How often a node is asked: two misses in a row are half a second of silence."""

MAX_SLOTS = 50
"""At most so many turns in a period."""

A_TURN = 8
"""Probes that one turn serves at least, if there are so many: to wake up costs more than to ask."""

LATE_S = 0.05
"""A turn that comes so late tells of this machine (no CPU, suspended), not of the nodes."""

SETTLE_S = 0.05
"""A missing answer is given this long beyond the period. After a pause of the whole machine the nodes
answer in milliseconds, but this process may be the first to run again."""


class Wheel:
    """All held probes of one cluster."""

    def __init__(self, reports: Reports, period_s: float = PERIOD_S) -> None:
        self.period_s = period_s
        self._reports = reports
        self._probes: dict[tuple[str, str], HeldProbe] = {}
        self._slots: list[list[HeldProbe]] = [[]]
        self._closing: set[asyncio.Task[None]] = set()

    def set_targets(self, targets: Iterable[ProbeTarget]) -> None:
        """Probe exactly these targets; those that stay keep their connection."""
        wanted = {(target.node, target.via): target for target in targets}
        for key, probe in list(self._probes.items()):
            if wanted.get(key) != probe.target:
                self._let_go(self._probes.pop(key))
        for key, target in wanted.items():
            if key not in self._probes:
                self._probes[key] = HeldProbe(target, self._reports)
        self._spread()

    def healthy(self, node: str) -> Mapping[str, bool | None]:
        """Return what the last question over each line to `node` showed; None where none was answered yet."""
        return {via: probe.healthy for (name, via), probe in self._probes.items() if name == node}

    def is_well(self, node: str) -> bool:
        """Whether every line to `node` had a healthy answer to its last question, and owes none."""
        return all(
            probe.healthy and not probe.owes for (name, _), probe in self._probes.items() if name == node
        )

    @property
    def innermost(self) -> Sequence[ProbeTarget]:
        """One line to each node: that which clients use, where there is one."""
        return tuple({probe.target.node: probe.target for probe in self._probes.values()}.values())

    def count(self, target: ProbeTarget) -> tuple[int, int] | None:
        """Return how often a target answered so far, and how often not; None if it does not answer now."""
        probe = self._probes.get((target.node, target.via))
        return None if probe is None or not probe.healthy else (probe.answered, probe.missed)

    def way_s(self, node: str) -> float:
        """Return how long a question to `node` and its answer travel; 0 before the first answer."""
        held = (self._probes.get((node, via)) for via in (HEALTH_PORT, CLIENT_PORT))
        return max((probe.way_s or 0.0 for probe in held if probe is not None), default=0.0)

    @property
    def answered(self) -> int:
        """Answers in all, over the probes that are there now."""
        return sum(probe.answered for probe in self._probes.values())

    async def run(self) -> None:
        """Turn until cancelled. The first turn of all comes at once."""
        for probe in self._probes.values():
            probe.ask()
        due = time.monotonic() + self.period_s
        n = 0
        while True:
            slots = self._slots
            n = (n + 1) % len(slots)
            due += self.period_s / len(slots)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._turn(slots[n], late=time.monotonic() - due > LATE_S)
            due = max(due, time.monotonic() - LATE_S)

    def _turn(self, slot: list[HeldProbe], *, late: bool) -> None:
        """Have those ask that owe nothing, and see a moment later to those that do."""
        owing = [probe for probe in slot if probe.owes]
        for probe in slot:
            if not probe.owes:
                probe.ask()
        if owing and not late:
            due = time.monotonic() + SETTLE_S
            asyncio.get_running_loop().call_later(SETTLE_S, self._settle, owing, due)

    def _settle(self, owing: list[HeldProbe], due: float) -> None:
        if time.monotonic() - due > LATE_S:
            return
        for probe in owing:
            if probe.owes:
                probe.miss(at_least_s=0.9 * self.period_s)
            else:
                probe.ask()

    async def aclose(self) -> None:
        """Let go of all connections."""
        for probe in self._probes.values():
            self._let_go(probe)
        self._probes.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _spread(self) -> None:
        probes = list(self._probes.values())
        count = max(1, min(len(probes) // A_TURN, MAX_SLOTS))
        self._slots = [probes[n::count] for n in range(count)]

    def _let_go(self, probe: HeldProbe) -> None:
        task = asyncio.get_running_loop().create_task(probe.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
