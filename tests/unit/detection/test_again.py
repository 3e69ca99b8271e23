"""What comes back and fails again is a detection each time, in the same incident, counted."""

import time

import pytest

from tests.standins.many_nodes import Manner
from tests.unit.detection.conftest import Watched
from tools.detection import incident_tracker
from tools.detection.incident_tracker import ANSWERS
from tools.observe.signal import Again


async def die_and_return(watched: Watched, node: str) -> None:
    """Have a node that nobody sees the process of die, be detected, and answer again for a while."""
    server = watched.subject.servers[node]
    at = time.monotonic()
    server.die()
    await watched.detection(at)
    await server.start()
    await watched.until(lambda: is_back(watched, node))


def is_back(watched: Watched, node: str) -> bool:
    """Whether the monitor had so many answers that the node counts as back."""
    incident = watched.monitor._incidents.of(node)
    return incident is not None and incident.of(node).answers >= ANSWERS


def state_of(watched: Watched) -> str:
    """What the monitor says of the cluster by now."""
    return watched.monitor.state


async def test_a_process_that_exits_again_is_detected_at_once_each_time(watched: Watched) -> None:
    for n in range(1, 6):
        at = watched.runtime.happens("n2", "exit", 137)
        made = await watched.detection(at)
        assert made.nodes == ("n2",)
        assert (made.again.count if made.again else 1) == n
        watched.runtime.happens("n2", "start")
        await watched.looks(1)

    assert len(watched.monitor.open_incidents) == 1
    assert {made.incident for made in watched.detected} == {watched.monitor.open_incidents[0]}


async def test_from_the_third_time_it_is_called_a_loop(watched: Watched) -> None:
    for _ in range(3):
        at = watched.runtime.happens("n2", "exit", 137)
        made = await watched.detection(at)
        watched.runtime.happens("n2", "start")
    assert await watched.monitor.recorded()

    assert made.text.startswith("crash loop: n2 is down")
    assert "3rd time in " in made.text
    assert watched.store.get(made.incident).text == made.text


async def test_a_node_seen_only_from_outside_is_detected_again_too(watched: Watched) -> None:
    await die_and_return(watched, "n2")
    at = time.monotonic()
    watched.subject.servers["n2"].die()
    made = await watched.detection(at)

    assert made.nodes == ("n2",)
    assert made.again is not None
    assert made.again.count == 2


async def test_a_node_that_was_back_for_a_moment_only_is_detected_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two periods of the probes it is started, answers, and dies."""
    monkeypatch.setattr(watched.monitor._wheel, "period_s", 60.0)
    await die_and_return(watched, "n2")
    at = time.monotonic()
    watched.subject.servers["n2"].die()
    made = await watched.detection(at)

    assert made.again is not None
    assert made.again.count == 2


async def test_what_else_shows_of_one_death_is_not_another(watched: Watched) -> None:
    watched.runtime.happens("n2", "exit", 137)
    watched.subject.servers["n2"].die()
    await watched.detection()
    watched.runtime.happens("n2", "start")
    watched.subject.change("n2", peers={"n1": False, "n3": False}, started_at=1_000_050.0)
    await watched.until(lambda: {"peer_lost", "restarted"} <= set(watched.kinds("n2")))
    await watched.subject.servers["n2"].start()
    watched.subject.change("n2", peers={"n1": True, "n3": True})
    await watched.until(lambda: not watched.monitor.open_incidents)

    assert len(watched.detected) == 1


async def test_a_node_that_is_frozen_again_and_again_is_flapping(watched: Watched) -> None:
    for _ in range(3):
        at = watched.runtime.happens("n3", "stopped")
        made = await watched.detection(at)
        watched.runtime.happens("n3", "continued")

    assert made.text.startswith("flapping: n3 is frozen")
    assert len(watched.detected) == 3


async def test_silence_that_ends_and_comes_again_is_counted(watched: Watched) -> None:
    server = watched.subject.servers["n3"]
    for _ in range(2):
        at = time.monotonic()
        server.manner = Manner.SILENT
        made = await watched.detection(at)
        server.manner = Manner.HEALTHY
        server.hang_up()
        await watched.until(lambda: is_back(watched, "n3"))

    assert made.again is not None
    assert made.again.count == 2


async def test_leader_changes_are_counted_while_their_incident_is_open(watched: Watched) -> None:
    for leader in ("n2", "n3", "n1", "n2"):
        watched.subject.leader = leader
        await watched.looks(2)
    first = await watched.detection()
    watched.subject.leader = "n3"
    await watched.looks(2)

    assert watched.monitor.open_incidents == (first.incident,)
    assert "n3 elected leader, was n2" in watched.monitor.signals[-1].raw
    assert watched.monitor.signals[-1].node == "n2"


async def test_a_death_right_after_a_planned_restart_is_another(watched: Watched) -> None:
    with watched.monitor.maintenance(["n2"], "restart asked for"):
        watched.runtime.happens("n2", "exit", 0)
        await watched.until(lambda: "n2" in watched.monitor._kernel.ended)
        watched.runtime.happens("n2", "start")
        await watched.until(lambda: "n2" not in watched.monitor._kernel.ended)
    at = watched.runtime.happens("n2", "exit", 137)

    assert (await watched.detection(at)).nodes == ("n2",)


async def test_the_state_is_never_healthy_beside_an_open_incident_nor_told_of_the_past(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state_of(watched) == "healthy"
    watched.runtime.happens("n2", "exit", 137)
    await watched.detection()
    assert state_of(watched) == "degraded"

    monkeypatch.setattr("tools.detection.monitor.UNKNOWN_AFTER_S", -1.0)
    assert state_of(watched) == "unknown"


@pytest.mark.parametrize(
    ("count", "said"),
    [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"), (113, "113th")],
)
def test_how_often_is_said_as_people_say_it(count: int, said: str) -> None:
    assert str(Again(count, 40.0)) == f"{said} time in 40 s"


async def test_an_end_that_is_told_after_the_node_is_back_is_no_second_one(watched: Watched) -> None:
    """A pod's status tells seconds late of what connections saw, and names it; the next one counts."""
    watched.runtime.delayed = True
    await watched.looks(1)
    await die_and_return(watched, "n2")
    watched.subject.change("n2", started_at=1_000_100.0)
    await watched.looks(3)
    watched.runtime.happens("n2", "oom", 137)
    watched.runtime.happens("n2", "start")
    await watched.looks(1)
    assert await watched.monitor.recorded()

    [first] = watched.detected
    assert watched.store.get(first.incident).text == "n2 is down: it was OOM-killed"

    await watched.until(lambda: is_back(watched, "n2"))
    at = watched.runtime.happens("n2", "oom", 137)
    made = await watched.detection(at)

    assert made.incident == first.incident
    assert made.again is not None
    assert made.again.count == 2


async def test_an_incident_stays_open_until_it_is_told_of_what_a_process_ended(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_tracker, "HOLD_S", 0.05)
    watched.runtime.delayed = True
    await watched.looks(1)
    await die_and_return(watched, "n2")
    watched.subject.change("n2", started_at=1_000_100.0)
    await watched.looks(12)
    assert watched.monitor.open_incidents

    watched.runtime.happens("n2", "oom", 137)
    watched.runtime.happens("n2", "start")
    await watched.until(lambda: not watched.monitor.open_incidents)

    assert len(watched.detected) == 1
