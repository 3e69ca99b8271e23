"""What is refused, with the reason and what to do instead, before anything is touched."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from subjects.base import (
    Capability,
    Cluster,
    ClusterSnapshot,
    Connection,
    Direction,
    Health,
    Identity,
    Primitive,
    Probe,
    Scope,
)
from subjects.runtimes.endpoints import EndpointNodes
from tests.standins.embedded import pid_of
from tools.errors import NothingToDo, Refused, UnknownNode
from tools.faults.catalogue import Settings
from tools.faults.service import FaultService


@pytest.fixture(autouse=True)
async def _touches_nothing(cluster: Cluster, service: FaultService) -> AsyncIterator[None]:
    """No refusal leaves a fault in the journal or another process in a node's place."""
    before = [pid_of(cluster, node) for node in cluster.subject.nodes]
    yield
    await service.restore()
    assert [pid_of(cluster, node) for node in cluster.subject.nodes] == before


class OnlyKills:
    """A control that implements one acting protocol, though it says more of itself."""

    act_timeout_s = 20.0
    verify_s = 15.0

    def capabilities(self) -> dict[Primitive, Capability]:
        return {
            Primitive.KILL: Capability(available=True, reason="SIGKILL"),
            Primitive.PAUSE: Capability(available=True, reason="said, but not implemented"),
            Primitive.NETWORK_CUT: Capability(available=False, reason="pods share the host's network"),
        }

    async def kill(self, node: str, identity: Identity) -> None:
        raise AssertionError("nothing here is killed")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("pause", "there is no way to do it on process"),
        ("partition", "pods share the host's network"),
        ("network_delay", "there is no way to do it on process"),
        ("restart", "there is no way to do it on process"),
    ],
)
async def test_what_a_control_does_not_implement(
    cluster: Cluster, service: FaultService, fault: str, why: str
) -> None:
    limited = Cluster("limited", cluster.subject, cluster.nodes, OnlyKills())

    with pytest.raises(Refused, match=why) as refused:
        await service.inject(limited, fault)

    assert refused.value.next == "What can be done here: kill, leader_kill, quorum_loss, none."
    assert service.journal.open_faults() == []
    assert not limited.ours


@pytest.mark.parametrize("settings", [Settings(Scope.PEERS), Settings(direction=Direction.IN)])
@pytest.mark.parametrize("fault", ["kill", "pause", "disk_full", "quorum_loss"])
async def test_a_scope_or_a_direction_of_what_has_none(
    cluster: Cluster, service: FaultService, fault: str, settings: Settings
) -> None:
    with pytest.raises(Refused, match=f"{fault} is not a network fault"):
        await service.inject(cluster, fault, settings=settings, allow_quorum_loss=True)

    assert service.journal.open_faults() == []


async def test_a_fault_that_there_is_not(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(Refused, match="no fault 'earthquake'") as refused:
        await service.inject(cluster, "earthquake")

    assert "leader_kill" in refused.value.next


async def test_a_cluster_that_somebody_else_runs(cluster: Cluster, service: FaultService) -> None:
    theirs = Cluster("theirs", cluster.subject, EndpointNodes())
    with pytest.raises(Refused, match="external cluster, read-only"):
        await service.inject(theirs, "kill")


async def test_the_loss_of_the_majority(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(Refused, match="1 of 3 voters would be left, 2 are needed") as refused:
        await service.inject(cluster, "quorum_loss")

    assert "--allow-quorum-loss" in refused.value.next
    assert service.journal.open_faults() == []


async def test_members_that_a_busy_machine_keeps_from_answering_are_waited_for_not_taken_for_lost(
    cluster: Cluster, service: FaultService, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe, busy = cluster.subject.observe, iter(range(3))

    async def late() -> ClusterSnapshot:
        seen = await observe()
        if next(busy, None) is None:
            return seen
        silent = Probe(Connection.SILENT, Health.UNKNOWN)
        return replace(seen, nodes=tuple(replace(node, itself=silent) for node in seen.nodes))

    monkeypatch.setattr(cluster.subject, "observe", late)

    plan = await service.preview(cluster, "kill", "follower", Settings())
    assert plan.prediction.votes_left == 2


async def test_a_second_fault_while_one_is_open_unless_asked_for(
    cluster: Cluster, service: FaultService
) -> None:
    first = await service.inject(cluster, "network_delay", "etcd-1")
    with pytest.raises(Refused, match=f"Fault {first.record.id} .network_delay on etcd-1. is still open"):
        await service.inject(cluster, "pause", "etcd-2")


async def test_a_second_fault_that_with_the_first_takes_the_majority(
    cluster: Cluster, service: FaultService
) -> None:
    """The first is a full disk: the member still answers, but will not for long."""
    await service.inject(cluster, "disk_full", "etcd-1")
    with pytest.raises(Refused, match="1 of 3 voters would be left"):
        await service.inject(cluster, "pause", "etcd-2", several=True)


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, 1e9, float("nan")])
async def test_a_time_to_live_out_of_bounds(cluster: Cluster, service: FaultService, ttl_s: float) -> None:
    with pytest.raises(Refused, match="ttl_s"):
        await service.inject(cluster, "pause", settings=Settings(ttl_s=ttl_s))


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
async def test_a_strength_that_is_no_number(cluster: Cluster, service: FaultService, value: float) -> None:
    with pytest.raises(Refused, match="value"):
        await service.inject(cluster, "network_delay", settings=Settings(value=value))


async def test_a_node_that_there_is_not(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(UnknownNode) as unknown:
        await service.inject(cluster, "kill", "etcd-9")

    assert "etcd-1, etcd-2, etcd-3, random, leader, follower." in unknown.value.next


async def test_healing_when_nothing_is_broken(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(NothingToDo):
        await service.heal(cluster)
