"""load_start, load_status, load_stop."""

from typing import Any

from pydantic import Field

from subjects import clock
from subjects.runtimes.filelock import hold
from tools.errors import NothingToDo, Refused, ToolError
from tools.events import Emit, Notice, Progress
from tools.load import results
from tools.load.run import LoadRun, new_folder
from tools.load.settings import LoadSettings
from tools.load.source import LoadFailed
from tools.observe.figures import LoadFigures, Window, WriteCheck
from tools.observe.observed import Observed
from tools.tool import Effect, Params, Result, tool
from tools.workbench import Workbench

BASELINE_WINDOWS = 3
SETTLE_WINDOWS = 15
"""So many windows of a second at most until the last three are steady: a cluster that has just started, on a
machine that is busy, takes its time."""

STEADY_SHARE = 0.9
"""Of the rate asked for: below it the baseline is not worth comparing with."""

ROWS = 10
"""The latest seconds that load_status tells one by one."""


class StartParams(Params):
    """What load to put on the cluster."""

    workload: str = Field("A", description="A YCSB core workload: A, B, C, D, E or F.")
    records: int = Field(1000, description="Records of 1 kB, written before the load begins: 1 to 1,000,000.")
    rate: float = Field(300.0, description="Operations that become due each second: 1 to 20,000.")
    seed: int = Field(0, description="The same seed gives the same sequence of operations and keys.")
    deadline_s: float = Field(
        2.0, description="What takes longer counts as a timeout, in seconds: 0.05 to 60."
    )


class StatusParams(Params):
    """Over how long to look."""

    seconds: int = Field(10, ge=1, le=3600, description="The latest seconds to sum up.")


class StopParams(Params):
    """How to end it."""

    verify: bool = Field(default=True, description="Read back every acknowledged write and compare.")


@tool(Effect.ACT)
async def load_start(params: StartParams, workbench: Workbench) -> Result:
    """Start the load and measure the baseline."""
    cluster = workbench.require_cluster()
    if not cluster.ours:
        raise Refused(f"{cluster.label} is external: load would write into data that operator does not own.")
    if workbench.load is not None and workbench.load.running:
        raise NothingToDo(
            f"A load already runs: {workbench.load.label}.",
            "Read it with load_status, or end it with load_stop.",
        )
    settings = LoadSettings(
        params.workload, params.records, params.rate, params.seed, params.deadline_s
    ).checked()
    if workbench.load is not None:
        await workbench.load.aclose()
        workbench.load = None
    run = await begin(workbench, settings)
    baseline, steady = await measure_baseline(run, workbench.emit)
    return Result(
        {
            "workload": settings.workload,
            "mix": {kind.value: share for kind, share in settings.chosen.mix.items()},
            "records": settings.records,
            "rate_per_s": settings.rate,
            "seed": settings.seed,
            "deadline_s": settings.deadline_s,
            "baseline_windows": BASELINE_WINDOWS,
            "baseline": results.figures(baseline),
            "steady": steady,
        },
        summary=f"workload {settings.workload}: {results.in_a_line(baseline)}",
        next="The baseline is steady: what comes can be compared with it."
        if steady
        else "The cluster does not carry this load without errors: use a lower rate before any fault.",
    )


@tool(Effect.READ)
async def load_status(params: StatusParams, observed: Observed) -> Result:
    """Tell what the load measures."""
    run = observed.load
    if run is None:
        return Result({"running": False, "why": "no load was started"}, next="Start one with load_start.")
    now = clock.wall()
    windows = [window for window in run.windows if window.wall >= now - params.seconds - 0.5]
    body: dict[str, Any] = {
        "running": run.running,
        "load": run.label,
        "seconds": len(windows),
        "figures": results.figures(run.latest(len(windows))),
        "latest": results.seconds(windows[-ROWS:], now),
        "latest_by_kind": results.by_kind(windows[-1].by_kind) if windows else {},
    }
    if run.problem:
        body["why"] = run.problem
    if run.checked is not None:
        body["writes"] = results.writes(run.checked)
    if run.unrecorded:
        body["writes_not_measured"] = run.unrecorded
    return Result(
        body,
        next="" if run.running else "Start it again with load_start.",
        summary=results.in_a_line(run.latest(len(windows))),
    )


