"""The drill: trial after trial on a running cluster, told as it goes."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from agent.drill.page import drill_page
from agent.drill.plan import DrillSettings, plan
from agent.drill.score import Scored, summary
from agent.drill.tables import FAULT_COLUMNS, fault_rows, totals
from agent.drill.trial import NotCalm, Run
from agent.models.base import Usage
from agent.view.jsonl import plain
from tools.errors import ToolError
from tools.events import Failed, Notice, Progress, Table
from tools.load.run import LoadRun
from tools.observe.figures import WriteCheck
from tools.registry import Dispatcher
from tools.workbench import Workbench


@runtime_checkable
class Billed(Protocol):
    """A diagnostician that uses a model."""

    usage: Usage
    cost_usd: float | None


async def run_drill(workbench: Workbench, settings: DrillSettings) -> dict[str, Any]:
    """Run all trials on the workbench's cluster, started if need be; returns the command's `result`.

    Raises ToolError for faults that there are not. A trial that cannot begin ends the drill: `ok` is false.
    Of a drill that is interrupted, the trials so far are shown and kept.
    """
    stores = workbench.require_cluster().subject.stores
    trials = plan(settings, stores)
    load = await _load(workbench, settings)
    done: list[Scored] = []
    began = time.monotonic()
    checked: WriteCheck | None = None
    try:
        for trial in trials:
            started = time.monotonic()
            workbench.emit(Progress(f"Trial {trial.n} of {len(trials)}", 0.0))
            before = _bill(workbench.diagnostician)
            scored = await Run(trial, settings, workbench).go()
            done.append(_billed(scored, before, _bill(workbench.diagnostician)))
            workbench.emit(Progress(_line(done[-1], len(trials)), time.monotonic() - started, done=True))
        checked = await _read_back(workbench, load)
    except NotCalm as error:
        workbench.emit(Failed(f"The drill ends here: {error}"))
    except BaseException:
        if done:
            _result(workbench, settings, done, None, time.monotonic() - began)
        raise
    finally:
        if load is not None:
            await load.aclose()
            workbench.load = None
    return _result(workbench, settings, done, checked, time.monotonic() - began)


def _result(
    workbench: Workbench,
    settings: DrillSettings,
    done: Sequence[Scored],
    checked: WriteCheck | None,
    seconds: float,
) -> dict[str, Any]:
    """Sum up the trials, show that and write it down."""
    folder = workbench.state.root / "drills" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    result = summary(done, settings, workbench.diagnostician.by)
    result["seconds"] = round(seconds, 1)
    result["cluster"] = workbench.require_cluster().label
    result["load"] = _written(checked)
    result["files"] = [str(folder / name) for name in ("result.json", "report.html")]
    for table in tables(result):
        workbench.emit(table)
    try:
        _keep(result, folder)
    except OSError as error:  # no room: what the trials showed is told all the same
        result["files"] = []
        workbench.emit(Notice(f"The result could not be written: {error}.", level="warning"))
    for what, path in zip(("Result", "Report"), result["files"], strict=False):
        workbench.emit(Notice(f"{what}: {path}"))
    return result


def tables(result: dict[str, Any]) -> tuple[Table, ...]:
    """Return the score as tables: each fault, the drill in sum, and how far confidence can be trusted."""
    trust = tuple(
        (level, str(row["right"]), str(row["wrong"]))
        for level in ("high", "medium", "low")
        if (row := result["confidence"].get(level))
    )
    name = f"Drill, seed {result['seed']}, by {result['diagnostician']}"
    made = (
        Table(name, FAULT_COLUMNS, tuple(fault_rows(result))),
        Table("Total", ("", ""), tuple(totals(result))),
    )
    return (*made, Table("Confidence", ("confidence", "right", "wrong"), trust)) if trust else made


async def _read_back(workbench: Workbench, load: LoadRun | None) -> WriteCheck | None:
    """Read back every write that was acknowledged during the drill; None where that can't be done."""
    if load is None or load.unrecorded or not load.running:
        return None
    try:
        return await load.verify(resume=False)
    except ToolError as error:
        workbench.emit(Notice(f"Acknowledged writes could not be read back: {error}", level="warning"))
        return None


def _written(checked: WriteCheck | None) -> dict[str, Any] | None:
    if checked is None:
        return None
    return {
        "acknowledged_writes": checked.acknowledged,
        "acknowledged_writes_lost": checked.lost,
        "acknowledged_writes_changed": checked.changed,
    }


def _keep(result: dict[str, Any], folder: Path) -> None:
    """Write the result and its page."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, text in zip(result["files"], (json.dumps(plain(result)), drill_page(result)), strict=True):
        Path(path).write_text(text + "\n", encoding="utf-8")


async def _load(workbench: Workbench, settings: DrillSettings) -> LoadRun | None:
    """Put a steady load on, so that faults that need writes show; None if one runs or none is wanted."""
    if settings.rate <= 0 or (workbench.load is not None and workbench.load.running):
        return None
    run = await Dispatcher(workbench).run(
        "drill-load", "load_start", {"rate": settings.rate, "seed": settings.seed}
    )
    if not run.ok:
        workbench.emit(Failed(f"The drill runs without load: {run.data.get('error')}"))
        return None
    return workbench.load


Bill = tuple[int, float | None]
"""Tokens, and what they cost in USD where that is known."""


def _bill(who: object) -> Bill | None:
    """Return what a diagnostician has cost so far; None for one that costs nothing."""
    if not isinstance(who, Billed):
        return None
    return who.usage.prompt_tokens + who.usage.output_tokens, who.cost_usd


def _billed(scored: Scored, before: Bill | None, now: Bill | None) -> Scored:
    """Return the trial with what it cost."""
    if before is None or now is None:
        return scored
    cost_usd = None if now[1] is None else round(now[1] - (before[1] or 0.0), 6)
    return replace(scored, tokens=now[0] - before[0], cost_usd=cost_usd)


def _line(scored: Scored, of: int) -> str:
    where = f" on {'+'.join(scored.nodes)}" if scored.nodes else ""
    head = f"Trial {scored.n} of {of}: {scored.fault}{where}"
    if scored.control and not scored.detected and scored.right:
        return f"{head}: control, rightly silent"
    if scored.detect_s is not None:
        found = f"detected after {scored.detect_s:.3f} s"
    else:
        found = "false alarm" if scored.false_alarm else "detected" if scored.detected else "not detected"
    words = f"{scored.diagnosed_kind or 'nothing'} {'+'.join(scored.diagnosed_nodes)}".strip()
    recovered = "" if scored.heal_s is None else f"; recovered after {scored.heal_s:.1f} s"
    return f"{head}: {found}; diagnosed {words}: {'right' if scored.right else 'WRONG'}{recovered}"
