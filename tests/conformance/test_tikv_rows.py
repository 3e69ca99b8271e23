"""The failures of TiKV that are no kill, pause or partition: detected on stand-ins, and diagnosed rightly."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from subjects.base import Cluster, ClusterState, Connection, Kill, Lifecycle, ProcessState
from tests.conformance.clusters import CLUSTERS, Kind
from tests.conformance.conftest import until
from tests.conformance.test_cluster_conformance import identity_of
from tests.standins.standin_http import Channel
from tools.detection.monitor import Monitor
from tools.diagnosis.base import case_of
from tools.diagnosis.rules import RulesDiagnostician
from tools.diagnosis.schema import Diagnosis
from tools.diagnosis.schema import Kind as Called
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORE = "tikv1"
DETECTED_S = KNOWN_S = 60.0
"""End what hangs: of what follows from a failure the peers' word is the last, after 5 s of silence."""


@pytest.fixture(scope="module")
def kind() -> Kind:
    """Stand-ins as local processes: what is shown is the same wherever they run."""
    return next(kind for kind in CLUSTERS if str(kind) == "tikv-process-standin")


class Watched:
    """A cluster with a monitor on it, and a diagnostician at hand."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.ledger = Ledger()
        self.incidents = IncidentStore(folder / "operator.db")
        self.monitor = Monitor(cluster, self.ledger, self.incidents, lambda _: None)
        self.began = 0.0

    async def diagnosed(self, kind: Called, *nodes: str) -> Diagnosis:
        """Wait for the detection, then until the rules say `kind` of `nodes`; fails if they never do."""
        detection = await self.monitor.wait(self.began, DETECTED_S)
        assert detection is not None, self.monitor.signals
        deadline = time.monotonic() + KNOWN_S
        while True:
            found = await RulesDiagnostician().examine(
                case_of([detection]), self.cluster, lambda: self.monitor.signals, self.ledger
            )
            if (found.kind, found.nodes) == (kind, nodes):
                assert found.verified, found.problems
                return found
            assert time.monotonic() < deadline, found

    async def end(self, *nodes: str) -> None:
        for node in nodes:
            view = await self.cluster.nodes.inspect(node)
            assert view.identity is not None
            await self.cluster.require(Kill).kill(node, view.identity)


@pytest_asyncio.fixture(loop_scope="module")
async def watched(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Watched]:
    """The healthy cluster, watched; what a test ended is started again."""
    made = Watched(cluster, tmp_path)
    await made.monitor.start()
    made.began = time.monotonic()
    try:
        yield made
    finally:
        await made.monitor.stop()
        made.incidents.close()
        for node in cluster.subject.nodes:
            await cluster.require(Lifecycle).start(node)
        await until(cluster, lambda snapshot: snapshot.state is ClusterState.HEALTHY)


async def suffer(cluster: Cluster, path: str, **values: int) -> None:
    """Have a stand-in suffer something, by its status port; it may not live to answer."""
    host, port = cluster.subject.watch_address(STORE)
    channel = Channel(f"http://{host}:{port}")
    with contextlib.suppress(OSError, TimeoutError):
        await channel.ask(path, "PUT", values, timeout_s=5)
    channel.close()


async def test_a_paused_grpc_server(watched: Watched) -> None:
    await suffer(watched.cluster, "/pause_grpc")
    try:
        found = await watched.diagnosed(Called.PAUSE, STORE)
        node = (await watched.cluster.subject.observe()).node(STORE)
    finally:
        await suffer(watched.cluster, "/resume_grpc")

    assert node.process.state is ProcessState.RUNNING
    assert node.itself.connection is Connection.ACCEPTED
    assert "its server was paused" in found.root_cause


async def test_a_panic(watched: Watched) -> None:
    await suffer(watched.cluster, "/standin/panic")

    found = await watched.diagnosed(Called.CRASH, STORE)

    assert "exited by its own decision" in found.root_cause


async def test_a_stop_that_somebody_asked_for(watched: Watched) -> None:
    await watched.cluster.require(Lifecycle).stop(STORE, 10)

    await watched.diagnosed(Called.PLANNED_RESTART, STORE)


async def test_a_slow_disk(watched: Watched) -> None:
    await suffer(watched.cluster, "/standin/slow", score=90)
    try:
        found = await watched.diagnosed(Called.SLOW_DISK, STORE)
    finally:
        await suffer(watched.cluster, "/standin/slow", score=1)

    assert any("slow score 90" in cited.quote for cited in found.evidence)


async def test_a_pd_leader_that_is_gone_is_no_stores_fault(watched: Watched) -> None:
    leader = (await watched.cluster.subject.observe()).leader
    assert leader is not None
    await watched.end(leader)

    await watched.diagnosed(Called.CRASH, leader)


async def test_a_lost_majority_of_pds(watched: Watched) -> None:
    await watched.end("pd0", "pd2")

    await watched.diagnosed(Called.QUORUM_LOSS, "pd0", "pd2")
    snapshot = await watched.cluster.subject.observe()

    assert "quorum lost: 1 of 3 PDs run" in snapshot.problems
    assert all(
        snapshot.node(name).client.connection is Connection.ACCEPTED
        for name in watched.cluster.subject.stores
    )


async def test_a_planned_restart_is_no_alarm_afterwards(watched: Watched) -> None:
    """Peers go on counting what they could not send; that is not held against the store that is back."""
    cluster = watched.cluster
    before = identity_of((await cluster.subject.observe()).node(STORE))
    with watched.monitor.maintenance([STORE], "a planned restart"):
        await cluster.require(Lifecycle).stop(STORE, 10)
        await cluster.require(Lifecycle).start(STORE)
    over = time.monotonic()
    after = await until(cluster, lambda snapshot: snapshot.state is ClusterState.HEALTHY)

    assert identity_of(after.node(STORE)) != before
    detection = await watched.monitor.wait(watched.began, 5.0)
    assert detection is None, "\n".join(
        f"{seen.shown_at - over:+.3f} {seen.at - over:+.3f} {seen.kind} {seen.raw}"
        for seen in watched.monitor.signals
    )
