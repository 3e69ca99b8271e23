"""What a watch of months meets: troubles without end, disks that fail twice, loads that come and go."""

import asyncio
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.standins.many_nodes import Manner
from tests.standins.scripted_cluster import scripted_cluster
from tests.unit.detection.conftest import Watched
from tests.unit.detection.test_monitor_detects import window
from tools.detection import monitor as monitors
from tools.detection import recorder as recorders
from tools.detection import upkeep
from tools.detection.incident_tracker import OpenIncident
from tools.detection.recorder import Recorder
from tools.detection.tools import _cursor
from tools.events import Event, Notice
from tools.incidents.store import IncidentStore
from tools.observe.incident import State
from tools.observe.limits import limits_of
from tools.observe.signal import Detection
from tools.observe.snapshot_diff import SnapshotDiff


def kept_of(incident: OpenIncident) -> int:
    """How much is kept in memory of an incident."""
    outages = [getattr(each, name) for each in incident.outages.values() for name in each.__slots__]
    lists = [each for each in (*outages, incident.troubles, incident.knew) if isinstance(each, set | list)]
    return sum(map(len, lists))


async def test_an_incident_that_repeats_without_end_keeps_no_more_for_it(watched: Watched) -> None:
    kept = []
    for _ in range(8):
        at = watched.runtime.happens("n2", "exit", 137)
        made = await watched.detection(at)
        watched.runtime.happens("n2", "start")
        await watched.looks(1)
        (incident,) = watched.monitor._incidents
        kept.append(kept_of(incident))

    assert made.again is not None
    assert made.again.count == 8
    assert max(kept[3:]) <= max(kept[:3])


def test_a_detection_is_reported_once_however_long_the_machine_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Reported:
        open_incidents = ("i",)
        reported = 2.0**26
        detections = (Detection("n2 is down", ("n2",), "i", at=2.0**26),)

    assert _cursor(Reported()) > Reported.reported  # type: ignore[arg-type]


class TestWritingDown:
    """What waits for a locked file is written later, and who watches is told by the thread that draws."""

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recorders, "BUSY_PAUSE_S", 0.01)

    async def test_a_recovery_waits_until_another_process_lets_the_file_go(self, tmp_path: Path) -> None:
        told: list[Event] = []
        threads: list[threading.Thread] = []

        def emit(event: Event) -> None:
            told.append(event)
            threads.append(threading.current_thread())

        path = tmp_path / "operator.db"
        store = IncidentStore(path)
        store._db.execute("PRAGMA busy_timeout = 1")
        incident = store.open(cluster="etcd", text="n2 is down", nodes=("n2",))
        recorder = Recorder(store, emit)
        work = asyncio.create_task(recorder.run())
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        recorder.do(lambda each: each.recover(incident))
        async with asyncio.timeout(30):
            while not told:
                await asyncio.sleep(0.01)
        other.execute("ROLLBACK")
        other.close()
        assert await recorder.flush(30.0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

        assert store.get(incident).state is State.RECOVERED
        assert threads == [threading.main_thread()]
        store.close()

    async def test_a_disk_that_fails_again_much_later_is_told_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[Event] = []
        store = IncidentStore(tmp_path / "operator.db")
        recorder = Recorder(store, told.append)
        recorder._complain("full")
        recorder._complain("full")
        monkeypatch.setattr(recorders, "COMPLAIN_EVERY_S", 0.0)
        recorder._complain("full")
        store.close()

        assert len(told) == 2


class TestWhatEnds:
    """What is over is over, and it is said how far that was seen."""

    def test_a_member_that_stood_still_is_caught_up_where_nobody_writes_any_more(self) -> None:
        kinds = asyncio.run(
            _kinds_of_n2([("n1", 100, 0), ("n1", 200, 100), ("n1", None, None), ("n1", 200, 0)])
        )

        assert kinds[1] == ["stalled"]
        assert kinds[-1] == ["advancing"]

    def test_a_member_that_stood_still_and_leads_now_does_not_stand_still(self) -> None:
        kinds = asyncio.run(_kinds_of_n2([("n1", 100, 0), ("n1", 200, 100), ("n2", 200, 0)]))

        assert kinds[1] == ["stalled"]
        assert kinds[-1] == ["advancing"]

    async def test_the_only_member_left_has_lost_nobody(self) -> None:
        cluster, subject, _ = await scripted_cluster()
        subject.change("n1", peers={})
        snapshot = await subject.observe()
        alone = replace(snapshot, nodes=tuple(node for node in snapshot.nodes if node.name == "n1"))
        kinds = [each.kind for each in SnapshotDiff(limits_of(())).read(alone, 0.0)]
        await cluster.aclose()

        assert "connected" in kinds

    async def test_clients_that_wait_ten_times_as_long_are_not_called_healthy_when_their_load_ends(
        self, watched: Watched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n in range(16):
            watched.monitor.client_window(window(n, p99_ms=7.0 if n < 6 else 330.0))
        made = await watched.detection()
        await watched.looks()
        assert made.incident in watched.monitor.open_incidents

        monkeypatch.setattr(monitors, "STALE_S", 0.0)
        await watched.until(lambda: not watched.monitor.open_incidents)
        assert await watched.monitor.recorded()
        assert watched.store.get(made.incident).signals[-1].raw.endswith("was not measured")

    async def test_nor_when_another_load_begins_that_knows_no_usual_yet(self, watched: Watched) -> None:
        for n in (*range(16), 0, 1, 2):
            watched.monitor.client_window(window(n, p99_ms=7.0 if n < 6 else 330.0))
        made = await watched.detection()
        await watched.until(lambda: not watched.monitor.open_incidents)
        assert await watched.monitor.recorded()

        assert watched.store.get(made.incident).signals[-1].raw.endswith("was not measured")

    async def test_upkeep_that_takes_too_long_is_not_called_done_and_its_silence_counts(
        self, watched: Watched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(upkeep, "MOST_S", 0.3)
        watched.subject.under["n2"] = "is being defragmented"
        watched.subject.servers["n2"].manner = Manner.SILENT
        detection = await watched.detection()
        said = [event.text for event in watched.told if isinstance(event, Notice)]

        assert detection.nodes == ("n2",)
        assert said[1].startswith("n2 says that it still is being defragmented, after 0.")


async def _kinds_of_n2(looks: list[tuple[str, int | None, int | None]]) -> list[list[str]]:
    """What looks show of the progress of n2, by the leader, the leader's entry, and the lag of n2."""
    cluster, subject, _ = await scripted_cluster()
    diff = SnapshotDiff(limits_of(()))
    kinds = []
    for at, (leader, entry, lag) in enumerate(looks):
        subject.leader = leader
        behind = None if entry is None or lag is None else entry - lag
        subject.change("n1", raft_index=entry or 200)
        subject.change("n2", raft_index=behind, lag=lag)
        seen = diff.read(await subject.observe(), float(at))
        kinds.append(
            [each.kind for each in seen if each.node == "n2" and each.kind in {"stalled", "advancing"}]
        )
    await cluster.aclose()
    return kinds
