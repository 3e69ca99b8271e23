"""The service ports of stores, which no held connection watches: one that answers far slower, or not at all.

A store that is slow or cut off on the way to its clients is healthy on its status port. So each store's own
port is asked now and then, and its answers are compared with those before. A machine that is busy is late
with all of them: then nothing is said of any.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import TypeGuard

from subjects.base import ClusterSnapshot, Connection, Probe, Role, Subject
from subjects.errors import SubjectError
from tools.observe.kinds import signal
from tools.observe.signal import CLIENT_PORT, Signal
from tools.observe.targets import TRAVELS

EACH_S = 1.0
"""How often each store is asked."""

AGAIN_S = 0.25
"""From one question to the next while one of them is late or silent: twice makes it certain."""

TIMEOUT_S = 0.75
"""As of any new connection (tools.observe.targets)."""

TIMES = 4.0
"""So many times slower than usual is slow."""

FLOOR_MS = 150.0
"""Faster answers are never slow: of 14,252 probes of healthy members the slowest took 62 ms."""

KNOWN = 5
"""Answers that it takes to know what is usual; of the last KEPT the median."""
KEPT = 60


class ServicePorts:
    """Asks all stores, again and again."""

    def __init__(
        self,
        subject: Subject,
        snapshot: Callable[[], ClusterSnapshot | None],
        take: Callable[[Signal], object],
        way_s: Callable[[str], float],
    ) -> None:
        """`way_s` tells how long a question to a node and its answer travel."""
        self._subject = subject
        self._snapshot = snapshot
        self._take = take
        self._way_s = way_s
        self._usual: dict[str, deque[float]] = {}
        self._late: set[str] = set()
        self._silent: set[str] = set()

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            snapshot = self._snapshot()
            stores = [node.name for node in snapshot.nodes if node.role is Role.STORE] if snapshot else []
            at = asyncio.get_running_loop().time()
            answers = await asyncio.gather(*(self._ask(store) for store in stores))
            pairs = zip(stores, answers, strict=True)
            for each in self.judge({name: probe.latency_ms for name, probe in pairs if _tells(probe)}, at):
                self._take(each)
            self._late &= set(stores)
            self._silent &= set(stores)
            took_s = asyncio.get_running_loop().time() - at
            again = self._late or self._silent
            await asyncio.sleep(max(0.0, AGAIN_S - took_s) if again else EACH_S)

    def judge(self, answers: Mapping[str, float | None], at: float) -> Iterator[Signal]:
        """Yield what one round of answers (milliseconds, None for silence) shows; it began at `at`."""
        late = {name for name, ms in answers.items() if ms is None or self._is_late(name, ms)}
        if len(late) > 1 and late == set(answers):
            return
        for name, ms in answers.items():
            usual = self._usual.setdefault(name, deque(maxlen=KEPT))
            if ms is None:
                self._silent.add(name)
                raw = f"no answer from its service port within {1000 * self._patience_s(name):.0f} ms"
                yield signal("silent", name, raw, via=CLIENT_PORT, as_of=at)
                continue
            if name in self._silent:
                self._silent.discard(name)
                yield signal("answers", name, "its service port answers", via=CLIENT_PORT, as_of=at)
            if name in late:
                self._late.add(name)
                raw = f"its service port answered in {ms:.0f} ms, usually in {median(usual):.1f} ms"
                yield signal("late_port", name, raw, as_of=at)
                continue
            usual.append(ms)
            if name in self._late:
                self._late.discard(name)
                yield signal("prompt_port", name, f"its service port answered in {ms:.1f} ms", as_of=at)

    def _patience_s(self, name: str) -> float:
        return TIMEOUT_S + TRAVELS * self._way_s(name)

    def _is_late(self, name: str, ms: float) -> bool:
        usual = self._usual.get(name, ())
        return len(usual) >= KNOWN and ms >= max(FLOOR_MS, TIMES * median(usual))

    async def _ask(self, store: str) -> Probe | None:
        try:
            return await self._subject.probe(store, self._patience_s(store))
        except (SubjectError, KeyError):  # a store may have left since
            return None


def _tells(probe: Probe | None) -> TypeGuard[Probe]:
    """Whether it was answered or met silence; who refuses is told of at once by others."""
    return probe is not None and probe.connection in {Connection.ACCEPTED, Connection.SILENT}
