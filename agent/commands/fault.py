"""`operator fault list|inject|heal`: faults by hand, each with its undo written down before it happens."""

import time
from typing import TYPE_CHECKING, Literal

import click

from agent.commands.command import CLUSTER, Result, command
from agent.commands.parameters import DURATION, FAULT, OPEN_FAULT, TARGET, Number, WordedOption
from subjects.errors import NotReady

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View
    from tools.faults.catalogue import Fault
    from tools.faults.healing import HealReport
    from tools.faults.journal import Record
    from tools.faults.service import Injection
    from tools.workbench import Workbench

Traffic = Literal["peers", "clients", "both"]
Way = Literal["in", "out", "both"]

HEALER_GRACE_S = 60.0
"""How long after `--for` the healer undoes a fault, should this process be unable to."""


@click.group()
def fault() -> None:
    """Inject faults by hand, list and heal them."""


@fault.command("list")
@command(*CLUSTER, listing=True)
async def list_faults(setup: "Setup", view: "View") -> Result:
    """Show the faults, whether they work here, and open ones."""
    from agent.workbench import opened_workbench
    from tools.cluster import lifecycle
    from tools.events import Table
    from tools.faults.catalogue import CATALOGUE, capability

    async with opened_workbench(setup, view) as workbench:
        await lifecycle.chosen(workbench)
        async with lifecycle.open_or_planned(workbench) as cluster:
            label = cluster.label
            able = {kind: capability(fault, cluster) for kind, fault in CATALOGUE.items()}
        opened = workbench.faults.journal.open_faults()
    rows = tuple(
        (
            kind,
            fault.meaning if able[kind].available else f"not here: {able[kind].reason}",
            _value(fault),
            fault.undo,
        )
        for kind, fault in CATALOGUE.items()
    )
    view.show(Table(f"Faults on {label}", ("fault", "what it does", "value", "undo"), rows))
    if opened:
        view.show(Table("Open faults", ("id", "fault", "nodes", "state"), tuple(map(_row, opened))))
    return {
        "cluster": label,
        "faults": [
            {
                "kind": kind,
                "meaning": fault.meaning,
                "value": fault.unit or None,
                "default": fault.default if fault.unit else None,
                "undo": fault.undo,
                "available": able[kind].available,
                "reason": able[kind].reason,
            }
            for kind, fault in CATALOGUE.items()
        ],
        "open": [
            {"fault": each.id, "kind": each.kind, "nodes": list(each.nodes), "state": str(each.state)}
            for each in opened
        ],
    }


@fault.command("inject")
@command(*CLUSTER)
@click.argument("kind", metavar="FAULT", type=FAULT)
@click.argument("target", required=False, type=TARGET)
@click.option("--target", "named", type=TARGET, hidden=True)
@click.option(
    "--for",
    "for_s",
    type=DURATION,
    cls=WordedOption,
    show_default="leave it open",
    help="Heal it after that time, and verify the recovery.",
)
@click.option("--value", type=Number(min=0), help="Its strength, in the unit that `fault list` shows.")
@click.option(
    "--scope",
    type=click.Choice(["peers", "clients", "both"]),
    default="both",
    show_default=True,
    help="Whose traffic.",
)
@click.option(
    "--direction",
    type=click.Choice(["in", "out", "both"]),
    default="both",
    show_default=True,
    help="Which way.",
)
@click.option("--allow-quorum-loss", is_flag=True, help="Let the fault break quorum.")
@click.option("--seed", type=int, help="Repeats the random choice.")
async def inject(
    setup: "Setup",
    view: "View",
    *,
    kind: str,
    target: str | None,
    named: str | None,
    for_s: float | None,
    value: float | None,
    scope: Traffic,
    direction: Way,
) -> Result:
    """Inject one fault, with its prediction and its undo.

    FAULT is one that `fault list` shows; TARGET is a node or a role: random, leader, follower.

    The prediction is printed first, and the effect is verified. Without --for the fault stays open when the
    command ends; the healer undoes it after five minutes at the latest.
    """
    from agent.workbench import opened_workbench
    from subjects.base import Direction, Scope
    from tools.cluster import lifecycle
    from tools.events import Notice
    from tools.faults import results
    from tools.faults.catalogue import Settings

    async with opened_workbench(setup, view) as workbench:
        cluster = await lifecycle.chosen(workbench)
        if cluster is None:
            raise NotReady("No cluster is running: `operator deploy up` starts one.")
        ttl = {} if for_s is None else {"ttl_s": for_s + HEALER_GRACE_S}
        settings = Settings(Scope(scope), Direction(direction), value, **ttl)
        try:
            done = await workbench.faults.inject(
                cluster,
                kind,
                named or target,
                settings,
                allow_quorum_loss=setup.allow_quorum_loss,
                announce=lambda text: view.show(Notice(f"Prediction: {text}")),
            )
            result = {**results.injection(done), "ok": done.effect is not None}
            _show(view, done)
            if for_s is not None:
                await _hold(view, done, for_s)
        except BaseException:
            await workbench.faults.heal_own()
            raise
        if for_s is not None:
            healed_at = time.monotonic()
            reports = await workbench.faults.heal(cluster, done.record.id)
            return {**result, **await _recovery(workbench, view, reports, healed_at)}
        await workbench.faults.leave_to_healer(done.record.id)
    after = settings.ttl_s / 60
    view.show(
        Notice(f"`operator fault heal {done.record.id}` heals it; the healer does after {after:g} min.")
    )
    return result


