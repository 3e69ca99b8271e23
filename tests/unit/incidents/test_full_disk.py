"""A disk that is full, or a folder that may not be written, stops no reading, healing and stopping."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from subjects.errors import NotReady
from subjects.runtimes import identity
from tools.faults.journal import Journal
from tools.faults.steps import State
from tools.incidents.store import IncidentStore

ME = identity.own()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a file system of its own size takes root (mount)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Write a file until there is no room."""
    path = folder / "filling"
    with path.open("ab", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return path
    return path


def opened(journal: Journal) -> int:
    return journal.plan(
        cluster="etcd-process", kind="kill", nodes=["etcd-1"], steps=[], members={}, prediction={}, owner=ME,
        ttl_s=60,
    )  # fmt: skip


def test_incidents_go_on_in_memory_and_are_kept_when_there_is_room_again(small: Path) -> None:
    told: list[str] = []
    store = IncidentStore(small / "operator.db")
    incident = store.open(cluster="c", text="etcd-1 exited", nodes=["etcd-1"])
    store.report(told.append)
    filling = fill(small)
    for number in range(300):
        store.heal(incident, f"{number} " + "x" * 400)
    store.recover(incident)
    assert store.get(incident).heal_text.startswith("299 ")
    assert len(told) == 1
    assert "cannot be written" in told[0]
    filling.unlink()
    store.close()

    again = IncidentStore(small / "operator.db")
    found = again.get(incident)
    again.close()
    assert (found.heal_text[:4], str(found.state)) == ("299 ", "recovered")


def test_an_open_fault_is_healed_and_none_is_planned(small: Path) -> None:
    journal = Journal(small / "operator.db")
    fault = opened(journal)
    journal.close()
    fill(small)
    beside = IncidentStore(small / "operator.db")

    journal = Journal(small / "operator.db")
    told: list[str] = []
    journal.report(told.append)
    assert [record.id for record in journal.open_faults()] == [fault]
    for number in range(200):
        journal.note(fault, f"{number} " + "x" * 400)
    assert journal.claim(fault, ME)
    journal.close_fault(fault, State.HEALED, "started again")
    assert journal.open_faults() == []
    with pytest.raises(NotReady, match="No fault without its journal"):
        opened(journal)
    assert journal.open_faults() == []
    assert len(told) == 1
    beside.close()
    journal.close()


def test_a_folder_that_may_only_be_read_is_read(small: Path) -> None:
    store = IncidentStore(small / "operator.db")
    incident = store.open(cluster="c", text="etcd-1 exited", nodes=["etcd-1"])
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)

    store = IncidentStore(small / "operator.db")
    assert [found.id for found in store.list()] == [incident]
    store.close()
