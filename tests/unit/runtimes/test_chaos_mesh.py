"""What Chaos Mesh does on Kubernetes: only where it can, undone by itself, never called undone too early."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from subjects.base import Capability, Direction, LinkRule, Network, Primitive, Scope
from subjects.clusters import decide, open_cluster
from subjects.errors import NotReady, SubjectError, Unsupported
from subjects.runtimes.kubernetes import chaos_mesh
from subjects.state import open_state
from tests.standins.kubernetes_standin.handle import StandinCluster
from tests.standins.kubernetes_standin.own import BOUND_S, Own, current, own_cluster
from tools.faults.catalogue import CATALOGUE, Settings, capability
from tools.faults.service import FaultService
from tools.faults.steps import State

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.pod_addresses]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a stand-in takes its time."""
    monkeypatch.setattr(chaos_mesh, "INJECT_S", BOUND_S)
    monkeypatch.setattr(chaos_mesh, "UNDO_S", BOUND_S)


def objects(own: Own) -> list[dict[str, Any]]:
    path = f"{chaos_mesh.GROUP}/namespaces/{own.runtime.namespace}/networkchaos"
    found: list[dict[str, Any]] = own.standin.call("GET", path)["items"]
    return found


async def latency_ms(own: Own, node: str) -> float:
    probe = await own.cluster.subject.probe(node, 5.0)
    assert probe.latency_ms is not None, probe
    return probe.latency_ms


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinCluster]:
    with current(tmp_path_factory.mktemp("kubernetes"), "--chaos-mesh", "2.8.3") as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(standin: StandinCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Own]:
    async with own_cluster(standin, tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def own(shared: Own) -> AsyncIterator[Own]:
    """It, healthy and with nothing in force before a test and after it."""
    await shared.healthy()
    yield shared
    await shared.cluster.require(Network).set_network([])
    await shared.healthy()
    assert objects(shared) == []


async def test_a_delay_is_seen_and_goes_with_its_undoing(own: Own) -> None:
    faults = FaultService(own.state, 7)
    try:
        done = await faults.inject(own.cluster, "network_delay", "follower", Settings(value=200.0))
        [node] = done.record.nodes
        assert done.effect is not None
        assert await latency_ms(own, node) >= 360.0
        [found] = objects(own)
        assert found["spec"]["duration"] == f"{own.runtime._ttl_s}s"

        [report] = await faults.heal(own.cluster)

        assert report.state is State.HEALED, report
        assert await latency_ms(own, node) < 200.0
        assert objects(own) == []
    finally:
        faults.close()


async def test_what_nobody_undoes_is_undone_when_its_time_is_over(own: Own) -> None:
    node = await own.follower()
    await own.cluster.require(Network).set_network([LinkRule(node, "rate", 100.0)])
    assert await own.cluster.require(Network).network() == (LinkRule(node, "rate", 100.0),)
    [made] = objects(own)
    assert made["spec"]["bandwidth"]["rate"] == f"{100 * chaos_mesh.POD_CONNECTIONS}bps"
    path = f"{chaos_mesh.GROUP}/namespaces/{own.runtime.namespace}/networkchaos/{made['metadata']['name']}"
    sooner = {"spec": {"duration": "1s"}}
    await asyncio.to_thread(own.standin.call, "PATCH", path, sooner, "application/merge-patch+json")

    async with asyncio.timeout(BOUND_S):
        while await own.cluster.require(Network).network():
            await asyncio.sleep(0.1)


async def test_a_cut_of_one_way_is_made_beside_one_of_both_ways(own: Own) -> None:
    first, second = (name for name in own.cluster.subject.stores[1:])
    rules = (LinkRule(first, "cut"), LinkRule(second, "cut", direction=Direction.OUT))

    await own.cluster.require(Network).set_network(rules)
    assert set(await own.cluster.require(Network).network()) == set(rules)
    assert [each["spec"]["direction"] for each in objects(own)] == ["to"]
    await own.cluster.require(Network).set_network(rules[:1])

    assert await own.cluster.require(Network).network() == rules[:1]


async def test_peers_are_told_from_clients(own: Own) -> None:
    node = await own.follower()

    await own.cluster.require(Network).set_network([LinkRule(node, "delay", 200.0, Scope.PEERS)])

    assert await latency_ms(own, node) < 200.0
    with pytest.raises(Unsupported, match="clients"):
        await own.cluster.require(Network).set_network([LinkRule(node, "delay", 200.0, Scope.CLIENTS)])


async def test_a_controller_that_is_gone_leaves_the_fault_open_and_the_next_try_heals_it(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object's end alone is nothing: only who took effect can be undone."""
    network = own.cluster.require(Network)
    rule, cut = (
        LinkRule(own.cluster.subject.stores[0], "delay", 200.0),
        LinkRule(await own.follower(), "cut"),
    )
    await network.set_network([rule, cut])
    own.standin.act("chaos-mesh", alive=False)
    try:
        await own.runtime.find_out()  # as another process does, and finds no controller
        await network.set_network([rule])
        assert await network.network() == (rule,), "what the agents do was not undone"
        monkeypatch.setattr(chaos_mesh, "UNDO_S", 1.0)
        for _ in range(2):  # a deletion under way is waited for once more
            with pytest.raises(NotReady, match=r"has not undone .* its controller and daemon run"):
                await network.set_network([])
            assert await network.network() == (rule,)
    finally:
        own.standin.act("chaos-mesh", alive=True)
    assert not own.cluster.capability(Primitive.NETWORK_SHAPE).available
    monkeypatch.setattr(chaos_mesh, "UNDO_S", BOUND_S)

    await network.set_network([])

    assert await network.network() == ()
    await own.runtime.find_out()


async def test_two_rules_of_one_kind_on_one_member_are_undone_one_by_one(own: Own) -> None:
    network, node = own.cluster.require(Network), await own.follower()
    first, second = LinkRule(node, "delay", 30.0), LinkRule(node, "delay", 20.0, Scope.PEERS)

    await network.set_network([first])
    await network.set_network([first, second])
    assert set(await network.network()) == {first, second}
    await network.set_network([second])

    assert await network.network() == (second,)


async def test_what_it_cannot_do_is_refused_before_anything_is_done(own: Own) -> None:
    able = {kind: capability(fault, own.cluster) for kind, fault in CATALOGUE.items()}

    assert able["network_delay"].available
    assert not able["connection_reset"].available
    with pytest.raises(SubjectError):
        await own.cluster.require(Network).set_network(
            [LinkRule(await own.follower(), "rate", 100.0), LinkRule(await own.follower(), "reset")]
        )
    assert objects(own) == []


async def shaping(tmp_path_factory: pytest.TempPathFactory) -> Capability:
    """Say what is said of delays where nothing was made yet."""
    cluster = await open_cluster(
        open_state(tmp_path_factory.mktemp("state")), await decide("etcd", "kubernetes")
    )
    try:
        return cluster.capability(Primitive.NETWORK_SHAPE)
    finally:
        await cluster.aclose()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "not installed"),
        (("--chaos-mesh", "2.8.2"), "2.8.3 or newer is needed, this is 2.8.2"),
        (("--chaos-mesh", "2.10.0"), ""),
    ],
)
async def test_where_it_is_missing_or_too_old_that_is_said(
    tmp_path_factory: pytest.TempPathFactory, options: tuple[str, ...], why: str
) -> None:
    with current(tmp_path_factory.mktemp("kubernetes"), *options):
        able = await shaping(tmp_path_factory)

    assert able.available is not bool(why)
    assert why in able.reason