@tool(Effect.ACT)
async def load_stop(params: StopParams, workbench: Workbench) -> Result:
    """Stop the load, and read back what was acknowledged."""
    run = workbench.load
    if run is None:
        raise NothingToDo("No load runs.", "Start one with load_start.")
    body: dict[str, Any] = {"load": run.label}
    advice = "What was acknowledged was not read back."
    if params.verify and run.unrecorded:
        body["writes"], body["writes_not_measured"] = None, run.unrecorded
        advice = f"Nothing was read back: {run.unrecorded}."
    elif params.verify:
        workbench.emit(Progress("Reading back every acknowledged write"))
        try:
            check = await run.verify(resume=False)
            body["writes"], advice = results.writes(check), _advice(check)
        except LoadFailed as error:
            body["writes"], advice = None, f"Nothing was read back: {error}"
        workbench.emit(Progress(advice, done=True))
    totals = await run.stop()
    workbench.load = None
    body["totals"] = results.totals(totals) if totals else None
    return Result(body, next=advice, summary=advice)


async def begin(workbench: Workbench, settings: LoadSettings) -> LoadRun:
    """Start the load on the cluster; nothing is measured yet. Refused while another operator has one."""

    def on_window(window: Window) -> None:
        if workbench.monitor is not None:
            workbench.monitor.client_window(window)

    def on_end(why: str) -> None:
        workbench.emit(Notice(why, level="warning"))

    cluster = workbench.require_cluster()
    alone = hold(workbench.state.root / f"load-{cluster.id}.lock")
    if alone is None:
        raise Refused(
            "Another operator has a load on this cluster: each would take the other's writes for lost ones.",
            "Wait until it has ended, or have a cluster of your own with another --state-dir.",
        )
    workbench.emit(Progress(f"Writing {settings.records:,} records"))
    try:
        run = await LoadRun.start(
            cluster.subject.load_target(workbench.choice.load),
            settings,
            new_folder(workbench.state.root),
            on_window,
            on_end,
        )
    except BaseException:
        alone.close()
        raise
    run.alone = alone
    workbench.baseline = None  # that of an earlier load says nothing of this one
    workbench.emit(Progress(f"{settings.records:,} records written", done=True))
    workbench.load = run
    return run


async def measure_baseline(run: LoadRun, emit: Emit) -> tuple[LoadFigures, bool]:
    """Measure until the last BASELINE_WINDOWS are steady, SETTLE_WINDOWS at most; say whether they are."""
    for n in range(SETTLE_WINDOWS):
        settled = n >= BASELINE_WINDOWS
        text = "Waiting for the load to become steady" if settled else "Measuring the baseline"
        of_s = SETTLE_WINDOWS if settled else BASELINE_WINDOWS
        emit(Progress(text, elapsed_s=float(n), of_s=float(of_s)))
        if not await run.wait_windows(n + 1, timeout_s=5.0):
            raise ToolError(
                run.problem or "The load does not tell what it measures.", "Try load_stop, then load_start."
            )
        baseline = run.latest(BASELINE_WINDOWS)
        steady = n + 1 >= BASELINE_WINDOWS and _steady(run, baseline)
        if steady:
            break
    emit(Progress("The baseline is measured", done=True))
    return baseline, steady


def _steady(run: LoadRun, baseline: LoadFigures) -> bool:
    """Tell whether what comes can be compared with it."""
    enough = baseline.ops_per_s is not None and baseline.ops_per_s >= STEADY_SHARE * run.settings.rate
    return enough and not baseline.errors


def _advice(check: WriteCheck) -> str:
    if check.unreadable:
        return f"{check.unreadable} of {check.keys} keys could not be read back, so nothing is proven."
    if check.lost or check.changed:
        return (
            f"Acknowledged writes are gone: {check.lost} keys lost, {check.changed} changed. Tell it plainly."
        )
    return f"All {check.keys:,} keys hold what was acknowledged last."
