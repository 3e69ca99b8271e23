"""Each database tells whom a fault may be aimed at, and whom when nobody says."""

from dataclasses import replace
from pathlib import Path

import pytest

from subjects import databases
from subjects.base import RANDOM, ClusterSnapshot
from subjects.runtimes.identity import own
from subjects.state import open_state
from subjects.target_roles import roles_help, target_roles
from subjects.tikv import targets as of_tikv
from tests.standins.scripted_cluster import scripted_cluster
from tools.errors import Refused
from tools.faults import catalogue
from tools.faults.catalogue import CATALOGUE
from tools.faults.service import FaultService
from tools.registry import load_tools

KILL = catalogue.find("kill")
STORES = ("n1", "n2", "n3")


def led(snapshot: ClusterSnapshot, *leaders: int) -> ClusterSnapshot:
    """The snapshot with so many regions led by each store."""
    nodes = zip(snapshot.nodes, leaders, strict=True)
    return replace(snapshot, nodes=tuple(replace(n, details={"leaders": count}) for n, count in nodes))


async def test_who_is_not_named_is_the_role_that_the_database_is_usually_tried_on(tmp_path: Path) -> None:
    state = open_state(tmp_path / "state")
    service = FaultService(state, seed=1)
    cluster, subject, _ = await scripted_cluster(STORES)
    seen = await subject.observe()
    try:
        of_etcd = {service._choose_now(cluster, seen, KILL, None)[0] for _ in range(50)}
        subject.targets, subject.usual_target = of_tikv.TARGETS, of_tikv.USUAL_TARGET

        assert of_etcd == set(STORES)
        assert {service._choose_now(cluster, led(seen, 1, 5, 3), KILL, None)[0] for _ in range(20)} == {"n2"}
        # Right after a start nobody is known to lead one; only who asked for the role is told so.
        assert service._choose_now(cluster, led(seen, 0, 0, 0), KILL, None)[0] in STORES
        with pytest.raises(Refused, match="known to lead regions"):
            service._choose_now(cluster, led(seen, 0, 0, 0), KILL, "region-leader")
    finally:
        service.close()
        await cluster.aclose()


async def test_a_fault_on_another_cluster_with_such_a_node_is_not_this_ones(
    tmp_path: Path,
) -> None:
    service = FaultService(open_state(tmp_path / "state"))
    cluster, _, _ = await scripted_cluster(STORES)
    try:
        ours, _ = (
            service.journal.plan(
                cluster=name,
                kind="pause",
                nodes=["n1"],
                steps=[],
                members={},
                prediction={},
                owner=own(),
                ttl_s=60,
            )
            for name in (cluster.id, "another")
        )
        found = service.open_on(cluster, "n1")

        assert found is not None
        assert found.id == ours
    finally:
        service.close()
        await cluster.aclose()


def test_a_role_of_one_database_is_offered_for_that_one_alone() -> None:
    assert "region-leader" not in target_roles("etcd")
    assert "region-leader (tikv)" in roles_help()
    assert all(RANDOM in target_roles(name) for name in databases())


def test_a_model_is_offered_every_fault_by_its_name_and_no_other() -> None:
    assert load_tools()["fault_inject"].schema["properties"]["kind"]["enum"] == list(CATALOGUE)