async def test_a_controller_that_does_not_run_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    with current(tmp_path_factory.mktemp("kubernetes"), "--chaos-mesh", "2.8.3") as standin:
        standin.act("chaos-mesh", alive=False)
        able = await shaping(tmp_path_factory)

    assert not able.available
    assert "no controller" in able.reason


async def test_a_kernel_that_delays_nothing_is_found_out_on_no_member(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There such an object never takes effect and never ends: it is on the probe pod, and does not stay."""
    options = ("--chaos-mesh", "2.8.3", "--no-netem")
    with current(tmp_path_factory.mktemp("kubernetes"), *options) as standin:
        async with own_cluster(standin, tmp_path_factory.mktemp("state")) as own:
            await own.healthy()
            network, node = own.cluster.require(Network), await own.follower()
            with monkeypatch.context() as patch:
                patch.setattr(chaos_mesh, "INJECT_S", 6.0)
                patch.setattr(chaos_mesh, "UNDO_S", 1.0)
                with pytest.raises(Unsupported, match="no member was touched"):
                    await network.set_network([LinkRule(node, "delay", 200.0)])
            assert objects(own) == []
            assert await network.network() == ()

            await network.set_network([LinkRule(node, "rate", 5000.0)])
            assert await network.network() == (LinkRule(node, "rate", 5000.0),)
            await network.set_network([])
