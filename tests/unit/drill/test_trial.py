"""A trial is told as it went: healed is healed, and only what came after the fault detected it."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.drill import trial
from agent.drill.plan import DrillSettings, Trial
from agent.drill.run import run_drill
from agent.drill.trial import Run
from tests.standins.scripted_cluster import scripted_cluster
from tools.errors import NothingToDo, ToolError
from tools.events import Event, Notice
from tools.faults import recovery
from tools.faults.recovery import Recovery
from tools.workbench import Workbench

TRIAL = Trial(1, "kill", "kill", "b", 0.5, ("crash",))


class Alarmed:
    """A monitor that has made its detections already."""

    def __init__(self, *at: float) -> None:
        self._made = [SimpleNamespace(at=each, incident="1") for each in at]

    async def wait(self, after: float, _timeout_s: float) -> SimpleNamespace | None:
        return next((made for made in self._made if made.at >= after), None)


def run_of(**workbench: object) -> Run:
    """A trial whose fault was injected at 10 s."""
    run = Run(TRIAL, DrillSettings(), cast("Workbench", SimpleNamespace(**workbench)), began=5.0)
    run.injection = cast("Any", SimpleNamespace(record=SimpleNamespace(injected_at=10.0, nodes=("b",))))
    run.recovery = Recovery(True, 12.0, ())
    return run


async def test_an_alarm_from_before_the_fault_did_not_detect_it() -> None:
    run = run_of(monitor=Alarmed(7.0))
    await run._wait()

    assert run.detection is None
    assert run._score().detect_s is None


def test_a_diagnosis_that_failed_leaves_no_cluster_unrestored() -> None:
    run = run_of()
    run.problem = "the model's service is overloaded"

    assert run._score().restored
    assert run._score().problem


def test_a_fault_that_was_not_undone_does() -> None:
    run = run_of()
    run.unhealed = "b runs as another process"

    assert not run._score().restored
    assert run._score().problem == "b runs as another process"


async def test_a_result_that_cannot_be_written_is_told_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "drills").touch()
    events: list[Event] = []
    cluster = SimpleNamespace(subject=SimpleNamespace(stores=("a", "b", "c")), label="etcd on process")
    workbench = SimpleNamespace(
        state=SimpleNamespace(root=tmp_path),
        require_cluster=lambda: cluster,
        emit=events.append,
        diagnostician=SimpleNamespace(by="rules"),
    )
    result = await run_drill(cast("Workbench", workbench), DrillSettings(trials=0, rate=0.0))

    assert (result["cluster"], result["files"]) == ("etcd on process", [])
    assert any("could not be written" in each.text for each in events if isinstance(each, Notice))


class InterruptedSecond:
    """A monitor that sees nothing in one trial, and is waited for in vain in the next."""

    open_incidents = ()

    def __init__(self) -> None:
        self._trials = 0

    async def wait(self, _after: float, _timeout_s: float) -> None:
        self._trials += 1
        if self._trials > 1:
            raise asyncio.CancelledError

    def settle(self) -> None:
        """Nothing is open."""


async def test_of_a_drill_that_is_interrupted_the_trials_so_far_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "CALM_HOLD_S", 0.0)
    monkeypatch.setattr(recovery, "HOLD_S", 0.0)
    cluster, _, _ = await scripted_cluster()

    async def nothing_to_heal(_cluster: object) -> None:
        raise NothingToDo("nothing is open")

    async def failed(_case: object) -> None:
        raise ToolError("the model's service is overloaded")

    workbench = SimpleNamespace(
        state=SimpleNamespace(root=tmp_path),
        require_cluster=lambda: cluster,
        emit=lambda _event: None,
        monitor=InterruptedSecond(),
        diagnostician=SimpleNamespace(by="rules"),
        diagnosed=failed,
        faults=SimpleNamespace(heal=nothing_to_heal),
    )
    try:
        with pytest.raises(asyncio.CancelledError):
            await run_drill(cast("Workbench", workbench), DrillSettings(trials=2, faults=("none",), rate=0.0))
    finally:
        await cluster.aclose()

    (kept,) = (tmp_path / "drills").glob("*/result.json")
    result = json.loads(kept.read_text())
    assert ([each["n"] for each in result["trials"]], result["ok"]) == ([1], False)
