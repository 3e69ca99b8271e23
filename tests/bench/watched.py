"""A real etcd cluster under a real monitor, for benchmarks: with load if asked, restored after each fault."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from subjects.base import Cluster, ClusterState, Deployment
from subjects.clusters import Decision, open_cluster
from subjects.state import open_state
from tools.detection.monitor import Monitor
from tools.incidents.store import IncidentStore
from tools.load.run import LoadRun
from tools.load.settings import LoadSettings
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection


@dataclass
class Watched:
    """What a benchmark works with."""

    cluster: Cluster
    monitor: Monitor
    store: IncidentStore
    folder: Path
    load: LoadRun | None = None

    async def start_load(self, rate: float) -> None:
        """Put load on; its windows go to the monitor."""
        target = self.cluster.subject.load_target()
        settings = LoadSettings(rate=rate)
        folder = self.folder / f"load-{time.monotonic_ns()}"
        self.load = await LoadRun.start(target, settings, folder, self.monitor.client_window)

    async def stop_load(self) -> None:
        """Take it off."""
        if self.load is not None:
            await self.load.stop()
            self.load = None

    async def healthy(self) -> None:
        """Wait until the cluster is."""
        async with asyncio.timeout(60):
            while (await self.cluster.subject.observe()).state is not ClusterState.HEALTHY:
                await asyncio.sleep(0.05)

    async def recovered(self) -> None:
        """Note that the fault was undone, and wait until its incident is closed."""
        await self.monitor.recorded()
        for incident in self.monitor.open_incidents:
            self.store.heal(incident, "undone by the benchmark")
        await self.healthy()
        async with asyncio.timeout(60):
            while self.monitor.open_incidents:
                await asyncio.sleep(0.05)

    async def detection(self, since: float) -> Detection | None:
        """The first detection since, within 10 s."""
        return await self.monitor.wait(since, 10.0)


@asynccontextmanager
async def watched(folder: Path, *, rate: float = 0.0, runtime: str = "process") -> AsyncIterator[Watched]:
    """Three members, healthy and watched, with `rate` operations a second on them."""
    state = open_state(folder / "state")
    cluster = await open_cluster(state, Decision("etcd", runtime, "a benchmark"))
    store = IncidentStore(state.database)
    monitor = Monitor(cluster, Ledger(keep=5000), store, lambda _event: None)
    made = Watched(cluster, monitor, store, folder)
    try:
        await cluster.require(Deployment).up()
        await made.healthy()
        await monitor.start()
        if rate:
            await made.start_load(rate)
            assert made.load is not None
            await made.load.wait_windows(2, 30)
        yield made
    finally:
        if made.load is not None:
            await made.load.aclose()
        await monitor.stop()
        await cluster.require(Deployment).down()
        await cluster.aclose()
        store.close()
