"""The monitor on a real three-member etcd: what kills, stops and cuts it, and what does not."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import pytest

from subjects.base import (
    Cluster,
    Deployment,
    Kill,
    Lifecycle,
    LinkRule,
    Network,
    Scope,
)
from subjects.clusters import Decision, open_cluster
from subjects.state import StateFolder, open_state
from tests.waiting import healthy, until
from tools.detection.monitor import Monitor
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger

ETCD = Decision("etcd", "process", "")

BOUND_S = 60.0
"""Ends what hangs; the seconds are the benchmark's (tests/bench/detection.py)."""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFolder]:
    """A state folder with a cluster in it that runs."""
    folder = open_state(tmp_path_factory.mktemp("state"))

    async def up() -> None:
        cluster = await open_cluster(folder, ETCD)
        await cluster.require(Deployment).up()
        await healthy(cluster)
        await cluster.aclose()

    async def down() -> None:
        cluster = await open_cluster(folder, ETCD)
        await cluster.require(Deployment).down()
        await cluster.aclose()

    asyncio.run(up())
    yield folder
    asyncio.run(down())


@pytest.fixture
async def cluster(state: StateFolder) -> AsyncIterator[Cluster]:
    """The cluster, healthy."""
    found = await open_cluster(state, ETCD)
    await healthy(found)
    yield found
    await found.require(Network).set_network([])
    await found.require(Deployment).up()
    await healthy(found)
    await found.aclose()


@pytest.fixture
async def monitor(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Monitor]:
    """A monitor that watches it, with all lines held."""
    store = IncidentStore(tmp_path / "operator.db")
    watching = Monitor(cluster, Ledger(), store, lambda _event: None)
    await watching.start()
    await until(lambda: watching._wheel.answered >= 6)
    yield watching
    await watching.stop()
    store.close()


async def calm(monitor: Monitor, seconds: float) -> None:
    """Let time pass in which nothing may be detected."""
    found = await monitor.wait(time.monotonic(), seconds)
    assert found is None, found


async def pid_of(cluster: Cluster, node: str) -> int:
    identity = (await cluster.nodes.inspect(node)).identity
    assert identity is not None
    return int(identity.id)


async def kill_from_outside(pid: str) -> float:
    """Have a stranger do it; return when, on the clock that all processes of a machine share."""
    program = "import os, sys, time; print(time.monotonic(), flush=True); os.kill(int(sys.argv[1]), 9)"
    stranger = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, pid, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await stranger.communicate()
    return float(said)


def led_by(monitor: Monitor) -> tuple[str, str]:
    """The leader and a follower."""
    assert monitor.snapshot is not None
    leader = monitor.snapshot.leader
    assert leader is not None
    return leader, next(node.name for node in monitor.snapshot.nodes if node.name != leader)


async def test_a_kill_through_the_runtime_and_one_from_another_process_are_seen_the_same(
    cluster: Cluster, monitor: Monitor
) -> None:
    _, node = led_by(monitor)
    for outside in (False, True):
        view = await cluster.nodes.inspect(node)
        assert view.identity is not None
        at = time.monotonic()
        if outside:
            at = await kill_from_outside(view.identity.id)
        else:
            await cluster.require(Kill).kill(node, view.identity)
        detection = await monitor.wait(at, BOUND_S)
        assert detection is not None
        assert detection.nodes == (node,)
        assert detection.signals[0].kind in {"exit", "refused", "reset"}
        await cluster.require(Lifecycle).start(node)
        await until(lambda: not monitor.open_incidents)


async def test_a_stopped_process_is_seen(cluster: Cluster, monitor: Monitor) -> None:
    leader, _ = led_by(monitor)
    pid = await pid_of(cluster, leader)
    at = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        detection = await monitor.wait(at, BOUND_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert detection is not None
    assert detection.nodes == (leader,)
    await until(lambda: not monitor.open_incidents)


@pytest.mark.parametrize("role", ["leader", "follower"])
async def test_a_member_cut_off_from_all_is_named(cluster: Cluster, monitor: Monitor, role: str) -> None:
    leader, follower = led_by(monitor)
    node = leader if role == "leader" else follower
    at = time.monotonic()
    await cluster.require(Network).set_network([LinkRule(node, "cut", scope=Scope.BOTH)])
    detection = await monitor.wait(at, BOUND_S)
    assert detection is not None
    assert detection.nodes == (node,), [(round(s.at - at, 3), s.raw) for s in monitor.signals]
    await cluster.require(Network).set_network([])
    await until(lambda: not monitor.open_incidents)


@pytest.mark.parametrize("share", [0.5, 1.0])
async def test_a_member_that_loses_new_connections_is_named_though_those_that_stand_stand(
    cluster: Cluster, monitor: Monitor, share: float
) -> None:
    _, node = led_by(monitor)
    at = time.monotonic()
    await cluster.require(Network).set_network([LinkRule(node, "loss", share)])
    detection = await monitor.wait(at, BOUND_S)
    assert detection is not None
    assert detection.nodes == (node,)
    assert [signal.kind for signal in detection.signals] == ["lossy"]
    await cluster.require(Network).set_network([])
    await until(lambda: not monitor.open_incidents)


@pytest.mark.parametrize("role", ["leader", "follower"])
async def test_a_planned_restart_is_no_alarm(cluster: Cluster, monitor: Monitor, role: str) -> None:
    leader, follower = led_by(monitor)
    node = leader if role == "leader" else follower
    with monitor.maintenance([node], "restart asked for"):
        await cluster.require(Lifecycle).stop(node, 10)
        await cluster.require(Lifecycle).start(node)
        await healthy(cluster)
    await calm(monitor, 2.0)


async def test_a_leader_that_is_moved_is_no_alarm(cluster: Cluster, monitor: Monitor) -> None:
    leader, follower = led_by(monitor)
    snapshot = await cluster.subject.observe()
    target = int(snapshot.node(follower).member_id or "0", 16)
    await _move_leader(cluster, leader, target)
    await until(lambda: monitor.snapshot is not None and monitor.snapshot.leader == follower)
    await calm(monitor, 1.0)


async def _move_leader(cluster: Cluster, leader: str, target: int) -> None:
    import httpx2

    address = (await cluster.subject.observe()).node(leader).address
    async with httpx2.AsyncClient(trust_env=False) as http:
        asked: Awaitable[httpx2.Response] = http.post(
            f"{address}/v3/maintenance/transfer-leadership", json={"targetID": str(target)}
        )
        response = await asked
    assert response.status_code == 200, response.text
