"""wait_for_detection: what it returns, what it tells meanwhile, and that it never waits for what is there."""

import time
from typing import Any

import pytest

from tests.unit.detection.conftest import Watched
from tools.detection.tools import WaitParams, wait_for_detection
from tools.detection.watched import Awaited
from tools.detection.watched import Watched as WatchedCluster
from tools.errors import ToolError
from tools.events import Progress
from tools.tool import Result


def session(watched: Watched, **more: Any) -> WatchedCluster:
    """What the tool is given of a session."""
    parts: dict[str, Any] = {
        "emit": watched.told.append,
        "ledger": watched.ledger,
        "incidents": watched.store,
        "cluster": watched.cluster,
        "monitor": watched.monitor,
    }
    return WatchedCluster(**{**parts, **more})


async def call(watched: Watched, timeout_s: float = 5.0) -> Result:
    return await wait_for_detection(WaitParams(timeout_s=timeout_s), session(watched))


async def test_what_was_detected_before_the_call_is_returned_at_once(watched: Watched) -> None:
    watched.runtime.happens("n2", "exit", 137)
    await watched.until(lambda: bool(watched.monitor.detections))
    result = await call(watched)

    assert result.data["detected"] is True
    assert result.data["nodes"] == ["n2"]
    assert "detected_after_fault_s" not in result.data
    assert result.data["signals"][0]["evidence"] == "E1"


async def test_a_detection_tells_how_long_after_this_sessions_fault_it_came(watched: Watched) -> None:
    injected_at = time.monotonic()
    awaited = Awaited(injected_at, alarm_due=True)
    watched.runtime.happens("n2", "exit", 137)
    result = await wait_for_detection(WaitParams(timeout_s=5.0), session(watched, awaited=awaited))

    assert (made := watched.monitor.detections[0]).at > injected_at
    assert result.data["detected_after_fault_s"] == round(made.at - injected_at, 4)
    assert 0 <= result.data["first_signal_after_fault_s"] <= result.data["detected_after_fault_s"]


async def test_the_same_detection_is_not_returned_twice(watched: Watched) -> None:
    watched.runtime.happens("n2", "exit", 137)
    assert (await call(watched)).data["detected"] is True
    assert (await call(watched, 0.3)).data["detected"] is False


async def test_a_wait_in_vain_counts_down_and_ends(watched: Watched) -> None:
    result = await call(watched, 0.6)
    told = [event for event in watched.told if isinstance(event, Progress)]

    assert result.ok
    assert result.data["detected"] is False
    assert [event.text for event in told[:2]] == ["Waiting for detection"] * 2
    assert all(event.of_s == 0.6 for event in told)
    assert [event.done for event in told].count(True) == 1


async def test_where_no_alarm_is_due_the_wait_is_short_and_silence_is_right(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.detection.tools.QUIET_S", 0.3)
    awaited = Awaited(time.monotonic(), alarm_due=False)
    result = await wait_for_detection(WaitParams(timeout_s=60), session(watched, awaited=awaited))

    assert (result.data["detected"], result.data["alarm_due"]) == (False, False)
    assert "none was due" in result.summary


async def test_an_alarm_that_is_not_due_is_returned_as_such(watched: Watched) -> None:
    awaited = Awaited(time.monotonic(), alarm_due=False)
    watched.runtime.happens("n2", "exit", 137)
    result = await wait_for_detection(WaitParams(timeout_s=60), session(watched, awaited=awaited))

    assert (result.data["detected"], result.data["alarm_due"]) == (True, False)


async def test_what_was_planned_long_ago_does_not_shorten_the_wait(watched: Watched) -> None:
    awaited = Awaited(time.monotonic() - 3600, alarm_due=False)
    result = await wait_for_detection(WaitParams(timeout_s=0.3), session(watched, awaited=awaited))

    assert result.data["alarm_due"] is True


async def test_the_incident_is_written_down_when_the_tool_returns(watched: Watched) -> None:
    watched.runtime.happens("n2", "exit", 137)
    result = await call(watched)

    assert watched.store.get(result.data["incident"]).nodes == ("n2",)


async def test_without_a_cluster_that_is_watched_it_says_what_to_do(watched: Watched) -> None:
    with pytest.raises(ToolError, match="Nothing is being watched"):
        await wait_for_detection(WaitParams(), session(watched, monitor=None))
