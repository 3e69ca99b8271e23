"""Members that come back with another version, one after the other, are one upgrade, and hide nothing."""

import time

import pytest

from tests.standins.many_nodes import Manner
from tests.unit.detection.conftest import Watched
from tools.detection import maintenance, rollout
from tools.events import Notice
from tools.observe.kinds import signal
from tools.observe.signal import CLIENT_PORT

OLD, NEW = "3.5.21", "3.6.4"


async def goes(watched: Watched, node: str) -> None:
    """End a member, as it looks from outside, and have that seen."""
    watched.subject.servers[node].die()
    await watched.until(lambda: not all(watched.monitor._wheel.healthy(node).values()))


async def comes_back(watched: Watched, node: str, version: str = NEW) -> None:
    """Have it back with a version, seen by two snapshots."""
    watched.subject.change(node, version=version)
    await watched.subject.servers[node].start()
    await watched.until(lambda: all(watched.monitor._wheel.healthy(node).values()))
    await watched.looks(2)


@pytest.fixture
async def upgraded(watched: Watched) -> Watched:
    """A cluster of which the first member was upgraded, and the incident of that is over."""
    for node in watched.subject.nodes:
        watched.subject.change(node, version=OLD)
    await watched.looks(2)
    await goes(watched, "n1")
    await watched.detection()
    await comes_back(watched, "n1")
    await watched.until(lambda: not watched.monitor.open_incidents)
    return watched


async def test_the_steps_after_the_first_are_told_without_an_alarm(upgraded: Watched) -> None:
    for node in ("n2", "n3"):
        await goes(upgraded, node)
        await comes_back(upgraded, node)
    await upgraded.calm()
    await upgraded.monitor.recorded()
    told = [event.text for event in upgraded.told if isinstance(event, Notice)]

    assert len(upgraded.detected) == 1
    assert "Rolling upgrade: 2 of 3 members on 3.6.4." in told
    assert [each.text for each in upgraded.store.list()] == ["rolling upgrade: 3 of 3 members on 3.6.4"]


async def test_who_does_not_come_back_in_time_is_detected(
    upgraded: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "LEAST_S", 0.5)
    monkeypatch.setattr(rollout, "TIMES", 0.0)
    at = time.monotonic()
    await goes(upgraded, "n2")
    made = await upgraded.detection(at)

    assert (made.nodes, made.at - at >= 0.5) == (("n2",), True)


async def test_who_was_killed_is_no_step_and_is_detected_at_once(upgraded: Watched) -> None:
    await goes(upgraded, "n2")
    at = upgraded.runtime.happens("n2", "exit", 137)
    made = await upgraded.detection(at)

    assert made.nodes == ("n2",)
    assert made.at - at < rollout.LEAST_S / 3


async def test_who_goes_while_another_one_is_away_is_detected_at_once(upgraded: Watched) -> None:
    await goes(upgraded, "n2")
    at = time.monotonic()
    upgraded.subject.servers["n3"].die()
    made = await upgraded.detection(at)

    assert made.nodes == ("n3",)
    assert made.at - at < rollout.LEAST_S / 3


async def test_who_ended_and_nobody_knows_how_is_no_step_and_is_detected_at_once(upgraded: Watched) -> None:
    await goes(upgraded, "n2")
    at = upgraded.runtime.happens("n2", "exit")
    made = await upgraded.detection(at)

    assert made.nodes == ("n2",)
    assert made.at - at < rollout.LEAST_S / 3


async def test_who_falls_silent_while_another_one_is_away_is_detected_and_so_is_that_one(
    upgraded: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "LED_AGAIN_S", 0.3)
    await goes(upgraded, "n2")
    at = time.monotonic()
    upgraded.subject.servers["n3"].manner = Manner.SILENT
    await upgraded.until(lambda: {("n2",), ("n3",)} <= {made.nodes for made in upgraded.detected})

    assert time.monotonic() - at < rollout.LEAST_S / 3


async def test_who_goes_while_something_is_held_against_another_one_is_detected_at_once(
    upgraded: Watched,
) -> None:
    upgraded.monitor._correlator.conditions.put(signal("silent", "n3", "no answer", via=CLIENT_PORT))
    at = time.monotonic()
    upgraded.subject.servers["n2"].die()
    made = await upgraded.detection(at)

    assert made.nodes == ("n2",)
    assert made.at - at < rollout.LEAST_S / 3


async def test_who_is_back_is_looked_at_at_once(upgraded: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it was restarted is expected for a few seconds only, and looks are seconds apart."""
    await goes(upgraded, "n2")
    monkeypatch.setattr(upgraded.monitor, "_look_s", 60.0)
    await upgraded.looks(1)
    upgraded.subject.change("n2", version=NEW, started_at=1_000_099.0)
    looks = upgraded.subject.looks
    await upgraded.subject.servers["n2"].start()
    await upgraded.until(lambda: upgraded.subject.looks > looks, timeout_s=60.0)
    await upgraded.calm()


async def test_who_comes_back_with_the_old_version_has_crashed_and_is_detected(upgraded: Watched) -> None:
    at = time.monotonic()
    await goes(upgraded, "n2")
    upgraded.subject.change("n2", started_at=1_000_099.0)
    await comes_back(upgraded, "n2", OLD)
    made = await upgraded.detection(at)

    assert made.text == "n2 was restarted"
    assert made.at - at < rollout.LEAST_S / 3


async def test_a_member_that_left_is_not_counted(upgraded: Watched) -> None:
    upgraded.subject.views.pop("n3")
    left = upgraded.subject.servers.pop("n3")
    await upgraded.looks(2)
    left.die()
    await goes(upgraded, "n2")
    await comes_back(upgraded, "n2")
    told = [event.text for event in upgraded.told if isinstance(event, Notice)]

    assert told[-1] == "Rolling upgrade: 2 of 2 members on 3.6.4."


async def test_who_has_the_new_version_already_is_no_step(upgraded: Watched) -> None:
    at = time.monotonic()
    upgraded.subject.servers["n1"].die()

    assert (await upgraded.detection(at)).nodes == ("n1",)
