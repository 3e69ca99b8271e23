"""Healing that meets trouble of its own: a journal that cannot be written, a heal that was begun before."""

import asyncio
import contextlib
import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from subjects.base import Cluster, ClusterSnapshot, Identity, Limits, Subject
from subjects.errors import Unreachable
from subjects.runtimes.identity import own
from subjects.state import StateFolder
from tests.standins.embedded import letter, pid_of
from tests.waiting import healthy
from tools.errors import Refused
from tools.faults.catalogue import Settings
from tools.faults.effects import wait_for_effect
from tools.faults.service import FaultService
from tools.faults.steps import Kill, State
from tools.incidents import database


async def test_a_journal_that_cannot_be_written_keeps_no_fault_open(
    cluster: Cluster, state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: the undo matters more than the note of it."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    service = FaultService(state, seed=1)
    try:
        done = await service.inject(cluster, "pause", "etcd-1")
        with contextlib.closing(sqlite3.connect(state.database)) as other:
            other.execute("BEGIN IMMEDIATE")
            unnoted = await service.heal(cluster)
            runs = letter(pid_of(cluster, "etcd-1"))
        noted = await service.heal(cluster)
    finally:
        service.close()

    assert runs != "T"
    assert unnoted[0].state is State.HEALED
    assert "could not be noted" in unnoted[0].text
    assert [(report.fault, report.state) for report in noted] == [(done.record.id, State.HEALED)]


async def test_a_store_that_an_earlier_heal_has_started_is_ours(
    cluster: Cluster, service: FaultService
) -> None:
    """The healer was killed after the start, or the cluster took too long to be well the first time."""
    done = await service.inject(cluster, "kill", "etcd-1")
    report = await done.record.steps[0].undo(cluster)
    assert report.started is not None
    service.journal.started(done.record.id, report.started)
    await healthy(cluster)

    again = await service.heal(cluster)

    assert [each.state for each in again] == [State.HEALED]
    assert "earlier" in again[0].text


async def test_so_is_one_that_was_started_by_a_healer_killed_before_it_could_note_that(
    cluster: Cluster, service: FaultService
) -> None:
    done = await service.inject(cluster, "kill", "etcd-1")
    service.journal.claim(done.record.id, Identity("process", "1", "0"))
    await done.record.steps[0].undo(cluster)
    await healthy(cluster)

    again = await service.heal(cluster)

    assert [each.state for each in again] == [State.HEALED]


async def test_two_limits_on_one_store_leave_none_in_whichever_order_they_are_healed(
    cluster: Cluster, service: FaultService
) -> None:
    before = await cluster.require(Limits).limits("etcd-1")
    wide = [Settings(value=2.0**40), Settings(value=2.0**39)]
    faults = [await service.inject(cluster, "disk_full", "etcd-1", each, several=True) for each in wide]

    reports = [(await service.heal(cluster, fault.record.id))[0] for fault in faults]

    assert [report.state for report in reports] == [State.HEALED, State.HEALED]
    assert await cluster.require(Limits).limits("etcd-1") == before


class SeenOnce:
    """A subject that is looked at once; from then on each look takes for ever."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.waited_for = asyncio.Event()
        self._looked = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subject, name)

    async def observe(self) -> ClusterSnapshot:
        if self._looked:
            self.waited_for.set()
            await asyncio.Event().wait()
        self._looked = True
        return await self._subject.observe()


async def test_one_that_was_interrupted_before_its_effect_was_seen_is_known_as_injected(
    cluster: Cluster, service: FaultService
) -> None:
    subject: Any = SeenOnce(cluster.subject)
    injecting = asyncio.create_task(service.inject(replace(cluster, subject=subject), "pause", "etcd-1"))
    await subject.waited_for.wait()
    injecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await injecting

    (known,) = service.injections
    assert (known.record.nodes, known.record.state, known.effect) == (("etcd-1",), State.INJECTED, None)
    assert [report.state for report in await service.heal_own()] == [State.HEALED]


async def test_a_look_for_the_effect_that_fails_is_made_again(cluster: Cluster) -> None:
    looks = iter([False, True])

    async def check(*_: object) -> str:
        if next(looks):
            return "it is gone"
        raise Unreachable("the engine does not answer")

    snapshot = await cluster.subject.observe()

    assert await wait_for_effect(cluster, snapshot, check, [Kill("etcd-1", own())]) == "it is gone"


async def test_a_share_above_one_is_refused(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(Refused, match="share from 0 to 1, not 50"):
        await service.inject(cluster, "connection_loss", settings=Settings(value=50.0))


async def test_a_strength_is_refused_where_there_is_none(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(Refused, match="has no strength"):
        await service.inject(cluster, "partition", settings=Settings(value=1.0))

    assert service.journal.open_faults() == []
