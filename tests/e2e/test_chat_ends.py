"""However the chat ends with a fault open, all is healed and stopped: a signal, a closed terminal."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.programs import left_running
from tests.standins.person import CTRL_C, Person
from tools.faults.journal import Journal
from tools.incidents.store import IncidentStore


def with_an_open_fault(state: Path) -> Person:
    person = Person(["-m", "agent", "--offline", "--yes", "--state-dir", str(state)])
    person.sees("session", "\u203a")
    person.enter("start a cluster")
    person.sees("is healthy")
    person.enter("kill etcd-2")
    person.sees("store_kill")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        journal = Journal(state / "operator.db")
        found = journal.open_faults()
        journal.close()
        if found:
            return person
        time.sleep(0.05)
    raise AssertionError(person.text)


@pytest.mark.parametrize("how", ["SIGTERM", "the terminal is closed"])
def test_the_chat_leaves_nothing_broken_and_nothing_running(tmp_path: Path, how: str) -> None:
    state = tmp_path / "state"
    person = with_an_open_fault(state)
    try:
        if how.startswith("SIG"):
            os.kill(person.pid, getattr(signal, how))
            assert person.leaves() == 128 + getattr(signal, how)
        else:
            person.hang_up()
        deadline = time.monotonic() + 60
        while left_running(state) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        if how.startswith("SIG"):
            person.close()

    assert left_running(state) == []
    journal, store = Journal(state / "operator.db"), IncidentStore(state / "operator.db")
    faults, states = journal.open_faults(), [str(found.state) for found in store.list()]
    journal.close()
    store.close()
    assert faults == []
    assert set(states) <= {"recovered"}


def test_a_paste_without_end_swallows_no_ctrl_c(tmp_path: Path) -> None:
    person = Person(["-m", "agent", "--offline", "--state-dir", str(tmp_path / "state")])
    try:
        person.sees("session", "\u203a")
        person.type("\x1b[200~a paste that never ends")
        person.type(CTRL_C)
        person.type(CTRL_C)
        person.type(CTRL_C)
        person.type("\x04")
        assert person.leaves() == 0
    finally:
        person.close()
