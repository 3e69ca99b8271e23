"""The journal: durable before the act, and one healer a fault, whoever else there is and however they die."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from subjects.base import Identity
from subjects.errors import NotReady
from subjects.runtimes import identity
from tools.faults.journal import Journal
from tools.faults.steps import Kill, Pause, State, Unknown

ME = identity.own()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "operator.db")
    yield made
    made.close()


def planned(journal: Journal, ttl_s: float = 60.0) -> int:
    target = Identity("process", "7", "8")
    return journal.plan(
        cluster="etcd-process",
        kind="kill",
        nodes=["etcd-1"],
        steps=[Kill("etcd-1", target), Pause("etcd-2", target)],
        members={"etcd-1": "a1", "etcd-2": None},
        prediction={"votes_lost": True},
        owner=ME,
        ttl_s=ttl_s,
    )


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Another process."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def identity_of(process: "subprocess.Popen[bytes]") -> Identity:
    known = identity.identify(process.pid)
    assert known is not None
    return known


def test_what_was_written_is_read_back_whole_by_another_process(journal: Journal, tmp_path: Path) -> None:
    number = planned(journal)
    other = Journal(tmp_path / "operator.db")
    read = other.get(number)
    other.close()

    assert read == journal.get(number)
    assert read is not None
    target = Identity("process", "7", "8")
    assert read.steps == (Kill("etcd-1", target), Pause("etcd-2", target))
    assert read.takes_votes
    assert read.state is State.PLANNED


def test_it_is_on_disk_when_plan_returns(tmp_path: Path) -> None:
    """Written by a process that is killed the moment after; SQLite is told to sync every commit."""
    program = (
        "import os, sys, pathlib; from tools.faults.journal import Journal; "
        "from tests.unit.faults.test_journal import planned; "
        "planned(Journal(pathlib.Path(sys.argv[1]))); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "operator.db"], check=False)
    journal = Journal(tmp_path / "operator.db")

    assert done.returncode == -signal.SIGKILL
    assert [fault.state for fault in journal.open_faults()] == [State.PLANNED]
    assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    journal.close()


def test_of_many_who_want_to_heal_only_one_does(tmp_path: Path) -> None:
    journals = [Journal(tmp_path / "operator.db") for _ in range(8)]
    number = planned(journals[0])
    begin, won = threading.Barrier(8), []

    def claim(journal: Journal) -> None:
        begin.wait()
        if journal.claim(number, ME):
            won.append(journal)

    threads = [threading.Thread(target=claim, args=(each,)) for each in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in journals:
        each.close()

    assert len(won) == 1


def test_a_fault_that_a_dead_process_was_healing_can_be_taken_over_at_once(
    journal: Journal, stranger: "subprocess.Popen[bytes]"
) -> None:
    number = planned(journal)

    assert journal.claim(number, identity_of(stranger))
    assert not journal.claim(number, ME)

    stranger.kill()
    stranger.wait()
    assert journal.claim(number, ME)


def test_a_closed_fault_is_never_healed_again_and_a_failed_one_is(journal: Journal) -> None:
    number = planned(journal)
    journal.claim(number, ME)
    journal.close_fault(number, State.FAILED, "no")
    assert journal.claim(number, ME)
    journal.close_fault(number, State.AMBIGUOUS, "somebody else was here")
    assert not journal.claim(number, ME)
    assert journal.open_faults() == []
    assert [text for _, text in journal.notes(number)] == ["failed: no", "ambiguous: somebody else was here"]


@pytest.mark.parametrize(
    ("wall_ago_s", "at_ago_s", "expired"),
    [(5, 5, False), (11, 11, True), (-3600, 11, True), (3600, 5, False)],
    ids=["within it", "after it", "after it, the wall clock set back", "the wall clock set forward"],
)
def test_its_time_to_live_counts_from_the_injection(
    journal: Journal, wall_ago_s: float, at_ago_s: float, *, expired: bool
) -> None:
    number = planned(journal, ttl_s=10)
    journal.injected(number, wall=time.time() - wall_ago_s, at=time.monotonic() - at_ago_s)
    record = journal.get(number)
    assert record is not None

    assert record.expired is expired


def test_a_plan_expires_by_the_monotonic_clock_alone(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = planned(journal, ttl_s=10)
    monkeypatch.setattr(time, "time", lambda: 9e9)
    fresh = journal.get(number)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 11)
    late = journal.get(number)

    assert fresh is not None
    assert late is not None
    assert (fresh.injected_at, late.expired) == (None, True)
    monkeypatch.setattr(time, "monotonic", lambda: now + 5)
    assert not late.expired


def test_after_a_boot_every_fault_is_due(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The monotonic clock began again, and pids are others': nobody answers for it any more."""
    number = planned(journal, ttl_s=1000)
    monkeypatch.setattr(identity, "boot_id", lambda: "another boot")
    record = journal.get(number)
    assert record is not None

    assert (record.expired, record.orphaned) == (True, True)


def test_a_journal_of_an_older_version_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "operator.db"
    with closing(Journal(path)) as journal:
        number = planned(journal)
    with closing(sqlite3.connect(path)) as older:
        older.execute("ALTER TABLE faults DROP COLUMN planned_at")
        older.execute("ALTER TABLE faults DROP COLUMN boot")
        older.commit()

    with closing(Journal(path)) as journal:
        old, new = journal.get(number), journal.get(planned(journal))

    assert old is not None
    assert new is not None
    assert (old.boot, old.expired, new.boot) == (None, False, identity.boot_id())


@pytest.mark.parametrize("damage", ["nodes = 5", "steps = '['", "state = 'healing', owner = '[1]'"])
def test_a_fault_that_is_damaged_does_not_hide_the_others_and_is_told(
    journal: Journal, tmp_path: Path, damage: str
) -> None:
    bad, good = planned(journal), planned(journal)
    with closing(sqlite3.connect(tmp_path / "operator.db")) as other, other:
        other.execute(f"UPDATE faults SET {damage} WHERE id = ?", (bad,))

    assert [record.id for record in journal.open_faults()] == [good]
    with pytest.raises(NotReady, match="cannot be read"):
        journal.require_readable()


def test_a_step_of_a_newer_version_does_not_hide_the_other_faults(journal: Journal) -> None:
    number = planned(journal)
    journal._set(number, steps='[{"op": "flood", "node": "etcd-1", "depth": 3}]')
    other = planned(journal)

    assert [fault.id for fault in journal.open_faults()] == [number, other]
    assert isinstance(journal.open_faults()[0].steps[0], Unknown)


async def test_of_processes_only_one_acts_at_a_time_and_a_killed_one_blocks_nobody(
    journal: Journal, tmp_path: Path
) -> None:
    program = (
        "import asyncio, sys, pathlib\nfrom tools.faults.journal import Journal\n"
        "async def hold():\n"
        "    async with Journal(pathlib.Path(sys.argv[1])).acting(20):\n"
        "        print('held', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(hold())"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, tmp_path / "operator.db", stdout=asyncio.subprocess.PIPE
    )
    assert other.stdout is not None
    assert await other.stdout.readline() == b"held\n"
    with pytest.raises(NotReady, match="locked by another operator"):
        async with journal.acting(timeout_s=0.1):
            pass
    other.kill()
    async with journal.acting(timeout_s=60.0):
        pass
    await other.wait()
