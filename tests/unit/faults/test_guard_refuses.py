"""What is refused, with the reason and what to do instead, before anything is touched."""

from collections.abc import AsyncIterator

import pytest

from subjects.base import Cluster, Scope
from subjects.runtimes.attach import AttachRuntime
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


async def test_what_this_machine_cannot_do(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(Refused, match="share its clock") as refused:
        await service.inject(cluster, "clock_skew")

    assert "kill, pause, partition" in refused.value.next
    assert service.journal.open_faults() == []


async def test_a_fault_that_there_is_not(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(Refused, match="no fault 'earthquake'") as refused:
        await service.inject(cluster, "earthquake")

    assert "leader_kill" in refused.value.next


async def test_a_cluster_that_somebody_else_runs(cluster: Cluster, service: FaultService) -> None:
    theirs = Cluster("theirs", cluster.subject, AttachRuntime())
    with pytest.raises(Refused, match="somebody else's"):
        await service.inject(theirs, "kill")


async def test_the_loss_of_the_majority(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(Refused, match="1 of 3 voters would be left, 2 are needed") as refused:
        await service.inject(cluster, "quorum_loss")

    assert "--allow-quorum-loss" in refused.value.next
    assert service.journal.open_faults() == []


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


async def test_the_majority_whatever_scope_is_named_for_a_fault_that_has_none(
    cluster: Cluster, service: FaultService
) -> None:
    await service.inject(cluster, "pause", "etcd-1")
    with pytest.raises(Refused, match="1 of 3 voters would be left"):
        await service.inject(cluster, "pause", "etcd-2", Settings(scope=Scope.CLIENTS), several=True)


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

    assert "etcd-1, etcd-2, etcd-3, random, leader, follower" in unknown.value.next


async def test_healing_when_nothing_is_broken(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(NothingToDo):
        await service.heal(cluster)
