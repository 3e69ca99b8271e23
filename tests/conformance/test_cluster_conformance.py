"""What every subject on every runtime must do. Written against the protocols alone."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from subjects.base import (
    Cluster,
    ClusterSnapshot,
    ClusterState,
    Connection,
    Deployment,
    Health,
    Identity,
    Kill,
    LinkRule,
    NodeView,
    Pause,
    Primitive,
    ProcessState,
    Role,
    RuntimeEvent,
    Scope,
)
from subjects.base.control import IMPLEMENTED_BY
from subjects.errors import StaleTarget
from tests.conformance.conftest import until
from tools.detection.monitor import Monitor
from tools.faults.catalogue import CATALOGUE, Settings, capability
from tools.incidents.store import IncidentStore
from tools.load.run import LoadRun
from tools.load.settings import LoadSettings
from tools.observe.ledger import Ledger

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOUND_S = 60.0
"""Ends what hangs: an engine tells of a kill in 40 ms, and peers of silence after 5 s."""


def is_healthy(snapshot: ClusterSnapshot) -> bool:
    return snapshot.state is ClusterState.HEALTHY


def victim_of(snapshot: ClusterSnapshot, cluster: Cluster) -> NodeView:
    """A store that does not lead, where stores lead at all."""
    return next(snapshot.node(name) for name in cluster.subject.stores if name != snapshot.leader)


def identity_of(view: NodeView) -> Identity:
    assert view.process.identity is not None
    return view.process.identity


@contextlib.asynccontextmanager
async def heard(cluster: Cluster) -> AsyncIterator["asyncio.Queue[RuntimeEvent]"]:
    """The runtime's events from now on."""
    queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
    listening = asyncio.Event()

    async def listen() -> None:
        events = cluster.nodes.events()
        listening.set()
        async for event in events:
            queue.put_nowait(event)

    task = asyncio.create_task(listen())
    await listening.wait()
    await asyncio.sleep(0.4)  # there is no word for `the stream is open`; a late one only costs an event
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def next_event(queue: "asyncio.Queue[RuntimeEvent]", node: str, kind: str) -> RuntimeEvent:
    async with asyncio.timeout(BOUND_S):
        while True:
            event = await queue.get()
            if (event.node, event.kind) == (node, kind):
                return event


async def test_a_healthy_cluster_is_seen_from_every_side(cluster: Cluster) -> None:
    snapshot = await until(cluster, is_healthy)

    assert tuple(node.name for node in snapshot.nodes) == cluster.subject.nodes
    assert set(cluster.subject.stores) <= set(cluster.subject.nodes)
    assert len(cluster.subject.stores) == 3
    assert snapshot.leader in cluster.subject.nodes
    assert snapshot.quorum.held
    assert snapshot.problems == ()
    for node in snapshot.nodes:
        assert node.process.state is ProcessState.RUNNING
        assert node.process.identity is not None
        assert node.itself.health is Health.HEALTHY, node
        assert node.client.connection is Connection.ACCEPTED, node
        assert node.role is not Role.UNKNOWN
        assert node.member_id
        assert node.started_at
        assert node.started_at <= time.time() + 1


def acting(cluster: Cluster) -> Any:
    """The control of a cluster of ours, which implements every acting protocol."""
    for part in (Deployment, *IMPLEMENTED_BY.values()):
        assert isinstance(cluster.control, part)
    return cluster.control


async def test_every_primitive_has_a_reason(cluster: Cluster) -> None:
    capabilities = {primitive: cluster.capability(primitive) for primitive in Primitive}

    assert all(capability.reason for capability in capabilities.values())
    for primitive in (Primitive.KILL, Primitive.PAUSE, Primitive.NETWORK_CUT, Primitive.RESTART):
        assert capabilities[primitive].available, primitive


async def test_a_kill_is_told_at_once_and_undone_on_the_same_data(cluster: Cluster) -> None:
    runtime = acting(cluster)
    before = victim_of(await until(cluster, is_healthy), cluster)
    name = before.name

    async with heard(cluster) as events:
        await runtime.kill(name, identity_of(before))
        await next_event(events, name, "exit")

    dead = (await until(cluster, lambda p: not is_healthy(p))).node(name)
    assert dead.process.state is ProcessState.EXITED
    view = await runtime.inspect(name)
    assert view.exit_code == 137, view
    assert dead.itself.connection is not Connection.ACCEPTED

    await runtime.start(name)
    after = (await until(cluster, is_healthy)).node(name)
    assert after.member_id == before.member_id
    assert identity_of(after) != identity_of(before)


