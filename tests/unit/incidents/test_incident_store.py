"""Incidents outlive the program, are written whole or not at all, and refuse what a newer version wrote."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from subjects.errors import NewerState, NotReady
from tools.incidents import database
from tools.incidents.database import VERSION, Database
from tools.incidents.store import MAX_ENTRIES, IncidentStore, UnknownIncident
from tools.observe.incident import FirstSeen, State
from tools.observe.signal import Signal, Source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "operator.db"


@pytest.fixture
def store(path: Path) -> Iterator[IncidentStore]:
    with closing(IncidentStore(path)) as made:
        yield made


def opened(store: IncidentStore, wall: float = 1000.0, incident: str | None = None) -> str:
    return store.open(
        cluster="etcd × process",
        text="n2 is dead",
        nodes=["n2"],
        invariants=["store_up"],
        wall=wall,
        incident=incident,
    )


class TestOneIncident:
    """What happened is found again, by whoever opens the file next."""

    def test_its_whole_story_is_read_back_by_another_run(self, path: Path, store: IncidentStore) -> None:
        incident = opened(store)
        store.add(incident, Signal(Source.PROCESS, "exit", "n2", "exit 137", wall=1000.0, evidence="E1"))
        store.knew(incident, FirstSeen("kernel", 0.0, 1000.0, "exit"))
        store.knew(incident, FirstSeen("UsualAlert", 1200.0, None, "a rule", measured=False))
        store.widen(incident, ["n3", "n2"], ["quorum"])
        store.keep_diagnosis(incident, {"root_cause": "n2 was killed", "kind": "crash"}, {})
        store.set_figures(incident, {"before": {"ops_per_s": 300}})
        store.set_figures(incident, {"after": {"ops_per_s": 299}})
        store.heal(incident, "n2 was started", wall=1005.0)
        store.recover(incident, wall=1006.0)
        store.close()

        with closing(IncidentStore(path)) as other:
            found = other.get(incident)

        assert found.nodes == ("n2", "n3")
        assert found.invariants == ("store_up", "quorum")
        assert found.state is State.RECOVERED
        assert (found.opened, found.healed, found.recovered) == (1000.0, 1005.0, 1006.0)
        assert found.diagnosis == {"root_cause": "n2 was killed", "kind": "crash"}
        assert set(found.figures) == {"before", "after", "evidence"}
        assert {entry.source for entry in found.signals} == {"process", "diagnosis", "heal", "monitor"}
        assert [(knower.who, knower.measured) for knower in found.knew] == [
            ("kernel", True),
            ("UsualAlert", False),
        ]

    def test_the_first_word_of_each_side_counts(self, store: IncidentStore) -> None:
        incident = opened(store)
        store.knew(incident, FirstSeen("kernel", 0.0, 1000.0, "first"))
        store.knew(incident, FirstSeen("kernel", 9.0, 1009.0, "later"))

        assert [knower.how for knower in store.get(incident).knew] == ["first"]

    def test_reopening_is_counted_and_undoes_the_recovery(self, store: IncidentStore) -> None:
        incident = opened(store)
        store.recover(incident, wall=1006.0)
        store.reopen(incident, "came back", 1010.0)
        found = store.get(incident)

        assert (found.state, found.recovered, found.reopened) == (State.OPEN, None, 1)

    def test_the_end_of_the_watching_does_not_overwrite_a_recovery(self, store: IncidentStore) -> None:
        incident = opened(store)
        store.recover(incident)
        store.unwatch(incident)

        assert store.get(incident).state is State.RECOVERED

    def test_a_flapping_node_cannot_fill_the_disk(self, store: IncidentStore) -> None:
        incident = opened(store)
        with store.transaction():
            for n in range(MAX_ENTRIES + 50):
                store.add(incident, Signal(Source.PROCESS, "exit", "n2", f"again {n}"))

        assert len(store.get(incident).signals) == MAX_ENTRIES


class TestMany:
    """Lists, ids, threads."""

    def test_the_newest_come_first_and_no_more_than_asked_for(self, store: IncidentStore) -> None:
        ids = [opened(store, wall=1000.0 + n) for n in range(5)]

        assert [one.id for one in store.list(3)] == ids[:1:-1]

    def test_an_unknown_id_is_told_with_a_next_step(self, store: IncidentStore) -> None:
        for act in (store.get, store.recover, store.unwatch):
            with pytest.raises(UnknownIncident, match="no incident 'nope'"):
                act("nope")

    def test_a_transaction_that_fails_leaves_nothing(self, store: IncidentStore) -> None:
        def half() -> None:
            with store.transaction():
                opened(store)
                store.add("nope", Signal(Source.PROCESS, "exit", None, "x"))

        with pytest.raises(UnknownIncident):
            half()

        assert store.list() == []
        opened(store)
        assert len(store.list()) == 1

    def test_threads_take_turns(self, store: IncidentStore) -> None:
        threads = [threading.Thread(target=opened, args=(store, 1000.0 + n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(store.list()) == 8

    def test_two_programs_share_the_file(self, path: Path, store: IncidentStore) -> None:
        incident = opened(store)

        with closing(IncidentStore(path)) as theirs:
            assert theirs.get(incident).text == "n2 is dead"


class TestTheFile:
    """Durable, versioned, and never guessed at."""

    def test_it_is_durable_and_knows_its_version(self, path: Path) -> None:
        with closing(Database(path, "")) as connection:
            names = ("synchronous", "journal_mode", "user_version")
            found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        assert found == [2, "wal", VERSION]  # 2: FULL

    def test_a_newer_file_is_refused_and_not_touched(self, path: Path) -> None:
        raw = sqlite3.connect(path)
        raw.execute(f"PRAGMA user_version = {VERSION + 1}")
        raw.close()
        before = path.read_bytes()

        with pytest.raises(NewerState, match="Upgrade operator"):
            IncidentStore(path)
        assert path.read_bytes() == before

    def test_a_file_that_is_no_database_is_told_by_name(self, path: Path) -> None:
        path.write_text("this is not a database, it only stands where one should be\n" * 40)
        with (
            closing(IncidentStore(path)) as store,
            pytest.raises(NotReady, match=r"operator\.db cannot be read"),
        ):
            store.require_readable()

    def test_a_file_that_is_damaged_in_the_middle_stops_nobody_and_is_not_taken_for_an_empty_one(
        self, path: Path
    ) -> None:
        told: list[str] = []
        with closing(IncidentStore(path)) as store:
            for number in range(200):
                store.open(cluster="c", text="a" * 400, nodes=["n"], incident=f"i{number}")
        with path.open("rb+") as file:
            file.seek(8192)
            file.write(b"\xa5" * 80_000)
        damaged = path.read_bytes()

        with closing(IncidentStore(path)) as store:
            store.report(told.append)
            with suppress(NotReady):
                store.list()
            new = store.open(cluster="c", text="b", nodes=["n"])
            store.add(new, Signal(Source.LOG, "log", "n", "x"))
            with pytest.raises(NotReady, match="is not known"):
                store.require_readable()

        assert len(told) == 1
        assert path.read_bytes() == damaged

    def test_an_incident_that_is_damaged_does_not_hide_the_others(self, path: Path) -> None:
        with closing(IncidentStore(path)) as store:
            good, bad = (store.open(cluster="c", text="x", nodes=["n"], incident=name) for name in "ab")
            with closing(sqlite3.connect(path)) as other, other:
                other.execute("UPDATE incidents SET nodes = '[' WHERE id = ?", (bad,))

            assert [found.id for found in store.list()] == [good]
            with pytest.raises(UnknownIncident):
                store.get(bad)

    def test_a_file_that_another_program_holds_is_told_as_such(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(NotReady, match="held by another program"):
                IncidentStore(path)

    def test_a_folder_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(NotReady, match="--state-dir"):
            IncidentStore(tmp_path / "missing" / "operator.db")
