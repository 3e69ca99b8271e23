"""Healthy is a cluster whose regions all have their replicas, by PD's own count."""

import pytest

from subjects.base import ClusterState, Role
from subjects.tikv.judge import INVARIANTS
from subjects.tikv.subject import TikvSubject
from tests.unit.tikv.world import World
from tools.errors import Refused
from tools.faults import catalogue, guard
from tools.observe.limits import limits_of
from tools.observe.snapshot_diff import SnapshotDiff


def region(number: int, *stores: int, **more: object) -> dict[str, object]:
    peers = [{"id": number * 10 + store, "store_id": store} for store in stores]
    return {"id": number, "peers": peers, "leader": peers[0], **more}


def peers(*stores: int) -> list[dict[str, object]]:
    return [{"id": 90 + store, "store_id": store} for store in stores]


async def test_a_region_with_a_single_replica_is_no_healthy_cluster(world: World) -> None:
    world.pd(short={"miss-peer": [region(1, 1), region(2, 1, 2)]})

    snapshot = await world.look()

    assert snapshot.state is ClusterState.DEGRADED
    assert snapshot.problems == ("2 of 21 regions lack a replica",)
    missing = {
        node.name: node.details["missing_replicas"] for node in snapshot.nodes if node.role is Role.STORE
    }
    assert missing == {"tikv1": 0, "tikv2": 1, "tikv3": 2}


async def test_replicas_that_are_behind_or_gone_are_counted_where_they_are(world: World) -> None:
    world.pd(
        short={
            "pending-peer": [region(1, 1, 2, 3, pending_peers=peers(3))],
            "down-peer": [region(2, 1, 2, 3, down_peers=[{"down_seconds": 642, "peer": peers(2)[0]}])],
        }
    )

    snapshot = await world.look()

    assert snapshot.problems == (
        "1 of 21 regions have a replica that is behind",
        "1 of 21 regions have a replica that has been down for minutes",
    )
    assert [snapshot.node(f"tikv{n}").details["missing_replicas"] for n in (1, 2, 3)] == [0, 1, 1]


async def test_a_region_that_nobody_leads_is_told(world: World) -> None:
    world.pd(tikv1={"leader_count": 5})

    snapshot = await world.look()

    assert snapshot.problems == ("2 of 21 regions have no leader",)
    shown = {each.kind: each.raw for each in SnapshotDiff(limits_of(INVARIANTS)).read(snapshot, 0.0)}
    assert shown["regions_leaderless"] == "2 of 21 regions have no leader"
    world.pd()
    led = {each.kind for each in SnapshotDiff(limits_of(INVARIANTS)).read(await world.look(), 1.0)}
    assert "regions_led" in led


async def test_the_guard_refuses_a_kill_while_replicas_are_missing_and_nothing_else(world: World) -> None:
    world.pd(short={"miss-peer": [region(1, 1)]})
    snapshot = await world.look()

    def checked(kind: str, node: str, *, allowed: bool = False) -> None:
        fault = catalogue.find(kind)
        lost = catalogue.takes_votes(fault, catalogue.Settings())
        found = guard.predict(TikvSubject.stall_s, snapshot, fault, [node], votes_lost=lost, absent=())
        guard.check_replicas(found, snapshot, [node], allowed=allowed)

    with pytest.raises(Refused, match="1 of 21 regions lack a replica"):
        checked("kill", "tikv2")
    checked("kill", "tikv2", allowed=True)
    checked("network_delay", "tikv2")  # it takes no vote
    checked("kill", "pd0")  # it holds no data


async def test_what_pd_cannot_say_is_no_permission(world: World) -> None:
    for name in ("pd0", "pd1", "pd2"):
        world.http.get(f"http://{name}:2379/pd/api/v1/regions/check/miss-peer").respond(500, text="busy")
    snapshot = await world.look()
    found = guard.predict(
        TikvSubject.stall_s, snapshot, catalogue.find("kill"), ["tikv2"], votes_lost=True, absent=()
    )

    with pytest.raises(Refused, match="cannot be found out"):
        guard.check_replicas(found, snapshot, ["tikv2"], allowed=False)


async def test_a_full_and_a_slow_store_are_told(world: World) -> None:
    world.pd(tikv2={"available": "100MiB"}, tikv3={"slow_score": 90})

    problems = (await world.look()).problems

    assert problems == (
        "tikv2: 100 MiB of disk left: it may refuse writes",
        "tikv3: PD holds it for slow (slow score 90 of 100)",
    )
