"""A cluster of operator's own on Kubernetes: its faults end whatever happens, and nothing else is touched."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from subjects.base import ClusterState, Kill, Lifecycle, LinkRule, Network, Pause, ProcessState
from subjects.errors import SubjectError
from subjects.etcd.subject import EtcdSubject
from tests.standins.kubernetes_standin.handle import StandinCluster
from tests.standins.kubernetes_standin.own import BOUND_S, Own, current, own_cluster
from tools.faults.service import FaultService
from tools.faults.steps import State

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.pod_addresses]


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinCluster]:
    with current(tmp_path_factory.mktemp("kubernetes")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(standin: StandinCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Own]:
    async with own_cluster(standin, tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def own(shared: Own) -> AsyncIterator[Own]:
    """It, healthy before a test and after it."""
    await shared.healthy()
    yield shared
    await shared.healthy()


@pytest.mark.parametrize("fault", ["kill", "pause", "partition", "cpu_starvation"])
async def test_a_fault_whose_pod_was_deleted_is_over_and_its_successor_is_left_alone(
    own: Own, fault: str
) -> None:
    faults = FaultService(own.state, 7)
    try:
        done = await own.break_a_follower(faults, fault)
        [node] = done.record.nodes
        hit = own.uid(node)
        await asyncio.to_thread(own.delete, node)
        await own.until(lambda: own.uid(node) not in ("", hit), f"{node} did not come back")
        await own.healthy()
        successor = (await own.cluster.nodes.inspect(node)).identity

        [report] = await faults.heal(own.cluster)

        assert report.state in (State.HEALED, State.AMBIGUOUS), report
        assert faults.journal.open_faults() == []
        assert (await own.cluster.nodes.inspect(node)).identity == successor
        assert await own.cluster.require(Network).network() == ()
        assert (await own.runtime.limits(node))["cpu_share"] != done.record.steps[0].to_json().get("value")
    finally:
        faults.close()


@pytest.mark.parametrize("fault", ["kill", "pause", "partition"])
async def test_what_nobody_undoes_ends_in_its_pod(own: Own, fault: str) -> None:
    """As when operator, its healer and the machine that they ran on are gone."""
    node = await own.follower()
    before = (await own.cluster.nodes.inspect(node)).identity
    assert before is not None
    own.runtime._ttl_s = (
        6  # a cut follower says that it has no leader after an election timeout: 1 s and more
    )
    match fault:
        case "kill":
            await own.cluster.require(Kill).kill(node, before)
        case "pause":
            await own.cluster.require(Pause).pause(node, before)
        case "partition":
            await own.cluster.require(Network).set_network([LinkRule(node, "cut")])
    async with asyncio.timeout(BOUND_S):
        while (await own.cluster.subject.observe()).state is ClusterState.HEALTHY:
            await asyncio.sleep(0.1)
    await own.healthy()

    view = await own.cluster.nodes.inspect(node)
    assert view.state is ProcessState.RUNNING
    assert (view.identity == before) is (fault != "kill")
    async with asyncio.timeout(BOUND_S):  # the guard opens the network, then forgets that it was closed
        while await own.cluster.require(Network).network():
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("fault", ["kill", "partition"])
async def test_a_killed_operator_leaves_a_cluster_that_is_made_whole(own: Own, fault: str) -> None:
    operator = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "fault", "inject", fault, "follower", "--for", "5m"),
        *("--runtime", "kubernetes", "--yes", "--output", "stream-json"),
        env={**os.environ, "OPERATOR_STATE_DIR": str(own.state.root)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        known = own.last_fault()

        def is_in_force() -> bool:
            last = own.last_fault()
            return last is not None and last != known and last.state is State.INJECTED

        await own.until(is_in_force, "the fault did not come into force")
    finally:
        operator.kill()
        await operator.wait()
    await own.until(own.is_over, "nobody healed it")
    await own.healthy()

    last = own.last_fault()
    assert last is not None
    assert last.state is State.HEALED
    assert await own.cluster.require(Network).network() == ()


async def test_a_member_is_let_go_only_in_the_pod_that_was_meant(own: Own) -> None:
    """The successor of a pod that was deleted is not started, stopped or killed in its stead."""
    node = own.cluster.subject.stores[-1]
    before = (await own.cluster.nodes.inspect(node)).identity
    hit = own.uid(node)
    assert before is not None
    await asyncio.to_thread(own.delete, node)
    await own.until(lambda: own.uid(node) not in ("", hit), f"{node} did not come back")
    await own.healthy()
    after = (await own.cluster.nodes.inspect(node)).identity
    for act in (own.cluster.require(Kill).kill, own.cluster.require(Pause).pause):
        with pytest.raises(SubjectError, match="another pod by now"):
            await act(node, before)
    await own.cluster.require(Lifecycle).start(node)

    assert (await own.cluster.nodes.inspect(node)).identity == after


async def test_who_is_not_let_in_on_a_members_host_does_not_say_that_it_was_asked_there(own: Own) -> None:
    """A member that listens on its pod's address alone refuses what comes by port-forward."""
    subject = own.cluster.subject
    assert isinstance(subject, EtcdSubject)
    node = subject.stores[0]
    await asyncio.to_thread(own.standin.act, "trouble", status=500, path="portforward")
    try:
        assert await subject.metrics(node, ["process_start_time_seconds"])
        assert not subject.on_host(node)
    finally:
        await asyncio.to_thread(own.standin.act, "calm")

    assert await subject.metrics(node, ["process_start_time_seconds"])
    assert subject.on_host(node)
