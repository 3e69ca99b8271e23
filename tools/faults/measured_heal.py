"""A heal, watched until all is as before and measured: what it makes is a `FaultOutcome`."""

import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from subjects import clock
from tools.errors import ToolError
from tools.events import Progress
from tools.faults import recovery
from tools.faults.comparison import Impact
from tools.faults.healing import HealReport
from tools.faults.outcome import FaultOutcome
from tools.faults.recovery import Recovery
from tools.faults.service import Injection
from tools.load.spans import NOT_MEASURED, between, failed, summed
from tools.observe.figures import WINDOW_S, Window, WriteCheck
from tools.workbench import Workbench


async def heal(
    workbench: Workbench, healing: Awaitable[Sequence[HealReport]], *, read_back: bool = True
) -> FaultOutcome:
    """Carry out `healing`, watch until all is as before, and measure what came of the fault.

    With `read_back` every acknowledged write of a running load is read back at the end.
    """
    began = time.monotonic()
    seen = workbench.monitor.snapshot if workbench.monitor is not None else None
    leader_under = seen.leader if seen is not None else None
    under_way = workbench.monitor.open_incidents if workbench.monitor is not None else ()
    reports = tuple(await healing)
    healed_at = time.monotonic()
    cluster = workbench.require_cluster()
    nodes = ", ".join(dict.fromkeys(node for report in reports for node in report.nodes)) or "the cluster"
    workbench.emit(Progress(f"Healed {nodes}; confirming that it stays healthy for {recovery.HOLD_S:g} s"))
    load = workbench.load if workbench.load is not None and workbench.load.running else None
    asked = load.settings.rate if load is not None else None
    found = await recovery.confirm(
        cluster, _members(workbench, reports), load, workbench.baseline, asked=asked
    )
    now = time.monotonic()
    injection = _injection(workbench, reports)
    injected_at = injection.record.injected_at if injection else None
    since, until = (injected_at or began) - WINDOW_S, (found.healthy_at or now) + WINDOW_S
    windows = workbench.load.windows if workbench.load is not None else ()
    during = between(windows, since, until)
    deadline_s = workbench.load.settings.deadline_s if workbench.load is not None else 0.0
    error_s, failures = failed(windows, since, until, deadline_s)
    writes, why = await _read_back(workbench, found) if read_back else (None, "it was not asked for")
    after = load.figures(found.healthy_at, now) if load and found.healthy_at else NOT_MEASURED
    outcome = FaultOutcome(
        injection,
        reports,
        began,
        healed_at,
        found,
        before=workbench.baseline or NOT_MEASURED,
        during=summed(during),
        after=after,
        observed=Impact(
            leader_under,
            found.leader,
            error_s,
            failures,
            longest_stall(during),
            writes,
            why,
            cut_short=_cut_short(during, began),
            write_stall_s=longest_stall(during, writes=True),
        ),
        unproven=read_back and writes is None and load is not None and not load.unrecorded,
    )
    workbench.outcome = outcome
    _keep(workbench, outcome, under_way)
    return outcome


async def healed_meanwhile(workbench: Workbench, injection: Injection) -> list[HealReport]:
    """Return how the journal says that a fault ended which somebody else has healed."""
    record = workbench.faults.journal.get(injection.record.id)
    if record is None or record.open:
        return []
    return [HealReport(record.id, record.kind, record.nodes, record.state, record.outcome or "")]


def file_injected(workbench: Workbench, reports: Sequence[HealReport]) -> None:
    """Write what was injected into the incidents that it opened: for who heals without measuring."""
    injection, monitor = _injection(workbench, reports), workbench.monitor
    if injection is None or monitor is None or (since := injection.record.injected_at) is None:
        return
    for incident in dict.fromkeys(each.incident for each in monitor.detections if each.at >= since):
        workbench.incidents.set_figures(incident, {"injected": _told(injection)})


