"""Healing that meets trouble of its own: a journal that cannot be written, a heal that was begun before."""

import contextlib
import sqlite3

import pytest

from subjects.base import Cluster, Identity
from subjects.state import StateFolder
from tests.standins.embedded import letter, pid_of
from tests.waiting import healthy
from tools.errors import Refused
from tools.faults.catalogue import Settings
from tools.faults.journal import State
from tools.faults.service import FaultService
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


async def test_a_strength_is_refused_where_there_is_none(cluster: Cluster, service: FaultService) -> None:
    with pytest.raises(Refused, match="has no strength"):
        await service.inject(cluster, "partition", settings=Settings(value=1.0))

    assert service.journal.open_faults() == []
