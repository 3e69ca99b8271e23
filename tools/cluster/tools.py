"""cluster_status, cluster_start, cluster_stop."""

from contextlib import suppress

from subjects.base import ClusterState
from tools.cluster import lifecycle
from tools.errors import Refused, ToolError
from tools.observe.observed import Observed
from tools.tool import Effect, Params, Result, tool
from tools.workbench import Workbench


class NoParams(Params):
    """Nothing to say."""


@tool(Effect.READ)
async def cluster_status(params: NoParams, observed: Observed) -> Result:  # noqa: ARG001
    """Look at the cluster from every side."""
    cluster = observed.cluster
    if cluster is None:
        return Result(
            {"state": str(ClusterState.DOWN), "nodes": [], "problems": ["no cluster is running"]},
            next="Start one with cluster_start.",
        )
    snapshot = await cluster.subject.observe()
    under_way = _under_way(observed)
    told = f"; open: {under_way[-1]['text']}" if under_way else ""
    return Result(
        {**lifecycle.describe(cluster, snapshot), "open_incidents": under_way},
        next=_next(snapshot.state),
        summary=f"{lifecycle.in_a_line(snapshot)}{told}",
    )


def _under_way(observed: Observed) -> list[dict[str, str]]:
    """The incidents that are open: members may be healthy while clients are not served."""
    ids = observed.monitor.open_incidents if observed.monitor is not None else ()
    found = []
    for each in ids:
        with suppress(ToolError):  # it is written down in a moment
            found.append({"id": each, "text": observed.incidents.get(each).text})
    return found


@tool(Effect.ACT)
async def cluster_start(params: NoParams, workbench: Workbench) -> Result:  # noqa: ARG001
    """Bring the cluster up and wait until it is healthy."""
    await lifecycle.find(workbench)
    snapshot, seconds = await lifecycle.start(workbench)
    body = lifecycle.describe(workbench.require_cluster(), snapshot)
    return Result(
        {**body, "seconds": round(seconds, 2)},
        next="Put load on it with load_start.",
        summary=lifecycle.in_a_line(snapshot),
    )


async def _preview_stop(_params: NoParams, workbench: Workbench) -> str:
    cluster = workbench.require_cluster()
    return f"stop {cluster.label} ({', '.join(cluster.subject.nodes)}) and delete its data\nUndo: none"


@tool(Effect.DESTROY, preview=_preview_stop)
async def cluster_stop(params: NoParams, workbench: Workbench) -> Result:  # noqa: ARG001
    """Stop the cluster and delete its data."""
    cluster = workbench.require_cluster()
    if not cluster.ours:
        raise Refused(f"{cluster.label} is external: operator does not stop it.")
    label = cluster.label
    await lifecycle.stop(workbench)
    return Result({"stopped": label, "data_deleted": True}, summary=f"{label} stopped, its data deleted")


def _next(state: ClusterState) -> str:
    if state is ClusterState.HEALTHY:
        return ""
    if state is ClusterState.DOWN:
        return "cluster_start starts what does not run; timeline and read_logs tell why it is down."
    return "diagnose tells what happened; store_restart or fault_heal brings a node back."
