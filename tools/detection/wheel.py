"""The wheel: gives each probe its tick once a period, spread evenly, so that a thousand make no burst."""

import asyncio
import time
from collections.abc import Iterable, Mapping

from tools.detection.held import HeldProbe, Line, Reports

PERIOD_S = 0.25
"""How often a node is asked: two misses in a row are half a second of silence (facts §1)."""

MAX_SLOTS = 50
"""At most so many turns in a period; with more probes than that, a turn serves several."""

LATE_S = 0.1
"""A turn that comes so late tells of this process (no CPU, suspended), not of the nodes."""


class Wheel:
    """All held probes of one cluster."""

    def __init__(self, reports: Reports, period_s: float = PERIOD_S) -> None:
        self.period_s = period_s
        self.late_turns = 0
        """How often this process itself was late: misses were not counted then."""
        self._reports = reports
        self._probes: dict[tuple[str, str], HeldProbe] = {}
        self._slots: list[list[HeldProbe]] = [[]]
        self._closing: set[asyncio.Task[None]] = set()

    def set_lines(self, lines: Iterable[Line]) -> None:
        """Probe exactly these lines; those that stay keep their connection."""
        wanted = {(line.node, line.via): line for line in lines}
        for key, probe in list(self._probes.items()):
            if wanted.get(key) != probe.line:
                self._let_go(self._probes.pop(key))
        for key, line in wanted.items():
            if key not in self._probes:
                self._probes[key] = HeldProbe(line, self._reports)
        self._spread()

    def well(self, node: str) -> Mapping[str, bool | None]:
        """Return what the last question over each line to `node` told."""
        return {via: probe.well for (name, via), probe in self._probes.items() if name == node}

    @property
    def answered(self) -> int:
        """Answers in all, over the probes that are there now."""
        return sum(probe.answered for probe in self._probes.values())

    async def run(self) -> None:
        """Turn until cancelled. The first turn of all comes at once."""
        for probe in self._probes.values():
            probe.tick()
        due = time.monotonic() + self.period_s
        n = 0
        while True:
            slots = self._slots
            n = (n + 1) % len(slots)
            due += self.period_s / len(slots)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            late = time.monotonic() - due > LATE_S
            if late:
                self.late_turns += 1
                due = time.monotonic()
            for probe in slots[n % len(slots)]:
                probe.tick(counts=not late)

    async def aclose(self) -> None:
        """Let go of all connections."""
        for probe in self._probes.values():
            self._let_go(probe)
        self._probes.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _spread(self) -> None:
        probes = list(self._probes.values())
        count = max(1, min(len(probes), MAX_SLOTS))
        self._slots = [probes[n::count] for n in range(count)]

    def _let_go(self, probe: HeldProbe) -> None:
        task = asyncio.get_running_loop().create_task(probe.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