@fault.command("heal")
@command()
@click.argument("number", metavar="[ID]", required=False, type=OPEN_FAULT)
async def heal(setup: "Setup", view: "View", *, number: str | None) -> Result:
    """Heal one open fault, or all, and verify the recovery.

    ID is that of `fault list`; without one every open fault is healed.
    """
    from agent.workbench import opened_workbench
    from subjects.clusters import open_by_id
    from tools.errors import NothingToDo
    from tools.events import Notice

    if number is not None and not number.isdecimal():
        raise click.UsageError(f"{number!r} is no fault's id: `operator fault list` shows the open ones.")
    async with opened_workbench(setup, view) as workbench:
        wanted = [
            each
            for each in workbench.faults.journal.open_faults()
            if number is None or each.id == int(number)
        ]
        if not wanted and number is not None:
            raise NothingToDo(f"Fault {number} is not open.", "`operator fault list` shows those that are.")
        if not wanted:
            view.show(Notice("There is no open fault."))
            return {"faults": [], "recovered": None, "checks": []}
        healed_at = time.monotonic()
        workbench.cluster = await open_by_id(workbench.state, wanted[0].cluster)
        if workbench.cluster is None or number is None:
            reports = await workbench.faults.restore()
        else:
            reports = await workbench.faults.heal(workbench.cluster, int(number))
        return await _recovery(workbench, view, reports, healed_at)


def _show(view: "View", done: "Injection") -> None:
    from tools.events import Notice

    record = done.record
    where = f" on {', '.join(record.nodes)}" if record.nodes else ""
    if done.effect is None:
        text = f"Fault {record.id}: {record.kind}{where}: its effect was not seen in time."
        view.show(Notice(text, level="warning"))
    else:
        view.show(Notice(f"Fault {record.id}: {record.kind}{where}, verified: {done.effect}."))


async def _hold(view: "View", done: "Injection", for_s: float) -> None:
    """Wait until the fault has been in force for `for_s`."""
    import asyncio

    from tools.events import Progress

    began = time.monotonic() if done.record.injected_at is None else done.record.injected_at
    while (elapsed_s := time.monotonic() - began) < for_s:
        view.show(Progress(f"{done.record.kind} in force; Ctrl-C heals it now", elapsed_s, for_s))
        await asyncio.sleep(min(1.0, for_s - elapsed_s))


async def _recovery(
    workbench: "Workbench", view: "View", reports: "list[HealReport]", healed_at: float
) -> Result:
    """Watch until the cluster is as it was before these faults; return what was seen, as results tell it.

    `healed_at` is when healing them began.
    """
    from tools.events import Notice, Progress
    from tools.faults import recovery, results

    for report in reports:
        view.show(Notice(report.sentence, level="info" if report.ok else "warning"))
    healed = all(report.ok for report in reports)
    result = {"ok": healed, "faults": results.heals(reports), "recovered": None, "checks": []}
    if workbench.cluster is None:
        return result
    view.show(Progress(f"Watching that {workbench.cluster.label} stays healthy"))
    first = workbench.faults.journal.get(min(report.fault for report in reports))
    found = await recovery.confirm(workbench.cluster, first.members if first else {}, None, None)
    checked = results.recovery(found, healed_at)
    if found.ok:
        view.show(Notice(f"Recovered: healthy after {checked['healthy_after_s']} s."))
    for check in found.checks:
        if check.ok is False:
            view.show(Notice(f"Not recovered ({check.name}): {check.text}", level="warning"))
    return {**result, **checked, "ok": healed and found.ok}


def _value(fault: "Fault") -> str:
    return f"{fault.unit} ({fault.default:g})" if fault.unit else ""


def _row(record: "Record") -> tuple[str, str, str, str]:
    return str(record.id), record.kind, ", ".join(record.nodes), str(record.state)
