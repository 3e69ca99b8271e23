"""`operator deploy up|status|down` and `operator restore`: the cluster and the journal, without a model."""

from typing import Any

from agent.setup import Setup
from agent.view.base import View
from agent.workbench import close_workbench, make_workbench
from subjects.base import ClusterState
from subjects.state import open_state
from tools.cluster import lifecycle
from tools.events import Notice, Progress, Table
from tools.faults.results import heals


async def up(setup: Setup, view: View) -> dict[str, Any]:
    """Bring the cluster up and leave it running."""
    workbench = make_workbench(open_state(setup.state_dir), setup, view.show)
    try:
        await lifecycle.find(workbench)
        snapshot, seconds = await lifecycle.start(workbench)
        cluster = workbench.require_cluster()
        view.show(_table(lifecycle.describe(cluster, snapshot)))
        view.show(Notice(f"{cluster.label} runs. `operator deploy down` stops it and deletes its data."))
        return {**_result(lifecycle.describe(cluster, snapshot), "deploy up"), "seconds": round(seconds, 2)}
    finally:
        await lifecycle.release(workbench)
        await close_workbench(workbench)


async def status(setup: Setup, view: View) -> dict[str, Any]:
    """Show the cluster of the state folder."""
    workbench = make_workbench(open_state(setup.state_dir), setup, view.show)
    try:
        cluster = await lifecycle.chosen(workbench)
        if cluster is None:
            view.show(Notice("No cluster is running. `operator deploy up` starts one."))
            return {"ok": True, "command": "deploy status", "cluster": str(ClusterState.DOWN), "nodes": []}
        body = lifecycle.describe(cluster, await cluster.subject.observe())
        view.show(_table(body))
        for fault in workbench.faults.journal.open_faults():
            view.show(
                Notice(
                    f"Fault {fault.id} ({fault.kind} on {', '.join(fault.nodes)}) is open: "
                    "`operator restore` heals it.",
                    level="warning",
                )
            )
        return _result(body, "deploy status")
    finally:
        await close_workbench(workbench)


async def down(setup: Setup, view: View) -> dict[str, Any]:
    """Stop the cluster and delete its data; open faults end with it."""
    workbench = make_workbench(open_state(setup.state_dir), setup, view.show)
    try:
        cluster = await lifecycle.chosen(workbench)
        if cluster is None:
            view.show(Notice("No cluster is running."))
            return {"ok": True, "command": "deploy down", "cluster": str(ClusterState.DOWN), "nodes": []}
        await cluster.runtime.down()
        await workbench.faults.restore()
        view.show(Notice(f"{cluster.label} was stopped and its data deleted."))
        return {"ok": True, "command": "deploy down", "cluster": str(ClusterState.DOWN), "nodes": []}
    finally:
        await close_workbench(workbench)


async def restore(setup: Setup, view: View) -> dict[str, Any]:
    """Heal every open fault of the journal."""
    workbench = make_workbench(open_state(setup.state_dir), setup, view.show)
    try:
        view.show(Progress("Healing every open fault"))
        reports = await workbench.faults.restore()
        for report in reports:
            where = ", ".join(report.nodes)
            text = f"Fault {report.fault}, {report.kind} on {where}: {report.state}: {report.text}."
            view.show(Notice(text, level="info" if report.ok else "warning"))
        if not reports:
            view.show(Notice("There is no open fault."))
        return {
            "ok": all(report.ok for report in reports),
            "command": "restore",
            "faults": heals(reports),
        }
    finally:
        await close_workbench(workbench)


def _result(body: dict[str, Any], command: str) -> dict[str, Any]:
    nodes = [
        {
            "name": node["name"],
            "role": node.get("role"),
            "state": _state(node),
            "address": node["address"],
        }
        for node in body["nodes"]
    ]
    return {
        "ok": True,
        "command": command,
        "cluster": body["state"],
        "label": body["cluster"],
        "leader": body["leader"],
        "problems": body["problems"],
        "nodes": nodes,
    }


def _state(node: dict[str, Any]) -> str:
    """One node in a word: what the kernel says where it isn't running, else what it says of itself."""
    process = node.get("process", "unknown")
    return (
        str(process) if process not in ("running", "unknown") else str(node.get("says_of_itself", "silent"))
    )


def _table(body: dict[str, Any]) -> Table:
    return Table(
        f"{body['cluster']}: {body['state']}",
        ("node", "role", "state", "lag", "address"),
        tuple(
            (
                str(node["name"]),
                str(node.get("role", "–")),
                _state(node),
                str(node.get("lag", "–")),
                str(node["address"]),
            )
            for node in body["nodes"]
        ),
    )
