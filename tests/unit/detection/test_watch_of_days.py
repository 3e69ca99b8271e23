"""What a watch of days meets: worse that comes late, plans that fail, members that move, strange answers."""

import time

import pytest

from subjects.base import Alarm
from tests.standins.many_nodes import HealthServer
from tests.unit.detection.conftest import Watched
from tools.detection import correlate, maintenance
from tools.incidents.store import IncidentStore
from tools.observe.kinds import abnormal
from tools.observe.limits import limits_of
from tools.observe.signal import Signal, Source
from tools.observe.snapshot_diff import SnapshotDiff


@pytest.fixture
def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes half a minute or a whole one takes 0.3 s."""
    monkeypatch.setattr(correlate, "NEWS_S", 0.3)
    monkeypatch.setattr(maintenance, "DOWN_S", 0.3)


@pytest.mark.usefixtures("_later")
class TestWorseThatComesLate:
    """An incident that is known does not swallow what is worse."""

    async def test_the_death_of_a_node_that_a_peer_had_lost_for_long_is_told(self, watched: Watched) -> None:
        watched.subject.change("n2", peers={"n1": False, "n3": False})
        first = await watched.detection()
        await watched.calm(0.4)
        at = watched.runtime.happens("n2", "exit", 137)
        second = await watched.detection(at)

        assert (second.nodes, second.text) == (("n2",), "n2 is down: its process exited")
        assert second.incident == first.incident

    async def test_an_alarm_beside_a_node_that_has_been_dead_for_long_is_told_and_each_other_one(
        self, watched: Watched
    ) -> None:
        watched.runtime.happens("n2", "exit", 137)
        await watched.detection()
        await watched.calm(0.4)
        at = time.monotonic()
        watched.subject.alarms = (Alarm("NOSPACE", "n1"),)
        second = await watched.detection(at)
        await watched.calm(0.4)
        at = time.monotonic()
        watched.subject.alarms = (Alarm("NOSPACE", "n1"), Alarm("CORRUPT", "n3"))
        third = await watched.detection(at)

        assert second.text == "n1 is over its space quota: writes are refused (NOSPACE)"
        assert third.text == "n3 has corrupt data: writes are refused (CORRUPT)"

    async def test_what_is_no_worse_is_not_told_again(self, watched: Watched) -> None:
        watched.runtime.happens("n2", "exit", 137)
        await watched.detection()
        await watched.calm(0.4)
        watched.subject.servers["n2"].die()
        watched.subject.change("n2", peers={"n1": False, "n3": False})
        await watched.calm(1.0)


@pytest.mark.usefixtures("_later")
async def test_a_node_that_does_not_come_back_from_a_planned_restart_is_detected(watched: Watched) -> None:
    with watched.monitor.maintenance(["n2"], "restart asked for"):
        watched.subject.servers["n2"].die()
        watched.runtime.happens("n2", "exit", 1)
        await watched.looks()
    detection = await watched.detection()

    assert detection.nodes == ("n2",)


async def test_a_member_that_comes_back_under_another_address_is_watched_there(watched: Watched) -> None:
    moved = HealthServer()
    await moved.start()
    watched.subject.servers["n2"].die()
    watched.subject.servers["n2"] = moved
    await watched.until(lambda: moved.asked > 0)
    await watched.until(lambda: not watched.monitor.open_incidents)
    at = time.monotonic()
    moved.die()

    assert (await watched.detection(at)).nodes == ("n2",)


class TestAClockThatIsSet:
    """Linux reckons a process' start from the boot: it moves with the clock, and nothing was restarted."""

    @pytest.mark.parametrize(("step_s", "restarts"), [(5.0, []), (-3600.0, []), (640.0, ["restarted"])])
    async def test_no_restart_is_seen_in_a_start_that_moved_less_than_the_node_was_seen_alive(
        self, watched: Watched, step_s: float, restarts: list[str]
    ) -> None:
        diff = SnapshotDiff(limits_of(()))
        before = await watched.subject.observe()
        for at in (0.0, 600.0):
            list(diff.read(before, at))
        watched.subject.change("n2", started_at=1_000_000.0 + step_s)
        seen = diff.read(await watched.subject.observe(), 603.0)

        assert [each.kind for each in seen if abnormal(each.kind)] == restarts


async def test_an_answer_that_cannot_be_read_is_told_and_the_looks_go_on(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def strange() -> None:
        raise RecursionError("[[[[[[")

    with monkeypatch.context() as patch:
        patch.setattr(watched.subject, "observe", strange)
        detection = await watched.detection()
    await watched.looks()

    assert detection.text == "cluster state unavailable"
    assert "RecursionError" in detection.signals[0].raw


async def test_what_cannot_be_written_down_does_not_take_another_incident_along(watched: Watched) -> None:
    def fails(store: IncidentStore) -> None:
        store.add("no-such-incident", Signal(Source.SELF, "x", None, "x"))

    watched.monitor._recorder.do(fails)
    watched.runtime.happens("n2", "exit", 137)
    detection = await watched.detection()
    watched.monitor._recorder.do(fails)
    assert await watched.monitor.recorded()

    assert watched.store.get(detection.incident).nodes == ("n2",)
