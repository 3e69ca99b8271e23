"""Every fault on real etcd: its effect and its undo are seen by the kernel, plain sockets and etcd itself."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from subjects.base import Cluster, Direction, Scope
from tests.standins.embedded import ask, client_port, letter, metrics_port, own_port, pid_of, put
from tests.waiting import until
from tools.faults.catalogue import CATALOGUE, Settings
from tools.faults.healing import HealReport
from tools.faults.service import FaultService
from tools.faults.steps import State


@dataclass
class Place:
    """One node before, and how it is looked at from outside."""

    cluster: Cluster
    node: str
    pid: int
    groups: str

    @property
    def pid_now(self) -> int:
        return pid_of(self.cluster, self.node)

    async def clients_are_answered(self) -> bool:
        return b"etcdserver" in (await ask(client_port(self.cluster, self.node), "/version", 0.5)).body

    async def answers_itself(self) -> bool:
        return b"etcdserver" in (await ask(own_port(self.cluster, self.node), "/version", 0.5)).body

    def file_limit(self) -> str:
        limits = Path(f"/proc/{self.pid_now}/limits").read_text()
        found = re.search(r"Max file size +(\S+)", limits)
        assert found
        return found[1]


Look = Callable[[Place], Awaitable[bool]]


async def is_gone(place: Place) -> bool:
    return letter(place.pid) in ("", "Z")


async def runs_anew(place: Place) -> bool:
    return place.pid_now != place.pid and await place.clients_are_answered()


async def is_stopped(place: Place) -> bool:
    return letter(place.pid) == "T"


async def goes_on(place: Place) -> bool:
    return letter(place.pid) in ("S", "R") and await place.clients_are_answered()


async def is_unreachable_but_alive(place: Place) -> bool:
    return not await place.clients_are_answered() and await place.answers_itself()


async def answers_late(place: Place) -> bool:
    through = await ask(client_port(place.cluster, place.node), "/version", 2.0)
    past = await ask(own_port(place.cluster, place.node), "/version", 2.0)
    return through.seconds > 0.5 and b"etcdserver" in through.body and past.seconds < 0.3


async def answers_soon(place: Place) -> bool:
    through = await ask(client_port(place.cluster, place.node), "/version", 2.0)
    return through.seconds < 0.3 and b"etcdserver" in through.body


async def some_get_no_answer(place: Place) -> bool:
    answers = [(await ask(client_port(place.cluster, place.node), "/version", 0.2)).body for _ in range(16)]
    return b"" in answers and await place.answers_itself()


async def all_are_answered(place: Place) -> bool:
    return all([await place.clients_are_answered() for _ in range(16)])


async def drips(place: Place) -> bool:
    body = (await ask(client_port(place.cluster, place.node), "/metrics", 1.0)).body
    return len(body) < 10_000


async def flows(place: Place) -> bool:
    return len((await ask(client_port(place.cluster, place.node), "/metrics", 2.0)).body) > 20_000


async def is_reset(place: Place) -> bool:
    return (await ask(client_port(place.cluster, place.node), "/version", 0.5)).reset


async def can_write_no_file(place: Place) -> bool:
    return place.file_limit() == "0"


async def can_write_files(place: Place) -> bool:
    return place.file_limit() == "unlimited" and await place.clients_are_answered()


async def is_throttled(place: Place) -> bool:
    """The kernel counts the periods in which it was held back, once it has something to do."""
    await ask(metrics_port(place.cluster, place.node), "/metrics", 0.2)
    groups = Path(f"/proc/{place.pid}/cgroup").read_text()
    name = next(line.rsplit(":", 1)[1] for line in groups.splitlines() if "operator-" in line)
    counted = [
        re.search(r"nr_throttled (\d+)", file.read_text())
        for file in Path("/sys/fs/cgroup").glob(f"**{name}/cpu.stat")
    ]
    return any(found is not None and int(found[1]) > 0 for found in counted)


async def is_in_its_old_group(place: Place) -> bool:
    return Path(f"/proc/{place.pid}/cgroup").read_text() == place.groups


async def nothing_can_be_written(place: Place) -> bool:
    nodes = place.cluster.subject.nodes
    return not any([await put(client_port(place.cluster, node), "q", "1", 1.0) for node in nodes])


async def can_be_written(place: Place) -> bool:
    return await put(client_port(place.cluster, place.node), "q", "2")


async def is_as_before(place: Place) -> bool:
    return place.pid_now == place.pid and await goes_on(place)


SEEN: dict[str, tuple[Look, Look]] = {
    "kill": (is_gone, runs_anew),
    "pause": (is_stopped, goes_on),
    "partition": (is_unreachable_but_alive, goes_on),
    "network_delay": (answers_late, answers_soon),
    "connection_loss": (some_get_no_answer, all_are_answered),
    "network_rate": (drips, flows),
    "connection_reset": (is_reset, goes_on),
    "disk_full": (can_write_no_file, can_write_files),
    "cpu_starvation": (is_throttled, is_in_its_old_group),
    "restart": (is_gone, runs_anew),
    "leader_kill": (is_gone, runs_anew),
    "quorum_loss": (nothing_can_be_written, can_be_written),
    "none": (is_as_before, is_as_before),
}


def test_no_fault_that_can_be_done_here_goes_unseen() -> None:
    assert set(SEEN) == set(CATALOGUE)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.control_groups if kind == "cpu_starvation" else [])
        for kind in SEEN
    ],
)
async def test_effect_and_undo_are_seen_by_others(kind: str, cluster: Cluster, service: FaultService) -> None:
    groups = {
        node: Path(f"/proc/{pid_of(cluster, node)}/cgroup").read_text() for node in cluster.subject.nodes
    }
    pids = {node: pid_of(cluster, node) for node in cluster.subject.nodes}
    done = await service.inject(cluster, kind, allow_quorum_loss=kind == "quorum_loss")
    node = next(iter(done.record.nodes), "etcd-1")
    place = Place(cluster, node, pids[node], groups[node])
    effect, undo = SEEN[kind]

    assert await comes_true(effect, place)
    assert done.effect is not None

    reports = await service.heal(cluster, done.record.id)
    assert [report.state for report in reports] == [State.HEALED], reports
    assert await comes_true(undo, place)


async def test_a_full_disk_ends_the_member_once_it_writes_and_the_heal_starts_it_again(
    cluster: Cluster, service: FaultService
) -> None:
    done = await service.inject(cluster, "disk_full", "follower")
    node = done.record.nodes[0]
    pid = pid_of(cluster, node)
    for n in range(5):
        await put(client_port(cluster, node), f"full{n}", "x", 1.0)
    await until(lambda: letter(pid) in ("", "Z"), 60, "etcd goes on without a disk")
    last = [line.text for line in await cluster.nodes.logs(node, time.time() - 60)]
    assert any("file too large" in line and '"fatal"' in line for line in last), last[-3:]

    assert await states(service.heal(cluster)) == [State.HEALED]
    assert await put(client_port(cluster, node), "room", "again")


@pytest.mark.parametrize("direction", list(Direction))
async def test_cut_from_its_peers_a_member_answers_clients_but_is_not_well(
    cluster: Cluster, service: FaultService, direction: Direction
) -> None:
    settings = Settings(scope=Scope.PEERS, direction=direction)
    done = await service.inject(cluster, "partition", "follower", settings)
    node = done.record.nodes[0]
    place = Place(cluster, node, pid_of(cluster, node), "")

    assert done.effect is not None
    assert await place.clients_are_answered()
    assert b'"true"' not in (await ask(metrics_port(cluster, node), "/health", 1.0)).body
    assert await states(service.heal(cluster)) == [State.HEALED]


async def test_cut_from_its_clients_a_member_is_well_and_keeps_its_vote(
    cluster: Cluster, service: FaultService
) -> None:
    done = await service.inject(cluster, "partition", "follower", Settings(scope=Scope.CLIENTS))
    node = done.record.nodes[0]

    assert await is_unreachable_but_alive(Place(cluster, node, pid_of(cluster, node), ""))
    assert b'"true"' in (await ask(metrics_port(cluster, node), "/health", 1.0)).body
    assert done.prediction.votes_left == 3
    assert await states(service.heal(cluster)) == [State.HEALED]


@pytest.mark.control_groups
async def test_several_faults_are_healed_together_and_one_alone_while_the_others_stay(
    cluster: Cluster, service: FaultService
) -> None:
    slightly, half = Settings(value=20.0), Settings(value=0.5)
    first = await service.inject(cluster, "network_delay", "etcd-1", slightly)
    second = await service.inject(cluster, "cpu_starvation", "etcd-2", half, several=True)
    third = await service.inject(cluster, "pause", "etcd-3", several=True)

    alone = await service.heal(cluster, third.record.id)
    assert [report.state for report in alone] == [State.HEALED]
    assert f"{second.record.id} (cpu_starvation" in alone[0].text

    both = await service.heal(cluster)
    assert [(report.fault, report.state) for report in both] == [
        (second.record.id, State.HEALED),
        (first.record.id, State.HEALED),
    ]


async def states(healing: Awaitable[list[HealReport]]) -> list[State]:
    return [report.state for report in await healing]


async def comes_true(look: Look, place: Place) -> bool:
    """Look for a while: etcd and the kernel take a moment."""
    deadline = time.monotonic() + 8.0
    while time.monotonic() < deadline:
        if await look(place):
            return True
        await asyncio.sleep(0.02)
    return False
