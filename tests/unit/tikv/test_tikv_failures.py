"""Every failure of §6: what the subject says of it, side by side, and what it does not say."""

import httpx2
import pytest

from subjects.base import ClusterState, Connection, ControlState, Health, ProcessState, ProcessView
from tests.unit.tikv import pd_answers
from tests.unit.tikv.world import NUMBERS, PDS, World


async def test_all_is_well(world: World) -> None:
    snapshot = await world.look()

    assert (snapshot.state, snapshot.problems) == (ClusterState.HEALTHY, ())
    assert snapshot.leader == "pd0"
    assert snapshot.node("tikv1").control is ControlState.UP


async def test_a_killed_store(world: World) -> None:
    await world.look()
    world.engine.views["tikv2"] = ProcessView(ProcessState.EXITED, exit_code=137, oom_killed=False, raw="137")
    world.store_fails(2, httpx2.ConnectError("refused"))
    world.pd(tikv2={"state": "Disconnected", "age_s": 25.0})
    for number in (1, 3):
        world.store_answers(number, {2: 4}, heard=3)
    await world.look()
    for number in (1, 3):
        world.store_answers(number, {2: 5}, heard=6)

    snapshot = await world.look()

    dead = snapshot.node("tikv2")
    assert dead.process.exit_code == 137
    assert dead.itself.connection is Connection.REFUSED
    assert dead.control is ControlState.DISCONNECTED
    assert dead.heartbeat_age_s == pytest.approx(25.0, abs=2)
    assert dead.peers == {"tikv1": False, "tikv3": False}
    assert snapshot.node("tikv1").peers == {"tikv3": True}
    assert snapshot.state is ClusterState.DEGRADED
    assert snapshot.quorum.held


async def test_a_paused_store_is_silent_and_not_refused(world: World) -> None:
    world.engine.views["tikv2"] = ProcessView(ProcessState.PAUSED, raw="paused")
    world.store_fails(2, httpx2.ReadTimeout("silent"))

    paused = (await world.look()).node("tikv2")

    assert paused.process.state is ProcessState.PAUSED
    assert paused.itself.connection is Connection.SILENT


async def test_what_was_counted_against_a_store_ends_with_its_next_start(world: World) -> None:
    for step in (1, 2):
        for number in (1, 3):
            world.store_answers(number, {2: step})
        await world.look()
    lost = (await world.look()).node("tikv2").peers
    world.pd(tikv2={"started": 1767229999})
    for number in (1, 3):
        world.store_answers(number, {2: 3})

    snapshot = await world.look()

    assert lost == {"tikv1": False, "tikv3": False}
    assert snapshot.node("tikv2").peers == {}
    assert snapshot.problems == ()


async def test_a_partitioned_store_is_healthy_by_itself_and_lost_to_the_others(world: World) -> None:
    await world.look()
    for step in (1, 2):
        for number in (1, 3):
            world.store_answers(number, {2: step}, heard=step)
        world.store_answers(2, {1: step, 3: step})
        await world.look()
    world.pd(tikv2={"state": "Disconnected", "age_s": 21.0})

    snapshot = await world.look()

    cut = snapshot.node("tikv2")
    assert cut.process.state is ProcessState.RUNNING
    assert cut.itself.health is Health.HEALTHY
    assert cut.peers == {"tikv1": False, "tikv3": False}
    assert cut.control is ControlState.DISCONNECTED
    assert snapshot.state is ClusterState.DEGRADED


async def test_after_a_change_of_pd_leader_healthy_stores_are_not_held_for_lost(world: World) -> None:
    await world.look()
    stale = {"state": "Disconnected", "age_s": 240.0}
    world.pd(leader="pd1", tikv1=stale, tikv2=stale, tikv3=stale)

    snapshot = await world.look()

    assert snapshot.leader == "pd1"
    assert {node.control for node in snapshot.nodes} == {ControlState.UNKNOWN}
    assert snapshot.quorum.held


async def test_the_trap_does_not_hide_a_store_that_is_really_gone(world: World) -> None:
    await world.look()
    stale = {"state": "Disconnected", "age_s": 240.0}
    world.pd(leader="pd1", tikv1=stale, tikv2=stale, tikv3=stale)
    world.store_fails(2, httpx2.ReadTimeout("silent"))

    snapshot = await world.look()

    assert snapshot.node("tikv2").control is ControlState.DISCONNECTED
    assert snapshot.node("tikv1").control is ControlState.UNKNOWN


async def test_without_a_pd_leader_stores_are_not_blamed(world: World) -> None:
    await world.look()
    for name in PDS:
        for path in ("members", "stores"):
            world.http.get(f"http://{name}:2379/pd/api/v1/{path}").respond(503, text=pd_answers.NO_LEADER)

    snapshot = await world.look()

    assert snapshot.leader is None
    assert snapshot.state is ClusterState.DEGRADED  # clients go on
    assert "PD has no leader: no region is moved or split" in "; ".join(snapshot.problems)
    assert snapshot.replication is not None
    assert snapshot.replication.complete is None
    assert any("finds no leader" in problem for problem in snapshot.problems)
    assert all(snapshot.node(f"tikv{n}").itself.health is Health.HEALTHY for n in NUMBERS)
    assert snapshot.quorum.held


async def test_two_of_three_stores_lost_is_a_lost_quorum(world: World) -> None:
    for number in (2, 3):
        world.engine.views[f"tikv{number}"] = ProcessView(ProcessState.EXITED, exit_code=137, raw="137")
        world.store_fails(number, httpx2.ConnectError("refused"))

    snapshot = await world.look()

    assert (snapshot.quorum.up, snapshot.quorum.held) == (1, False)
    assert snapshot.state is ClusterState.DOWN


async def test_slow_and_full_stores_are_told_in_figures(world: World) -> None:
    world.pd(
        tikv1={"slow_score": 90, "is_busy": True, "network_slow_score": {"2": 7, "3": 40}},
        tikv2={"available": "300MiB"},
        tikv3={"pending_peer_count": 4},
    )

    snapshot = await world.look()

    slow = snapshot.node("tikv1").details
    assert (slow["slow_score"], slow["busy"], slow["network_slow_score"]) == (90, True, 40)
    assert snapshot.node("tikv2").disk_free_bytes == 300 << 20
    assert snapshot.node("tikv3").lag == 4
    assert "tikv3: 4 peers behind" in snapshot.problems
