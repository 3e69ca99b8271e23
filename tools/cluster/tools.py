"""cluster_status, cluster_start, cluster_stop."""

from subjects.base import ClusterState
from tools.cluster import lifecycle
from tools.errors import Refused
from tools.registry import Effect, Params, Result, tool
from tools.workbench import Workbench


class NoParams(Params):
    """Nothing to say."""


@tool(Effect.READ)
async def cluster_status(params: NoParams, bench: Workbench) -> Result:  # noqa: ARG001
    """Look at the cluster from every side."""
    cluster = await lifecycle.find(bench)
    if cluster is None:
        return Result(
            {"state": str(ClusterState.DOWN), "nodes": [], "problems": ["no cluster is running"]},
            next="Start one with cluster_start.",
        )
    picture = await cluster.subject.observe()
    return Result(
        lifecycle.describe(cluster, picture),
        next=_next(picture.state),
        summary=lifecycle.in_a_line(picture),
    )


@tool(Effect.ACT)
async def cluster_start(params: NoParams, bench: Workbench) -> Result:  # noqa: ARG001
    """Bring the cluster up and wait until it is healthy."""
    await lifecycle.find(bench)
    picture, seconds = await lifecycle.start(bench)
    body = lifecycle.describe(bench.require_cluster(), picture)
    return Result(
        {**body, "seconds": round(seconds, 2)},
        next="Put load on it with load_start.",
        summary=lifecycle.in_a_line(picture),
    )


@tool(Effect.DESTROY)
async def cluster_stop(params: NoParams, bench: Workbench) -> Result:  # noqa: ARG001
    """Stop the cluster and delete its data."""
    cluster = bench.require_cluster()
    if not cluster.runtime.owned:
        raise Refused("This cluster is somebody else's: it is only watched.")
    label = cluster.label
    await lifecycle.stop(bench)
    return Result({"stopped": label, "data_deleted": True}, summary=f"{label} stopped, its data deleted")


def _next(state: ClusterState) -> str:
    if state is ClusterState.HEALTHY:
        return ""
    if state is ClusterState.DOWN:
        return "cluster_start starts what does not run; timeline and read_logs tell why it is down."
    return "diagnose tells what happened; store_restart or fault_heal brings a node back."
