"""Whoever is killed with SIGKILL in the middle of a fault, it is undone (docs/decisions/0002)."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from subjects import base
from subjects.base import Cluster, Identity, Lifecycle
from subjects.runtimes.identity import own
from subjects.runtimes.network import control
from subjects.state import StateFolder
from tests.standins.embedded import ask, client_port, letter, pid_of, process_runtime, processes_of, runs
from tests.waiting import healthy, until
from tools.faults import healer
from tools.faults.journal import Journal, Record
from tools.faults.service import FaultService
from tools.faults.steps import Kill, State

TRIED = ("kill", "partition", "quorum_loss")
"""python -m tests.bench.kill9 does them all, twenty times each, and has the seconds that it takes."""


class Driver:
    """An operator in a process of its own."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        self._process: asyncio.subprocess.Process | None = None

    async def inject(self, kind: str, moment: str = "", ttl_s: float = 300.0) -> int | None:
        """Have it inject a fault; its number, or None when it killed itself."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.standins.fault_driver", str(self._state.root), kind, moment),
            env={**os.environ, "FAULT_TTL_S": str(ttl_s)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            said = await self._process.stdout.readline()
        return int(said) if said else None

    async def kill(self) -> None:
        """SIGKILL it."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@pytest.fixture
async def driver(state: StateFolder) -> AsyncIterator[Driver]:
    made = Driver(state)
    yield made
    if made._process is not None and made._process.returncode is None:
        await made.kill()


def record(service: FaultService, fault: int | None) -> Record:
    assert fault is not None
    found = service.journal.get(fault)
    assert found is not None
    return found


async def closed(service: FaultService, fault: int | None) -> Record:
    await until(lambda: not record(service, fault).open, 60, "the fault stays open")
    return record(service, fault)


@pytest.mark.parametrize("kind", TRIED)
async def test_operator_killed_in_a_fault_the_healer_undoes_it_and_ends(
    kind: str, cluster: Cluster, service: FaultService, driver: Driver, state: StateFolder
) -> None:
    fault = await driver.inject(kind)
    await driver.kill()
    await healthy(cluster)

    assert (await closed(service, fault)).state is State.HEALED
    await until(lambda: healer.running(state) is None, 60, "the healer stays with nothing to heal")


@pytest.mark.parametrize("moment", ["planned", "acted"])
async def test_operator_killed_between_the_plan_and_the_note_that_it_was_done(
    moment: str, cluster: Cluster, service: FaultService, driver: Driver
) -> None:
    before = {node: pid_of(cluster, node) for node in cluster.subject.nodes}
    assert await driver.inject("kill", moment) is None
    last = service.journal.latest()
    assert last is not None
    node = last.nodes[0]

    done = await closed(service, last.id)
    assert done.state is State.HEALED
    await healthy(cluster)
    step = done.steps[0]
    assert isinstance(step, Kill)
    assert step == Kill(node, step.identity)
    assert (pid_of(cluster, node) == before[node]) is (moment == "planned")


async def test_the_healer_killed_too_the_next_start_heals(
    cluster: Cluster, service: FaultService, driver: Driver, state: StateFolder
) -> None:
    fault = await driver.inject("pause")
    await kill_healer(state)
    await driver.kill()
    node = record(service, fault).nodes[0]

    assert letter(pid_of(cluster, node)) == "T"
    reports = await service.restore(orphans_only=True)
    assert [(report.fault, report.state) for report in reports] == [(fault, State.HEALED)]
    assert letter(pid_of(cluster, node)) in ("S", "R")


async def test_the_healer_killed_alone_the_next_fault_has_another_and_operator_heals(
    cluster: Cluster, service: FaultService, state: StateFolder
) -> None:
    first = await service.inject(cluster, "pause", "etcd-1")
    await kill_healer(state)
    second = await service.inject(cluster, "network_delay", "etcd-2", several=True)

    assert runs(healer.running(state))
    await until(lambda: record(service, first.record.id).watched_by == second.record.watched_by, 60)
    assert [r.state for r in await service.heal(cluster)] == [State.HEALED, State.HEALED]


