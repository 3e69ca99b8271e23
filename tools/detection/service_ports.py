"""The service ports of stores, which no held connection watches: one that answers several times slower.

A store that is slow on the way to its clients is healthy on its status port, and its clients wait without an
error. So each store's own port is asked now and then, and its answers are compared with those before. A
machine that is busy is late with all of them: then nothing is said of any.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from statistics import median

from subjects.base import ClusterSnapshot, Connection, Role, Subject
from subjects.errors import SubjectError
from tools.observe.kinds import signal
from tools.observe.signal import Signal

EACH_S = 1.0
"""How often each store is asked."""

TIMEOUT_S = 2.0

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
    ) -> None:
        self._subject = subject
        self._snapshot = snapshot
        self._take = take
        self._usual: dict[str, deque[float]] = {}
        self._late: set[str] = set()

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            snapshot = self._snapshot()
            stores = [node.name for node in snapshot.nodes if node.role is Role.STORE] if snapshot else []
            at = asyncio.get_running_loop().time()
            answers = await asyncio.gather(*(self._ask(store) for store in stores))
            found = dict(zip(stores, answers, strict=True))
            for each in self.judge({name: ms for name, ms in found.items() if ms is not None}, at):
                self._take(each)
            await asyncio.sleep(EACH_S)

    def judge(self, answers: Mapping[str, float], at: float) -> Iterator[Signal]:
        """Yield what one round of answers (milliseconds) shows; it began at monotonic `at`."""
        late = {name for name, ms in answers.items() if self._is_late(name, ms)}
        if len(late) > 1 and late == set(answers):
            return
        for name, ms in answers.items():
            usual = self._usual.setdefault(name, deque(maxlen=KEPT))
            if name in late:
                self._late.add(name)
                raw = f"its service port answered in {ms:.0f} ms, usually in {median(usual):.1f} ms"
                yield signal("late_port", name, raw, as_of=at)
                continue
            usual.append(ms)
            if name in self._late:
                self._late.discard(name)
                yield signal("prompt_port", name, f"its service port answered in {ms:.1f} ms", as_of=at)

    def _is_late(self, name: str, ms: float) -> bool:
        usual = self._usual.get(name, ())
        return len(usual) >= KNOWN and ms >= max(FLOOR_MS, TIMES * median(usual))

    async def _ask(self, store: str) -> float | None:
        try:
            probe = await self._subject.probe(store, TIMEOUT_S)
        except (SubjectError, KeyError):  # a store may have left since
            return None
        return probe.latency_ms if probe.connection is Connection.ACCEPTED else None
