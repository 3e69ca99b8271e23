"""store_kill, store_restart, fault_inject, fault_heal."""

import time
from typing import Literal

from pydantic import Field

from subjects.base import Direction, Lifecycle, ProcessState, Scope
from tools.events import Notice, Progress
from tools.faults import recovery, results
from tools.faults.catalogue import CATALOGUE, Settings
from tools.faults.healing import HealReport
from tools.faults.service import MAX_TTL_S, Injection
from tools.load.figures import LoadFigures
from tools.tool import Effect, Params, Result, tool
from tools.workbench import Workbench

BASELINE_S = 10.0
"""How far back the load is averaged before a fault, to compare with afterwards."""

_TARGET = "A node's name, or `random`, `leader` or `follower`."


class KillParams(Params):
    """Which store."""

    target: str = Field("random", description=_TARGET)


class RestartParams(Params):
    """Which store."""

    node: str | None = Field(
        None, description="A node's name; left out: every node that an open fault holds down."
    )


class InjectParams(Params):
    """Which fault, where, how strong, how long."""

    kind: str = Field(description=f"One of: {', '.join(CATALOGUE)}.")
    target: str = Field("random", description=_TARGET)
    scope: Literal["peers", "clients", "both"] = Field("both", description="Network faults: whose traffic.")
    direction: Literal["in", "out", "both"] = Field("both", description="Network faults: seen from the node.")
    value: float | None = Field(
        None,
        description="Strength: ms (network_delay), share (connection_loss), bytes/s (network_rate), cores.",
    )
    ttl_s: float = Field(
        300.0, gt=0, le=MAX_TTL_S, description="Seconds after which it is undone in any case."
    )
    several: bool = Field(False, description="Also while another fault is open.")


class HealParams(Params):
    """Which fault."""

    fault: int | None = Field(None, description="A fault's number; left out: every open one.")


@tool(Effect.DESTROY)
async def store_kill(params: KillParams, workbench: Workbench) -> Result:
    """SIGKILL one store, predicted beforehand and verified afterwards."""
    return await _inject(workbench, InjectParams(kind="kill", target=params.target))


@tool(Effect.DESTROY)
async def fault_inject(params: InjectParams, workbench: Workbench) -> Result:
    """Inject one fault of the catalogue."""
    return await _inject(workbench, params)


@tool(Effect.ACT)
async def store_restart(params: RestartParams, workbench: Workbench) -> Result:
    """Bring a store back, or restart a healthy one as planned."""
    cluster = workbench.require_cluster()
    if params.node is None:
        return await _heal(workbench, None)
    node = workbench.require_node(params.node)
    fault = workbench.faults.open_on(node)
    if fault is not None:
        return await _heal(workbench, fault.id)
    view = await cluster.nodes.inspect(node)
    if view.state is ProcessState.RUNNING:
        return await _planned_restart(workbench, node)
    await cluster.require(Lifecycle).start(node)
    return await _recovered(workbench, [], time.time(), {"started": node})


@tool(Effect.ACT)
async def fault_heal(params: HealParams, workbench: Workbench) -> Result:
    """Undo a fault and see that the cluster has recovered."""
    return await _heal(workbench, params.fault)


async def _inject(workbench: Workbench, params: InjectParams) -> Result:
    cluster = workbench.require_cluster()
    settings = Settings(Scope(params.scope), Direction(params.direction), params.value, ttl_s=params.ttl_s)
    baseline = _baseline(workbench)
    done = await workbench.faults.inject(
        cluster,
        params.kind,
        params.target,
        settings,
        allow_quorum_loss=workbench.allow_quorum_loss,
        several=params.several,
        monitor=workbench.monitor,
        announce=lambda text: workbench.emit(Notice(f"Prediction: {text}")),
    )
    if len(workbench.faults.journal.open_faults()) == 1:  # with another one open, clients feel that already
        workbench.baseline = baseline
    return _injected(done)


def _injected(done: Injection) -> Result:
    following = "Wait for the monitor with wait_for_detection; it is not told of this."
    if done.effect is None:
        following = "The effect was not seen in time: heal it with fault_heal, or look with cluster_status."
    return Result(
        results.injection(done),
        ok=done.effect is not None,
        next=following,
        node=done.record.nodes[0] if len(done.record.nodes) == 1 else None,
        summary=f"{done.record.kind} of {', '.join(done.record.nodes) or 'nothing'}: "
        + (f"seen – {done.effect}" if done.effect else "its effect was not seen"),
    )


def _baseline(workbench: Workbench) -> LoadFigures | None:
    """What clients got just before."""
    if workbench.load is None or not workbench.load.running:
        return None
    now = time.time()
    return workbench.load.figures(now - BASELINE_S, now)


async def _heal(workbench: Workbench, fault: int | None) -> Result:
    cluster = workbench.require_cluster()
    reports = await workbench.faults.heal(cluster, fault)
    return await _recovered(workbench, reports, time.time(), {})


async def _recovered(
    workbench: Workbench, reports: list[HealReport], healed_wall: float, more: dict[str, object]
) -> Result:
    """Watch until all is as before, and say so or not."""
    cluster = workbench.require_cluster()
    nodes = ", ".join(dict.fromkeys(node for report in reports for node in report.nodes)) or "the cluster"
    workbench.emit(Progress(f"Healed {nodes}; watching that it stays well for {recovery.HOLD_S:g} s"))
    load = workbench.load if workbench.load is not None and workbench.load.running else None
    found = await recovery.confirm(cluster, _members(workbench, reports), load, workbench.baseline)
    healed = all(report.ok for report in reports)
    if workbench.monitor is not None:
        for incident in workbench.monitor.open_incidents:
            workbench.incidents.heal(incident, "; ".join(r.text for r in reports) or "started", healed_wall)
    return Result(
        {"healed": healed, "faults": results.heals(reports), **more, **results.recovery(found, healed_wall)},
        ok=healed and found.ok,
        summary=_recovery_line(nodes, found),
        next=""
        if found.ok
        else "Look with cluster_status and read_logs: not everything is as it was before.",
    )


def _recovery_line(nodes: str, found: recovery.Recovery) -> str:
    if found.ok:
        return f"{nodes} back; all as before, and held for {recovery.HOLD_S:g} s"
    wrong = [f"{check.name}: {check.text}" for check in found.checks if check.ok is False]
    return f"{nodes}: not as before – {'; '.join(wrong)}"


def _members(workbench: Workbench, reports: list[HealReport]) -> dict[str, str | None]:
    """The member ids from before the first of these faults."""
    for report in sorted(reports, key=lambda each: each.fault):
        record = workbench.faults.journal.get(report.fault)
        if record is not None:
            return dict(record.members)
    return {}


async def _planned_restart(workbench: Workbench, node: str) -> Result:
    cluster = workbench.require_cluster()
    baseline = _baseline(workbench)
    done = await workbench.faults.inject(cluster, "restart", node, monitor=workbench.monitor)
    workbench.baseline = baseline
    reports = await workbench.faults.heal(cluster, done.record.id)
    return await _recovered(workbench, reports, time.time(), {"restarted": node, "planned": True})
