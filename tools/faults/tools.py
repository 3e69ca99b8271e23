"""store_kill, store_restart, fault_inject, fault_heal."""

import time
from collections.abc import Awaitable, Sequence
from typing import Literal

from pydantic import Field

from subjects.base import Direction, Lifecycle, ProcessState, Scope
from tools.detection.watched import Awaited
from tools.events import Notice
from tools.faults import measured_heal, recovery, results
from tools.faults.catalogue import CATALOGUE, Settings
from tools.faults.healing import HealReport
from tools.faults.outcome import FaultOutcome
from tools.faults.service import MAX_TTL_S, Injection
from tools.observe.figures import LoadFigures
from tools.tool import Effect, Params, Result, tool
from tools.workbench import Workbench

BASELINE_S = 10.0
"""How far back the load is averaged before a fault, to compare with afterwards."""

_TARGET = "A node's name, `random`, or a role that the database has; left out: as described above."


class KillParams(Params):
    """Which store."""

    target: str | None = Field(None, description=_TARGET)


class RestartParams(Params):
    """Which store."""

    node: str | None = Field(
        None, description="A node's name; left out: every node that an open fault holds down."
    )


class InjectParams(Params):
    """Which fault, where, how strong, how long."""

    kind: str = Field(description="Which fault.", json_schema_extra={"enum": list(CATALOGUE)})
    target: str | None = Field(None, description=_TARGET)
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

    @property
    def settings(self) -> Settings:
        """All of it but the fault and the node."""
        return Settings(Scope(self.scope), Direction(self.direction), self.value, ttl_s=self.ttl_s)


class HealParams(Params):
    """Which fault."""

    fault: int | None = Field(None, description="A fault's number; left out: every open one.")


async def _preview_kill(params: KillParams, workbench: Workbench) -> str:
    return await _preview_inject(InjectParams(kind="kill", target=params.target), workbench)


async def _preview_inject(params: InjectParams, workbench: Workbench) -> str:
    plan = await workbench.faults.preview(
        workbench.require_cluster(),
        params.kind,
        params.target,
        params.settings,
        allow_quorum_loss=workbench.allow_quorum_loss,
        several=params.several,
    )
    return plan.words


async def _preview_restart(params: RestartParams, workbench: Workbench) -> str:
    if params.node is None:
        return await _preview_heal(HealParams(fault=None), workbench)
    node = workbench.require_node(params.node)
    if (fault := workbench.faults.open_on(workbench.require_cluster(), node)) is not None:
        return await _preview_heal(HealParams(fault=fault.id), workbench)
    return f"restart {node}: SIGTERM and a start, or a start alone if it does not run"


async def _preview_heal(params: HealParams, workbench: Workbench) -> str:
    cluster = workbench.require_cluster()
    return "\n".join(
        f"heal fault {each.id}, {each.kind} of {', '.join(each.nodes)}: "
        f"{'; '.join(step.undone_by for step in each.steps)}"
        for each in workbench.faults.to_heal(cluster.id, params.fault)
    )


@tool(Effect.DESTROY, preview=_preview_kill)
async def store_kill(params: KillParams, workbench: Workbench) -> Result:
    """SIGKILL one store, predicted beforehand and verified afterwards."""
    return await _inject(workbench, InjectParams(kind="kill", target=params.target))


@tool(Effect.DESTROY, preview=_preview_inject)
async def fault_inject(params: InjectParams, workbench: Workbench) -> Result:
    """Inject one fault of the catalogue."""
    return await _inject(workbench, params)


@tool(Effect.ACT, preview=_preview_restart)
async def store_restart(params: RestartParams, workbench: Workbench) -> Result:
    """Bring a store back, or restart a healthy one as planned."""
    cluster = workbench.require_cluster()
    if params.node is None:
        return await _heal(workbench, None)
    node = workbench.require_node(params.node)
    fault = workbench.faults.open_on(cluster, node)
    if fault is not None:
        return await _heal(workbench, fault.id)
    view = await cluster.nodes.inspect(node)
    if view.state is ProcessState.RUNNING:
        return await _planned_restart(workbench, node)
    await cluster.require(Lifecycle).start(node)
    return await _healed(workbench, _nothing(), {"started": node})


@tool(Effect.ACT, preview=_preview_heal)
async def fault_heal(params: HealParams, workbench: Workbench) -> Result:
    """Undo a fault and see that the cluster has recovered."""
    return await _heal(workbench, params.fault)


async def _inject(workbench: Workbench, params: InjectParams) -> Result:
    return _injected(await _break(workbench, params))


async def _break(workbench: Workbench, params: InjectParams) -> Injection:
    """Inject, and keep what is compared with later and what the next wait for a detection is about."""
    baseline = _baseline(workbench)
    done = await workbench.faults.inject(
        workbench.require_cluster(),
        params.kind,
        params.target,
        params.settings,
        allow_quorum_loss=workbench.allow_quorum_loss,
        several=params.several,
        monitor=workbench.monitor,
        announce=lambda text: workbench.emit(Notice(f"Prediction: {text}")),
    )
    if len(workbench.faults.journal.open_faults()) == 1:  # with another one open, clients feel that already
        workbench.baseline = baseline
    if done.record.injected_at is not None:
        workbench.awaited = Awaited(done.record.injected_at, alarm_due=done.alarms)
    return done


def _injected(done: Injection) -> Result:
    following = "Wait for the monitor with wait_for_detection; it does not know of the fault."
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
    now = time.monotonic()
    return workbench.load.figures(now - BASELINE_S, now)


async def _heal(workbench: Workbench, fault: int | None) -> Result:
    return await _healed(workbench, workbench.faults.heal(workbench.require_cluster(), fault), {})


async def _nothing() -> list[HealReport]:
    return []


async def _healed(
    workbench: Workbench, healing: Awaitable[Sequence[HealReport]], more: dict[str, object]
) -> Result:
    """Carry out `healing`, watch until all is as before, and say so or not, with what the fault cost."""
    done = await measured_heal.heal(workbench, healing)
    nodes = ", ".join(dict.fromkeys(node for report in done.reports for node in report.nodes))
    return Result(
        {
            "healed": done.healed,
            "faults": results.heals(done.reports),
            **more,
            **results.recovery(done.recovery, done.healed_at),
            **done.as_result(),
        },
        ok=done.healed and done.recovery.ok,
        summary=_line(nodes or str(more.get("started") or "the cluster"), done),
        next=""
        if done.recovery.ok
        else "Look with cluster_status and read_logs: not everything is as it was before.",
    )


def _line(nodes: str, done: FaultOutcome) -> str:
    if not done.recovery.ok:
        wrong = [f"{check.name}: {check.text}" for check in done.recovery.checks if check.ok is False]
        return f"{nodes}: not recovered – {'; '.join(wrong)}"
    before = done.injection.prediction.leader if done.injection else None
    now = done.recovery.leader
    leader = f"; leader is now {now} (was {before})" if before and now and now != before else ""
    return f"{nodes} recovered, and healthy for {recovery.HOLD_S:g} s{leader}"


async def _planned_restart(workbench: Workbench, node: str) -> Result:
    done = await _break(workbench, InjectParams(kind="restart", target=node))
    healing = workbench.faults.heal(workbench.require_cluster(), done.record.id)
    return await _healed(workbench, healing, {"restarted": node, "planned": True})
