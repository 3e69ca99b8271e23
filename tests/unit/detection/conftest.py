"""A monitor on a scripted cluster, with what it told."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from subjects.base import Cluster
from tests.standins.scripted_cluster import ScriptedRuntime, ScriptedSubject, scripted_cluster
from tests.waiting import until
from tools.detection.monitor import Monitor
from tools.events import Event
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection


@dataclass
class Watched:
    """A scripted cluster under a real monitor."""

    cluster: Cluster
    subject: ScriptedSubject
    runtime: ScriptedRuntime
    monitor: Monitor
    store: IncidentStore
    ledger: Ledger
    told: list[Event] = field(default_factory=list)

    def kinds(self, node: str | None = None) -> list[str]:
        """The kinds of all signals about `node`."""
        return [signal.kind for signal in self.monitor.signals if signal.node == node]

    @property
    def detected(self) -> list[Detection]:
        return [event for event in self.told if isinstance(event, Detection)]

    async def detection(self, after: float = 0.0, timeout_s: float = 60.0) -> Detection:
        """The first detection, or the test fails."""
        found = await self.monitor.wait(after, timeout_s)
        assert found is not None, f"no detection; signals: {[s.raw for s in self.monitor.signals]}"
        return found

    async def until(self, holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait for a condition."""
        await until(holds, timeout_s)

    async def looks(self, count: int = 3) -> None:
        """Wait until the cluster was looked at so often again."""
        wanted = self.subject.looks + count
        await self.until(lambda: self.subject.looks >= wanted)

    async def calm(self, seconds: float = 0.6) -> None:
        """Let time pass in which nothing may be detected."""
        before = len(self.monitor.detections)
        end = time.monotonic() + seconds
        await self.until(lambda: time.monotonic() > end or len(self.monitor.detections) > before)
        assert len(self.monitor.detections) == before, self.monitor.detections[-1]


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """A monitor that has looked once, on three nodes that are well."""
    cluster, subject, runtime = await scripted_cluster()
    store, ledger = IncidentStore(tmp_path / "operator.db"), Ledger()
    told: list[Event] = []
    monitor = Monitor(cluster, ledger, store, told.append, period_s=0.1, look_s=0.1)
    await monitor.start()
    watched = Watched(cluster, subject, runtime, monitor, store, ledger, told)
    await watched.until(lambda: monitor._wheel.answered >= len(subject.nodes))
    yield watched
    await monitor.stop()
    await cluster.aclose()
    store.close()
