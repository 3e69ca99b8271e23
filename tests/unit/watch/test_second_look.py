"""A diagnosis is made again when telling evidence comes, and only what changed is shown."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.watch import examiner
from agent.watch.examiner import Examiner
from tests.standins.quiet_view import QuietView
from tests.standins.scripted_cluster import ScriptedRuntime, ScriptedSubject, scripted_cluster
from tools.detection import correlate, incident_tracker
from tools.detection.monitor import Monitor
from tools.diagnosis.base import case_of
from tools.events import Diagnosed
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection


class Shown(QuietView):
    """A view that keeps what it is shown."""

    @property
    def diagnoses(self) -> list[Any]:
        return [event.diagnosis for event in self.events if isinstance(event, Diagnosed)]


@dataclass
class LookedInto:
    """A scripted cluster, and what was told of it."""

    subject: ScriptedSubject
    runtime: ScriptedRuntime
    monitor: Monitor
    store: IncidentStore
    shown: Shown


async def until(shown: Shown, count: int) -> None:
    async with asyncio.timeout(60):
        while len(shown.diagnoses) < count:
            await asyncio.sleep(0.01)


@pytest.fixture
async def looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LookedInto]:
    """Three scripted nodes under a monitor, whose incidents are looked into at once."""
    monkeypatch.setattr(examiner, "WAIT_S", 0.05)
    cluster, subject, runtime = await scripted_cluster()
    store, ledger, shown = IncidentStore(tmp_path / "operator.db"), Ledger(), Shown()
    looks = Examiner(cluster, store, ledger, shown)
    monitor = Monitor(cluster, ledger, store, looks.take, period_s=0.1, look_s=0.1)
    await monitor.start()
    looking = asyncio.create_task(looks.run(monitor))
    yield LookedInto(subject, runtime, monitor, store, shown)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await monitor.stop()
    store.close()
    await cluster.aclose()


async def test_a_file_that_is_locked_for_a_while_ends_no_later_diagnosis(
    looked_into: LookedInto, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_args: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    shown, runtime = looked_into.shown, looked_into.runtime
    with monkeypatch.context() as patch:
        patch.setattr(IncidentStore, "keep_diagnosis", locked)
        runtime.happens("n2", "exit", 137)
        async with asyncio.timeout(60):
            while not any("could not be looked into" in str(event) for event in shown.events):
                await asyncio.sleep(0.01)
    runtime.happens("n3", "exit", 137)
    await until(shown, 1)


async def test_another_node_and_a_loop_are_shown_with_what_changed_and_the_same_is_not(
    looked_into: LookedInto,
) -> None:
    shown, runtime = looked_into.shown, looked_into.runtime
    runtime.happens("n2", "exit", 137)
    await until(shown, 1)
    runtime.happens("n3", "exit", 137)
    await until(shown, 2)
    first, second = shown.diagnoses

    assert (first["nodes"], "changed" in first) == (["n2"], False)
    assert str(second["changed"]).startswith("was crash of n2")
    assert looked_into.store.list()[0].diagnosis == second


async def test_how_a_process_ended_is_taken_into_the_diagnosis_as_soon_as_it_is_told(
    looked_into: LookedInto, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = looked_into.shown
    looked_into.subject.servers["n2"].die()
    await until(shown, 1)
    monkeypatch.setattr(examiner, "WAIT_S", 60.0)
    looked_into.runtime.happens("n2", "oom", 137)
    await until(shown, 2)

    assert "OOM-killed" in shown.diagnoses[-1]["root_cause"]


async def test_of_what_it_died_is_shown_though_that_it_crashed_is_known(looked_into: LookedInto) -> None:
    shown, runtime = looked_into.shown, looked_into.runtime
    runtime.happens("n2", "exit", 137)
    await until(shown, 1)
    runtime.happens("n2", "oom", 137)
    await until(shown, 2)
    first, second = shown.diagnoses

    assert (first["kind"], first["nodes"], first["confidence"]) == (
        second["kind"],
        second["nodes"],
        second["confidence"],
    )
    assert "OOM-killed" in second["changed"]


def blames_both(diagnosis: Mapping[str, Any]) -> bool:
    return diagnosis["kind"] == "quorum_loss" and {*diagnosis["nodes"]} == {"n2", "n3"}


async def test_a_lost_leader_is_put_down_to_the_members_that_died_before_each_in_its_incident(
    looked_into: LookedInto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_tracker, "GROUP_S", 0.0)
    monkeypatch.setattr(correlate, "NEWS_S", 0.0)
    shown, subject = looked_into.shown, looked_into.subject
    for count, node in enumerate(("n2", "n3"), 1):
        subject.servers[node].die()
        await until(shown, count)
    subject.leader, subject.held = None, False
    async with asyncio.timeout(60):
        while not (found := list(filter(blames_both, shown.diagnoses))):
            await asyncio.sleep(0.01)
    monitor = looked_into.monitor
    latest = monitor.detections[-1]

    assert (len(monitor.open_incidents), latest.nodes) == (2, ())
    assert all(cited["id"] for cited in found[-1]["evidence"])


def test_what_concerns_the_whole_cluster_may_have_its_cause_in_what_is_under_way() -> None:
    died = Detection("n2 is down", ("n2",), "i1", wall=150.0)
    late = Detection("n3 is down", ("n3",), "i2", wall=170.0)
    leaderless = Detection("there is no leader", (), "i3", wall=200.0)

    assert case_of([leaderless], [died]).opened_wall == 150.0
    assert case_of([late], [died]).opened_wall == 170.0
