"""Restored means restored: a member that was deleted, wiped and made again does not pass for the old one."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from subjects.base import Cluster, ClusterSnapshot, ClusterState, Subject
from subjects.clusters import open_cluster
from subjects.runtimes import layout
from subjects.state import StateFolder
from tests.standins.embedded import ETCD, bring_up, own_port, process_runtime, take_down
from tests.waiting import healthy, until
from tools.faults import recovery
from tools.faults.service import FaultService
from tools.faults.steps import State
from tools.observe.figures import LoadFigures


@pytest.fixture
def own_state(tmp_path: Path) -> Iterator[StateFolder]:
    """A cluster of its own: this room's is not to be wrecked."""
    made = bring_up(tmp_path)
    yield made
    take_down(made)


@pytest.fixture
async def own_service(own_state: StateFolder) -> AsyncIterator[FaultService]:
    made = FaultService(own_state)
    yield made
    made.close()


@pytest.fixture
async def own_cluster(own_state: StateFolder) -> AsyncIterator[Cluster]:
    opened = await open_cluster(own_state, ETCD)
    yield opened
    await opened.aclose()


async def test_a_member_deleted_and_made_again_is_neither_healed_nor_recovered(
    own_cluster: Cluster, own_service: FaultService
) -> None:
    cluster, service = own_cluster, own_service
    members = {node.name: node.member_id for node in (await healthy(cluster)).nodes}
    done = await service.inject(cluster, "kill", "follower")
    node = done.record.nodes[0]

    other = next(name for name in cluster.subject.nodes if name != node)
    peer_url = await remove_member(cluster, other, node)
    wipe_and_join(cluster, node)
    await change_members(cluster, other, "add", {"peerURLs": [peer_url]})
    reports = await service.heal(cluster)
    snapshot = await healthy(cluster)

    assert snapshot.node(node).member_id not in (None, members[node])
    assert [report.state for report in reports] == [State.AMBIGUOUS]
    assert f"{node} is not the member it was before" in reports[0].text
    found = await recovery.confirm(cluster, members, None, None, timeout_s=1.0)
    assert not found.ok
    assert [check.name for check in found.checks if check.ok is False] == ["same members"]


async def test_a_member_that_is_gone_for_good_is_not_recovered(own_cluster: Cluster) -> None:
    cluster = own_cluster
    members = {node.name: node.member_id for node in (await healthy(cluster)).nodes}
    await remove_member(cluster, "etcd-1", "etcd-2")

    found = await recovery.confirm(cluster, members, None, None, timeout_s=4.0)
    assert not found.ok


class SlowToSay:
    """A subject whose members say that they are well before they say who they are."""

    def __init__(self, subject: Subject, looks: int) -> None:
        self._subject = subject
        self._looks = looks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subject, name)

    async def observe(self) -> ClusterSnapshot:
        snapshot = await self._subject.observe()
        if snapshot.state is not ClusterState.HEALTHY or not self._looks:
            return snapshot
        self._looks -= 1
        return replace(snapshot, nodes=tuple(replace(node, member_id=None) for node in snapshot.nodes))


async def test_a_member_that_is_slow_to_say_who_it_is_is_waited_for(
    cluster: Cluster, service: FaultService
) -> None:
    await service.inject(cluster, "pause", "follower")
    slow: Any = SlowToSay(cluster.subject, looks=3)
    reports = await service.heal(replace(cluster, subject=slow))

    assert [report.state for report in reports] == [State.HEALED], reports


async def test_all_must_be_well_for_three_seconds_without_a_break(cluster: Cluster) -> None:
    members = {node.name: node.member_id for node in (await healthy(cluster)).nodes}
    found = await recovery.confirm(cluster, members, None, None)

    assert found.ok
    assert {check.name: check.ok for check in found.checks} == {
        "same members": True,
        "healthy": True,
        "leader stable": True,
        "throughput": None,
        "client errors": None,
    }


class Measured:
    """Clients' figures that are what a test says."""

    def __init__(self, ops_per_s: float, errors: int) -> None:
        self._figures = LoadFigures(ops_per_s, 1.0, 2.0, errors)

    def figures(self, since_wall: float, until_wall: float) -> LoadFigures:
        return self._figures


@pytest.mark.parametrize(
    ("ops_per_s", "errors", "wrong"), [(70.0, 0, "throughput"), (99.0, 1, "client errors")]
)
async def test_clients_served_worse_than_before_is_no_recovery(
    cluster: Cluster, ops_per_s: float, errors: int, wrong: str
) -> None:
    before = LoadFigures(100.0, 1.0, 2.0, 0)
    found = await recovery.confirm(cluster, {}, Measured(ops_per_s, errors), before, timeout_s=3.0)

    assert not found.ok
    assert wrong in [check.name for check in found.checks if check.ok is False]


async def test_a_load_that_makes_up_for_lost_time_is_not_compared_yet(cluster: Cluster) -> None:
    before = LoadFigures(100.0, 1.0, 2.0, 0)
    found = await recovery.confirm(cluster, {}, Measured(240.0, 0), before, timeout_s=3.0, asked=100.0)

    assert not found.ok
    assert any("still catching up" in check.text for check in found.checks)


async def test_members_that_were_not_known_are_not_called_the_same(cluster: Cluster) -> None:
    found = await recovery.confirm(cluster, {}, None, None)

    assert {check.name: check.ok for check in found.checks}["same members"] is None


def call(cluster: Cluster, node: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
    url = f"http://127.0.0.1:{own_port(cluster, node)}/v3/{method}"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=60) as answer:
        said: dict[str, Any] = json.load(answer)
    return said


async def remove_member(cluster: Cluster, asked: str, node: str) -> str:
    """Remove the member from the cluster's books; returns its peer URL."""
    members = call(cluster, asked, "cluster/member/list", {})["members"]
    gone = next(member for member in members if member.get("name") == node)
    await change_members(cluster, asked, "remove", {"ID": gone["ID"]})
    return str(gone["peerURLs"][0])


async def change_members(cluster: Cluster, asked: str, change: str, body: dict[str, Any]) -> None:
    """Ask until etcd no longer holds its cluster for too unwell (strict reconfiguration check)."""

    def done() -> bool:
        try:
            call(cluster, asked, f"cluster/member/{change}", body)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return False
        return True

    await until(done, 60, f"etcd does not {change} the member")


def wipe_and_join(cluster: Cluster, node: str) -> None:
    """Delete the member's data, and let its next start join an existing cluster."""
    runtime = process_runtime(cluster)
    shutil.rmtree(runtime.folder / "nodes" / node / "data")
    file = runtime.folder / "cluster.json"
    raw = json.loads(file.read_text())
    for spec in raw["nodes"]:
        if spec["name"] == node:
            spec["argv"] = [each.replace("-state=new", "-state=existing") for each in spec["argv"]]
    file.write_text(json.dumps(raw))
    found = layout.load(runtime.folder)
    assert found is not None
    runtime.layout = found
