"""`operator deploy up|status|down`: the cluster itself, without a model."""

from typing import TYPE_CHECKING, Any, Unpack

import click

from agent.commands.command import CLUSTER, PODS, Result, command
from agent.commands.endpoints import CertificateFiles, certificate_options, chosen_pods
from agent.exit_codes import ExitCode

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View
    from tools.events import Table

NO_CLUSTER: Result = {"cluster": "down", "nodes": []}


@click.group()
def deploy() -> None:
    """The cluster itself: up, status, down."""


@deploy.command("up")
@command(*CLUSTER)
async def up(setup: "Setup", view: "View") -> Result:
    """Start the cluster and leave it running."""
    from agent.workbench import opened_workbench
    from tools.cluster import lifecycle
    from tools.events import Notice

    async with opened_workbench(setup, view) as workbench:
        try:
            await lifecycle.find(workbench)
            snapshot, seconds = await lifecycle.start(workbench)
            cluster = workbench.require_cluster()
            body = lifecycle.describe(cluster, snapshot)
            view.show(_table(body))
            view.show(Notice(f"{cluster.label} runs. `operator deploy down` stops it and deletes its data."))
            return {**_result(body), "seconds": round(seconds, 2)}
        finally:
            await lifecycle.release(workbench)


@deploy.command("status")
@command(*CLUSTER, *PODS, listing=True)
@certificate_options
async def status(setup: "Setup", view: "View", **certificates: Unpack[CertificateFiles]) -> Result:
    """Show the cluster; exit code 3 if it is not healthy."""
    from agent.watch.rows import on_our_side, unseen_sentence
    from agent.workbench import opened_workbench
    from tools.cluster import lifecycle
    from tools.events import Notice

    async with opened_workbench(setup, view) as workbench:
        cluster = await chosen_pods(workbench, certificates) or await lifecycle.chosen(workbench)
        if cluster is None:
            view.show(Notice("No cluster is running. `operator deploy up` starts one."))
            return {**NO_CLUSTER, "ok": False, "exit_code": ExitCode.NOT_HEALTHY}
        snapshot = await cluster.subject.observe()
        body = lifecycle.describe(cluster, snapshot)
        view.show(_table(body))
        for node in snapshot.nodes:
            if unseen := on_our_side(node):
                view.show(Notice(unseen_sentence(node.name, unseen), level="warning"))
        for fault in workbench.faults.journal.open_faults():
            text = (
                f"Fault {fault.id} ({fault.kind} on {', '.join(fault.nodes)}) is open: "
                "`operator restore` heals it."
            )
            view.show(Notice(text, level="warning"))
    healthy = body["state"] == "healthy"
    code = ExitCode.DONE if healthy else ExitCode.NOT_HEALTHY
    return {**_result(body), "ok": healthy, "exit_code": code}


@deploy.command("down")
@command(*CLUSTER)
async def down(setup: "Setup", view: "View") -> Result:
    """Stop the cluster and delete its data; open faults end with it."""
    from agent.workbench import opened_workbench
    from subjects.base import Deployment
    from tools.cluster import lifecycle
    from tools.events import Notice

    async with opened_workbench(setup, view) as workbench:
        cluster = await lifecycle.chosen(workbench)
        if cluster is None:
            view.show(Notice("No cluster is running."))
            return NO_CLUSTER
        await cluster.require(Deployment).down()
        view.show(Notice(f"{cluster.label} was stopped and its data deleted."))
        await workbench.faults.restore()
        return NO_CLUSTER


def _result(body: dict[str, Any]) -> Result:
    nodes = [
        {
            "name": node["name"],
            "role": node.get("role"),
            "state": _state(node),
            "address": node["address"],
            "seen_s_ago": node.get("seen_s_ago"),
            **{name: node.get(name) for name in _OF_STORES if node.get("kind") == "store"},
        }
        for node in body["nodes"]
    ]
    return {
        "cluster": body["state"],
        "label": body["cluster"],
        "leader": body["leader"],
        "problems": body["problems"],
        "replication": body["replication"],
        "pd": _pd(body),
        "seen_s_ago": body["seen_s_ago"],
        "nodes": nodes,
    }


def _pd(body: dict[str, Any]) -> dict[str, Any] | None:
    """PD in a word: who leads it, and how many of its members answer; None where there is none."""
    members = [node for node in body["nodes"] if node.get("kind") == "pd"]
    if not members:
        return None
    up = sum(_state(node) == "healthy" for node in members)
    return {"leader": body["leader"], "up": up, "members": len(members)}


_OF_STORES = ("pd_state", "leaders", "regions", "missing_replicas", "heartbeat_age_s")
"""What PD says of a store."""


def _state(node: dict[str, Any]) -> str:
    """One node in a word: what the kernel says where it isn't running, else what it says of itself."""
    process = node.get("process", "unknown")
    return (
        str(process) if process not in ("running", "unknown") else str(node.get("says_of_itself", "silent"))
    )


def _table(body: dict[str, Any]) -> "Table":
    from tools.events import Table

    stores = any(node.get("kind") == "store" for node in body["nodes"])
    more = ("PD says", "leaders", "regions", "missing") if stores else ("lag",)
    names = ("pd_state", "leaders", "regions", "missing_replicas") if stores else ("lag",)
    return Table(
        f"{body['cluster']}: {body['state']}",
        ("node", "role", "state", *more, "address"),
        tuple(
            (
                str(node["name"]),
                str(node.get("role", "–")),
                _state(node),
                *(str(node.get(name, "–")) for name in names),
                str(node["address"]),
            )
            for node in body["nodes"]
        ),
    )
