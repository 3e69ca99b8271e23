"""What Chaos Mesh does on Kubernetes: only where it can, undone by itself, never called undone too early."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from subjects.base import Cluster, ClusterState, Deployment, Direction, LinkRule, Network, Primitive, Scope
from subjects.clusters import decide, open_cluster
from subjects.errors import NotReady, SubjectError, Unsupported
from subjects.runtimes.kubernetes import chaos_mesh
from subjects.runtimes.kubernetes.runtime import KubernetesRuntime
from subjects.state import StateFolder, open_state
from tests.standins.kubernetes_standin.handle import StandinCluster
from tools.faults.catalogue import CATALOGUE, Settings, capability
from tools.faults.journal import State
from tools.faults.service import FaultService

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.pod_addresses]
BOUND_S = 120.0
"""Ends what hangs."""


class Here:
    """A cluster of operator's own beside a Chaos Mesh."""

    def __init__(self, standin: StandinCluster, state: StateFolder, cluster: Cluster) -> None:
        self.standin, self.state, self.cluster = standin, state, cluster

    @property
    def runtime(self) -> KubernetesRuntime:
        assert isinstance(self.cluster.control, KubernetesRuntime)
        return self.cluster.control

    @property
    def network(self) -> Network:
        return self.cluster.require(Network)

    def objects(self) -> list[dict[str, Any]]:
        path = f"{chaos_mesh.GROUP}/namespaces/{self.runtime.namespace}/networkchaos"
        found: list[dict[str, Any]] = self.standin.call("GET", path)["items"]
        return found

    async def until(self, *, healthy: bool) -> None:
        async with asyncio.timeout(BOUND_S):
            while ((await self.cluster.subject.observe()).state is ClusterState.HEALTHY) is not healthy:
                await asyncio.sleep(0.1)

    async def follower(self) -> str:
        snapshot = await self.cluster.subject.observe()
        return next(name for name in self.cluster.subject.stores if name != snapshot.leader)

    async def latency_ms(self, node: str) -> float:
        probe = await self.cluster.subject.probe(node, 5.0)
        assert probe.latency_ms is not None, probe
        return probe.latency_ms


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinCluster]:
    folder = tmp_path_factory.mktemp("kubernetes")
    with (
        StandinCluster(folder, "--reachable", "--speed", "10", "--chaos-mesh", "2.8.3") as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("KUBECONFIG", str(made.kubeconfig))
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(standin: StandinCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Here]:
    state = open_state(tmp_path_factory.mktemp("state"))
    cluster = await open_cluster(state, await decide("etcd", "kubernetes"))
    try:
        await cluster.require(Deployment).up()
        yield Here(standin, state, cluster)
    finally:
        await cluster.require(Deployment).down()
        await cluster.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def here(shared: Here) -> AsyncIterator[Here]:
    """It, healthy and with nothing in force before a test and after it."""
    await shared.until(healthy=True)
    yield shared
    await shared.network.set_network([])
    await shared.until(healthy=True)
    assert shared.objects() == []


async def test_a_delay_is_seen_and_goes_with_its_undoing(here: Here) -> None:
    faults = FaultService(here.state, 7)
    try:
        done = await faults.inject(here.cluster, "network_delay", "follower", Settings(value=200.0))
        [node] = done.record.nodes
        assert done.effect is not None
        assert await here.latency_ms(node) >= 360.0
        [found] = here.objects()
        assert found["spec"]["duration"] == f"{here.runtime._ttl_s}s"

        [report] = await faults.heal(here.cluster)

        assert report.state is State.HEALED, report
        assert await here.latency_ms(node) < 200.0
        assert here.objects() == []
    finally:
        faults.close()


async def test_what_nobody_undoes_is_undone_when_its_time_is_over(here: Here) -> None:
    node = await here.follower()
    await here.network.set_network([LinkRule(node, "rate", 100.0)])
    assert await here.network.network() == (LinkRule(node, "rate", 100.0),)
    [made] = here.objects()
    path = f"{chaos_mesh.GROUP}/namespaces/{here.runtime.namespace}/networkchaos/{made['metadata']['name']}"
    sooner = {"spec": {"duration": "1s"}}
    await asyncio.to_thread(here.standin.call, "PATCH", path, sooner, "application/merge-patch+json")

    async with asyncio.timeout(BOUND_S):
        while await here.network.network():
            await asyncio.sleep(0.1)


async def test_a_cut_of_one_way_is_made_beside_one_of_both_ways(here: Here) -> None:
    first, second = (name for name in here.cluster.subject.stores[1:])
    rules = (LinkRule(first, "cut"), LinkRule(second, "cut", direction=Direction.OUT))

    await here.network.set_network(rules)
    assert set(await here.network.network()) == set(rules)
    assert [each["spec"]["direction"] for each in here.objects()] == ["to"]
    await here.network.set_network(rules[:1])

    assert await here.network.network() == rules[:1]


async def test_peers_are_told_from_clients(here: Here) -> None:
    node = await here.follower()

    await here.network.set_network([LinkRule(node, "delay", 200.0, Scope.PEERS)])

    assert await here.latency_ms(node) < 200.0
    with pytest.raises(Unsupported, match="clients"):
        await here.network.set_network([LinkRule(node, "delay", 200.0, Scope.CLIENTS)])


async def test_a_controller_that_is_gone_leaves_the_fault_open_and_the_next_try_heals_it(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object's end alone is nothing: only who took effect can be undone."""
    monkeypatch.setattr(chaos_mesh, "UNDO_S", 1.0)
    node = await here.follower()
    rule = LinkRule(node, "delay", 200.0)
    await here.network.set_network([rule])
    here.standin.act("chaos-mesh", alive=False)
    try:
        for again in range(2):  # a deletion under way is waited for once more
            if again:  # and another process finds no controller
                await here.runtime.find_out()
            with pytest.raises(NotReady, match=r"has not undone .* its controller and daemon run"):
                await here.network.set_network([])
            assert await here.network.network() == (rule,)
    finally:
        here.standin.act("chaos-mesh", alive=True)
    assert not here.cluster.capability(Primitive.NETWORK_SHAPE).available
    monkeypatch.setattr(chaos_mesh, "UNDO_S", BOUND_S)

    await here.network.set_network([])

    assert await here.network.network() == ()
    await here.runtime.find_out()


async def test_what_it_cannot_do_is_refused_before_anything_is_done(here: Here) -> None:
    able = {kind: capability(fault, here.cluster) for kind, fault in CATALOGUE.items()}

    assert able["network_delay"].available
    assert not able["connection_reset"].available
    with pytest.raises(SubjectError):
        await here.network.set_network(
            [LinkRule(await here.follower(), "rate", 100.0), LinkRule(await here.follower(), "reset")]
        )
    assert here.objects() == []


async def opened(standin: StandinCluster, state: StateFolder, patch: pytest.MonkeyPatch) -> Cluster:
    patch.setenv("KUBECONFIG", str(standin.kubeconfig))
    return await open_cluster(state, await decide("etcd", "kubernetes"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "not installed"),
        (("--chaos-mesh", "2.8.2"), "2.8.3 or newer is needed, this is 2.8.2"),
        (("--chaos-mesh", "2.10.0"), ""),
    ],
)
async def test_where_it_is_missing_or_too_old_that_is_said(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    why: str,
) -> None:
    with StandinCluster(tmp_path_factory.mktemp("kubernetes"), *options) as standin:
        cluster = await opened(standin, open_state(tmp_path_factory.mktemp("state")), monkeypatch)
        try:
            able = cluster.capability(Primitive.NETWORK_SHAPE)
        finally:
            await cluster.aclose()

    assert able.available is not bool(why)
    assert why in able.reason


async def test_a_controller_that_does_not_run_is_told(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandinCluster(tmp_path_factory.mktemp("kubernetes"), "--chaos-mesh", "2.8.3") as standin:
        standin.act("chaos-mesh", alive=False)
        cluster = await opened(standin, open_state(tmp_path_factory.mktemp("state")), monkeypatch)
        try:
            able = cluster.capability(Primitive.NETWORK_SHAPE)
        finally:
            await cluster.aclose()

    assert not able.available
    assert "no controller" in able.reason


async def test_a_kernel_that_delays_nothing_is_found_out_on_no_member(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There such an object never takes effect and never ends: it is on the probe pod, and does not stay."""
    monkeypatch.setattr(chaos_mesh, "INJECT_S", 3.0)
    monkeypatch.setattr(chaos_mesh, "UNDO_S", 1.0)
    options = ("--reachable", "--speed", "10", "--chaos-mesh", "2.8.3", "--no-netem")
    with StandinCluster(tmp_path_factory.mktemp("kubernetes"), *options) as standin:
        state = open_state(tmp_path_factory.mktemp("state"))
        cluster = await opened(standin, state, monkeypatch)
        here = Here(standin, state, cluster)
        try:
            await cluster.require(Deployment).up()
            await here.until(healthy=True)
            node = await here.follower()
            with pytest.raises(Unsupported, match=r"no member was touched.*RTNETLINK"):
                await here.network.set_network([LinkRule(node, "delay", 200.0)])
            assert here.objects() == []
            assert await here.network.network() == ()

            await here.network.set_network([LinkRule(node, "rate", 5000.0)])
            assert await here.network.network() == (LinkRule(node, "rate", 5000.0),)
            await here.network.set_network([])
        finally:
            await cluster.require(Deployment).down()
            await cluster.aclose()