async def test_a_healer_killed_while_it_heals_is_taken_over(
    cluster: Cluster, service: FaultService, driver: Driver, state: StateFolder
) -> None:
    """Killed as soon as it has begun; the fault is neither lost nor healed twice."""
    fault = await driver.inject("kill")
    await driver.kill()
    await until(lambda: record(service, fault).state in (State.HEALING, State.HEALED), 60)
    await kill_healer(state)

    await service.restore()
    assert record(service, fault).state is State.HEALED
    await healthy(cluster)


async def test_a_time_to_live_that_is_over_is_kept_though_operator_lives(
    cluster: Cluster, service: FaultService, driver: Driver
) -> None:
    fault = await driver.inject("pause", ttl_s=1.5)

    done = await closed(service, fault)
    assert done.state is State.HEALED
    assert done.healed is not None
    assert done.healed - done.planned > 1.4


async def test_start_up_heals_orphans_only_and_restore_heals_everybodys(
    cluster: Cluster, service: FaultService, driver: Driver
) -> None:
    fault = await driver.inject("network_delay")

    assert await service.restore(orphans_only=True) == []
    assert record(service, fault).open
    assert [(r.fault, r.state) for r in await service.restore()] == [(fault, State.HEALED)]
    assert await service.restore() == []


@pytest.mark.parametrize(
    "kind", ["kill", "pause", pytest.param("cpu_starvation", marks=pytest.mark.control_groups)]
)
async def test_a_target_that_somebody_else_restarted_is_ambiguous_and_left_alone(
    kind: str, cluster: Cluster, service: FaultService
) -> None:
    done = await service.inject(cluster, kind)
    node = done.record.nodes[0]
    await cluster.require(Lifecycle).stop(node, 10)
    await cluster.require(Lifecycle).start(node)
    pid = pid_of(cluster, node)

    reports = await service.heal(cluster)
    assert [report.state for report in reports] == [State.AMBIGUOUS]
    assert "outside operator" in reports[0].text
    assert pid_of(cluster, node) == pid
    assert service.journal.open_faults() == []


async def test_restarted_by_hand_with_the_same_command_line_it_is_found_and_ambiguous(
    cluster: Cluster, service: FaultService
) -> None:
    done = await service.inject(cluster, "kill")
    node = done.record.nodes[0]
    argv = process_runtime(cluster).layout.spec(node).argv
    by_hand = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        reports = await service.heal(cluster)
        assert [report.state for report in reports] == [State.AMBIGUOUS], reports
        assert pid_of(cluster, node) == by_hand.pid
    finally:
        by_hand.kill()
        await by_hand.wait()


async def test_a_cluster_that_is_gone_makes_its_faults_ambiguous_not_recovered(
    service: FaultService, state: StateFolder
) -> None:
    fault = plan_on(service.journal, "tikv-process")
    reports = await service.restore()

    assert [(report.fault, report.state) for report in reports] == [(fault, State.AMBIGUOUS)]
    assert "not there any more" in reports[0].text


async def test_one_that_cannot_be_healed_stops_neither_the_others_nor_the_report(
    cluster: Cluster, service: FaultService
) -> None:
    bad = plan_on(service.journal, "etcd-process")
    service.journal._set(bad, steps='[{"op": "flood", "node": "etcd-1"}]')
    good = await service.inject(cluster, "pause", several=True)
    reports = await service.restore()

    assert {report.fault: report.state for report in reports} == {
        good.record.id: State.HEALED,
        bad: State.FAILED,
    }
    service.journal.close_fault(bad, State.AMBIGUOUS, "the test is over")


async def test_what_another_operator_that_lives_broke_is_its_own_to_heal(
    cluster: Cluster, service: FaultService, driver: Driver
) -> None:
    fault = await driver.inject("pause")

    assert [record.id for record in service.journal.open_faults()] == [fault]
    assert service.own_open() == []
    assert await service.heal_own() == []
    assert fault is not None
    record = service.journal.get(fault)
    assert record is not None
    assert record.state is State.INJECTED
    await service.heal(cluster)


