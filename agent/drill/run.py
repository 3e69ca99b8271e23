"""The drill: trial after trial on a running cluster, told as it goes."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from agent.drill.plan import DrillSettings, plan
from agent.drill.score import Scored, summary
from agent.drill.trial import NotCalm, Run
from agent.models.base import Usage
from tools.events import Failed, Progress, Table
from tools.load.run import LoadRun
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
    """
    stores = workbench.require_cluster().subject.stores
    trials = plan(settings, stores)
    folder = workbench.state.root / "drills" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    load = await _load(workbench, settings)
    done: list[Scored] = []
    began = time.monotonic()
    try:
        for trial in trials:
            workbench.emit(Progress(f"Trial {trial.n} of {len(trials)}", time.monotonic() - began))
            tokens, cost = _bill(workbench)
            scored = await Run(trial, settings, workbench, folder).go()
            done.append(_billed(scored, tokens, cost, workbench))
            workbench.emit(Progress(_line(done[-1], len(trials)), time.monotonic() - began, done=True))
    except NotCalm as error:
        workbench.emit(Failed(f"The drill ends here: {error}"))
    finally:
        if load is not None:
            await load.aclose()
            workbench.load = None
    result = summary(done, settings, workbench.diagnostician.by)
    result["seconds"] = round(time.monotonic() - began, 1)
    result["cluster"] = workbench.require_cluster().label
    for table in tables(result):
        workbench.emit(table)
    return result


def tables(result: dict[str, Any]) -> tuple[Table, ...]:
    """Return the score as tables: each fault, and how far confidence can be trusted."""
    faults = tuple(
        (
            name,
            str(row["trials"]),
            str(row["detected"]),
            f"{row['node_right']}/{row['trials']}",
            f"{row['kind_right']}/{row['trials']}",
            "–" if row["detection_p50_s"] is None else f"{row['detection_p50_s']:.3f} s",
        )
        for name, row in result["by_fault"].items()
    )
    trust = tuple(
        (level, str(row["right"]), str(row["wrong"]))
        for level in ("high", "medium", "low")
        if (row := result["confidence"].get(level))
    )
    return (
        Table(
            f"Drill, seed {result['seed']}, by {result['diagnostician']}",
            ("fault", "trials", "detected", "node right", "kind right", "detected after (p50)"),
            faults,
        ),
        Table("Confidence against correctness", ("confidence", "right", "wrong"), trust),
    )


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


def _bill(workbench: Workbench) -> tuple[int, float]:
    who = workbench.diagnostician
    if not isinstance(who, Billed):
        return 0, 0.0
    return who.usage.prompt_tokens + who.usage.output_tokens, who.cost_usd or 0.0


def _billed(scored: Scored, tokens: int, cost: float, workbench: Workbench) -> Scored:
    if not isinstance(workbench.diagnostician, Billed):
        return scored
    tokens_now, cost_now = _bill(workbench)
    known = workbench.diagnostician.cost_usd is not None
    return replace(scored, tokens=tokens_now - tokens, cost_usd=round(cost_now - cost, 6) if known else None)


def _line(scored: Scored, of: int) -> str:
    mark = "right" if scored.right else "wrong"
    said = f"{scored.diagnosed_kind or 'nothing'} {'+'.join(scored.diagnosed_nodes)}".strip()
    where = f" on {'+'.join(scored.nodes)}" if scored.nodes else ""
    alarm = ", a false alarm" if scored.false_alarm else ""
    return f"Trial {scored.n} of {of}: {scored.fault}{where}; said {said}: {mark}{alarm}"