async def test_a_pause_is_seen_as_such_and_undone(cluster: Cluster) -> None:
    runtime = acting(cluster)
    before = victim_of(await until(cluster, is_healthy), cluster)
    name = before.name

    async with heard(cluster) as events:
        await runtime.pause(name, identity_of(before))
        await next_event(events, name, "stopped")
    try:
        frozen = (await until(cluster, lambda p: not is_healthy(p))).node(name)
        assert frozen.process.state is ProcessState.PAUSED
        assert (await cluster.subject.probe(name, 0.5)).connection is Connection.SILENT
    finally:
        await runtime.resume(name, identity_of(before))
    await runtime.resume(name, identity_of(before))

    after = (await until(cluster, is_healthy)).node(name)
    assert identity_of(after) == identity_of(before)
    assert after.member_id == before.member_id


async def test_a_partition_leaves_the_process_running_and_is_seen_by_others(cluster: Cluster) -> None:
    runtime = acting(cluster)
    before = victim_of(await until(cluster, is_healthy), cluster)
    rule = LinkRule(before.name, "cut", scope=Scope.PEERS)
    assert capability(CATALOGUE["partition"], cluster, Settings(scope=Scope.PEERS)).available

    await runtime.set_network([rule])
    try:
        assert await runtime.network() == (rule,)
        cut = (await until(cluster, lambda p: not is_healthy(p), BOUND_S)).node(before.name)
        assert cut.process.state is ProcessState.RUNNING
        assert identity_of(cut) == identity_of(before)
        await until(cluster, lambda snapshot: snapshot.quorum.held)  # one look may be late on a busy machine
    finally:
        await runtime.set_network([])

    assert await runtime.network() == ()
    after = (await until(cluster, is_healthy)).node(before.name)
    assert identity_of(after) == identity_of(before)
    assert after.member_id == before.member_id


async def test_nobody_but_the_one_meant_is_touched(cluster: Cluster) -> None:
    victim = victim_of(await until(cluster, is_healthy), cluster)
    real = identity_of(victim)
    stale = Identity(real.kind, real.id, "another start")

    for act in (cluster.require(Kill).kill, cluster.require(Pause).pause):
        with pytest.raises(StaleTarget):
            await act(victim.name, stale)

    assert (await cluster.nodes.inspect(victim.name)).identity == real
    assert is_healthy(await until(cluster, is_healthy))


async def test_logs_are_read_since_a_time(cluster: Cluster) -> None:
    name = cluster.subject.stores[0]

    assert await cluster.nodes.logs(name, limit=5)
    assert len(await cluster.nodes.logs(name, limit=2)) == 2
    assert await cluster.nodes.logs(name, since=time.time() + 3600) == []


@pytest.mark.parametrize("fault", ["kill", "pause", "partition"])
async def test_the_monitor_detects(cluster: Cluster, fault: str, tmp_path: Path) -> None:
    runtime = acting(cluster)
    victim = victim_of(await until(cluster, is_healthy), cluster)
    store = IncidentStore(tmp_path / "operator.db")
    monitor = Monitor(cluster, Ledger(), store, lambda _event: None)
    await monitor.start()
    try:
        began = time.monotonic()
        match fault:
            case "kill":
                await runtime.kill(victim.name, identity_of(victim))
            case "pause":
                await runtime.pause(victim.name, identity_of(victim))
            case "partition":
                await runtime.set_network([LinkRule(victim.name, "cut", scope=Scope.PEERS)])
        detection = await monitor.wait(began, BOUND_S)
        assert detection is not None, monitor.signals
        assert victim.name in detection.nodes
    finally:
        await monitor.stop()
        store.close()
        await runtime.set_network([])
        if fault == "pause":
            await runtime.resume(victim.name, identity_of(victim))
        await runtime.start(victim.name)
    await until(cluster, is_healthy)


async def test_load_is_measured_second_by_second(cluster: Cluster, tmp_path: Path) -> None:
    run = await LoadRun.start(
        cluster.subject.load_target(),
        LoadSettings(records=50, rate=50),
        tmp_path / "load",
        lambda _window: None,
    )
    try:
        assert await run.wait_windows(4, 20)
        assert run.problem == ""
        assert sum(window.operations for window in run.windows) > 20
        assert sum(window.errors for window in run.windows) == 0
    finally:
        await run.stop()