class TestTheNetwork:
    """The network process: a supervisor and a worker."""

    async def test_worker_killed_another_takes_its_place_and_a_cut_stays_a_cut(
        self, cluster: Cluster, service: FaultService
    ) -> None:
        done = await service.inject(cluster, "partition", "etcd-1")
        folder = process_runtime(cluster).folder
        await kill_and_replace(lambda: control.worker(folder))

        assert (await ask(client_port(cluster, "etcd-1"), "/version", 0.5)).body == b""
        assert b"etcdserver" in (await ask(client_port(cluster, "etcd-2"), "/version", 1.0)).body
        assert [r.state for r in await service.heal(cluster, done.record.id)] == [State.HEALED]

    async def test_supervisor_killed_traffic_goes_on_and_a_heal_replaces_it(
        self, cluster: Cluster, service: FaultService
    ) -> None:
        await service.inject(cluster, "network_delay", "etcd-1")
        folder = process_runtime(cluster).folder
        old = control.supervisor(folder)
        assert old is not None
        os.kill(int(old.id), signal.SIGKILL)
        await until(lambda: not runs(old))

        snapshot = await cluster.subject.observe()
        assert snapshot.node("etcd-2").client.latency_ms is not None
        assert [r.state for r in await service.heal(cluster)] == [State.HEALED]
        assert runs(control.supervisor(folder))

    async def test_both_killed_operator_killed_the_healer_brings_the_network_back(
        self, cluster: Cluster, service: FaultService, driver: Driver
    ) -> None:
        fault = await driver.inject("network_delay")
        folder = process_runtime(cluster).folder
        for known in (control.supervisor(folder), control.worker(folder)):
            assert known is not None
            os.kill(int(known.id), signal.SIGKILL)
        await driver.kill()

        assert (await closed(service, fault)).state is State.HEALED
        await healthy(cluster)

    async def test_both_killed_a_member_that_is_started_again_finds_its_links(
        self, cluster: Cluster, service: FaultService
    ) -> None:
        await service.inject(cluster, "kill", "etcd-1")
        folder = process_runtime(cluster).folder
        for known in (control.supervisor(folder), control.worker(folder)):
            assert known is not None
            os.kill(int(known.id), signal.SIGKILL)
        await until(lambda: control.supervisor(folder) is None and control.worker(folder) is None)

        reports = await service.heal(cluster)
        assert [r.state for r in reports] == [State.HEALED], [r.text for r in reports]
        await healthy(cluster)


async def test_a_supervisor_killed_its_member_goes_on(cluster: Cluster) -> None:
    folder = process_runtime(cluster).folder
    home = str(folder / "nodes" / "etcd-2")
    supervisors = [pid for pid, line in processes_of(Path(home)).items() if "supervisor.sh" in line]
    for pid in supervisors:
        os.kill(pid, signal.SIGKILL)

    assert len(supervisors) == 1
    await healthy(cluster)
    identity = (await cluster.nodes.inspect("etcd-2")).identity
    assert identity is not None
    await cluster.require(base.Kill).kill("etcd-2", identity)
    await until(lambda: not runs(identity))
    view = await cluster.nodes.inspect("etcd-2")
    assert view.exit_code is None
    assert "not known" in view.raw


async def kill_and_replace(find: Callable[[], Identity | None]) -> None:
    old = find()
    assert old is not None
    os.kill(int(old.id), signal.SIGKILL)
    await until(lambda: find() not in (None, old), 60, "nobody took its place")


async def kill_healer(state: StateFolder) -> None:
    known = healer.running(state)
    if known is not None:
        os.kill(int(known.id), signal.SIGKILL)
        await until(lambda: not runs(known))


def plan_on(journal: Journal, cluster_id: str) -> int:
    return journal.plan(
        cluster=cluster_id,
        kind="kill",
        nodes=["etcd-1"],
        steps=[Kill("etcd-1", own())],
        members={},
        prediction={},
        owner=own(),
        ttl_s=60,
    )
