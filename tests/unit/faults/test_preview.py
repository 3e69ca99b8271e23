"""What a person is shown before an act is what is done, and nothing is done that can't be undone."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from subjects.base import Cluster
from subjects.clusters import open_cluster
from subjects.runtimes import layout
from subjects.state import StateFolder
from tests.standins.embedded import ETCD, process_runtime
from tests.waiting import healthy
from tools.errors import NothingToDo, Refused
from tools.faults.catalogue import Settings
from tools.faults.service import FaultService
from tools.faults.tools import HealParams, _preview_heal


async def test_it_names_the_node_the_prediction_and_the_undo(cluster: Cluster, service: FaultService) -> None:
    plan = await service.preview(cluster, "kill", "follower", Settings())

    (node,) = plan.nodes
    first, predicted, undo = plan.words.splitlines()
    assert first == f"kill of {node}"
    assert "2 of 3 voters stay, 2 are needed" in predicted
    assert f"start {node} again on its own data" in undo
    assert service.journal.open_faults() == []


@pytest.mark.parametrize("fault", [None, 7])
async def test_nobody_is_asked_to_allow_a_heal_of_nothing(
    cluster: Cluster, service: FaultService, fault: int | None
) -> None:
    with pytest.raises(NothingToDo, match="There is no open fault to heal"):
        await _preview_heal(HealParams(fault=fault), _Workbench(service, cluster))  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Workbench:
    faults: FaultService
    cluster: Cluster

    def require_cluster(self) -> Cluster:
        return self.cluster


@pytest.mark.parametrize("target", ["random", "follower"])
async def test_the_node_that_was_shown_is_the_one_that_is_hit(
    cluster: Cluster, service: FaultService, target: str
) -> None:
    for _ in range(4):  # a choice made again would soon be another one
        plan = await service.preview(cluster, "pause", target, Settings())
    done = await service.inject(cluster, "pause", target)

    assert done.record.nodes == plan.nodes


async def test_a_role_that_moved_since_is_asked_for_anew(cluster: Cluster, service: FaultService) -> None:
    plan = await service.preview(cluster, "kill", "leader", Settings())
    others = [name for name in cluster.subject.nodes if name not in plan.nodes]
    service._shown = ("kill", "leader", (others[0],))

    with pytest.raises(Refused, match=f"{others[0]} is no longer the leader"):
        await service.inject(cluster, "kill", "leader")

    assert service.journal.open_faults() == []


async def test_a_node_whose_program_is_gone_is_not_killed(
    state: StateFolder, cluster: Cluster, service: FaultService, tmp_path: Path
) -> None:
    file = process_runtime(cluster).folder / "cluster.json"
    kept = file.read_text()
    raw = json.loads(kept)
    for spec in raw["nodes"]:
        spec["argv"][0] = str(tmp_path / "moved" / "etcd")
    file.write_text(json.dumps(raw))
    try:
        moved = await open_cluster(state, ETCD)
        try:
            assert layout.load(process_runtime(moved).folder) is not None
            with pytest.raises(Refused, match="could not be started again"):
                await service.inject(moved, "kill", "follower")
        finally:
            await moved.aclose()
    finally:
        file.write_text(kept)

    await healthy(cluster)
    assert service.journal.open_faults() == []