def _told(injection: Injection) -> dict[str, Any]:
    record = injection.record
    return {"kind": record.kind, "nodes": list(record.nodes), "effect": injection.effect}


def _injection(workbench: Workbench, reports: Sequence[HealReport]) -> Injection | None:
    healed = {report.fault for report in reports}
    return next((each for each in workbench.faults.injections if each.record.id in healed), None)


def _members(workbench: Workbench, reports: Sequence[HealReport]) -> Mapping[str, str | None]:
    """The member ids from before the first of these faults."""
    for report in sorted(reports, key=lambda each: each.fault):
        record = workbench.faults.journal.get(report.fault)
        if record is not None:
            return dict(record.members)
    return {}


async def _read_back(workbench: Workbench, found: Recovery) -> tuple[WriteCheck | None, str]:
    """Read back every acknowledged write; None, with the reason, where that can't be done."""
    load = workbench.load
    if load is None or not load.running:
        return None, "no load was running"
    if load.unrecorded:
        return None, load.unrecorded
    if not found.quorum_held:
        return None, "no majority is up to read them from"
    workbench.emit(Progress("Reading back every acknowledged write"))
    try:
        return await load.verify(), ""
    except ToolError as error:
        return None, str(error)


def _cut_short(windows: Sequence[Window], began: float) -> bool:
    """Whether clients were not served in the last whole second before the healing began."""
    before = [window for window in windows if window.at <= began]
    return bool(before) and (not before[-1].operations or bool(before[-1].errors + before[-1].timeouts))


def longest_stall(windows: Sequence[Window], *, writes: bool = False) -> float | None:
    """Return the longest run of whole seconds in which nothing succeeded; None when none was measured.

    With `writes` it is that of writes, by the seconds in which some ended, well or not.
    """
    longest, run, measured = 0.0, 0.0, False
    for window in windows:
        succeeded = window.written if writes else window.operations
        if succeeded is not None:
            measured, run = True, 0.0 if succeeded else run + window.seconds
            longest = max(longest, run)
    return round(longest, 1) if measured else None


def _keep(workbench: Workbench, outcome: FaultOutcome, under_way: Sequence[str]) -> None:
    """Write what came of it into the incidents that were under way, and that the fault has opened."""
    injection, monitor = outcome.injection, workbench.monitor
    if monitor is None:
        return
    since = injection.record.injected_at if injection else None
    made = [each for each in monitor.detections if since is not None and each.at >= since]
    text = "; ".join(report.text for report in outcome.reports) or "started"
    for incident in under_way:
        workbench.incidents.heal(incident, text, clock.wall(outcome.healed_at))
    if injection is None or since is None or (record := injection.record).injected is None:
        return
    offset = record.injected - since
    windows = [_window(each, offset) for each in workbench.load.windows] if workbench.load else []
    marks = {
        "injected": since,
        "detected": min((each.at for each in made), default=None),
        "healed": outcome.healed_at if outcome.healed else None,
        "recovered": outcome.recovery.healthy_at,
    }
    for incident in dict.fromkeys(each.incident for each in made):
        workbench.incidents.set_figures(
            incident,
            {
                **outcome.as_result(),
                "windows": windows,
                "marks": {name: None if at is None else at + offset for name, at in marks.items()},
                "injected": _told(injection),
                "undo": {
                    "healed": outcome.healed,
                    "recovered": outcome.recovery.ok,
                    "restored": outcome.restored,
                },
            },
        )


def _window(window: Window, offset: float) -> dict[str, Any]:
    """Return a window as reports draw it; its date counts from the injection's, as all marks do."""
    all_kinds = window.overall
    return {
        "wall": window.at + offset,
        "operations": window.operations,
        "errors": window.errors + window.timeouts,
        "p50_ms": all_kinds.p50_ms if all_kinds else None,
        "p99_ms": all_kinds.p99_ms if all_kinds else None,
    }
