"""Bringing a cluster up, seeing that it is healthy, watching it, and taking it down."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace

from subjects import clock
from subjects.base import (
    Cluster,
    ClusterSnapshot,
    ClusterState,
    Deployment,
    Lifecycle,
    ObservedCluster,
    Placed,
    ProcessState,
)
from subjects.clusters import Decision, decide, find_cluster, open_cluster
from subjects.clusters import caveat as caveat_of
from subjects.errors import LaidOutMeanwhile, NeedsConsent, NotReady
from subjects.runtimes.filelock import share, try_lock
from tools.cluster.last_words import last_words
from tools.detection.monitor import Monitor
from tools.events import Notice, Progress
from tools.workbench import Workbench

ENDED_S = 2.0
"""A node that has ended so long after the start won't come by itself: waiting longer tells nothing more."""
_LOOK_S = 0.1
_LOG_LINES = 200
"""A panic of Go tells of every goroutine after the reason."""


async def find(workbench: Workbench) -> Cluster | None:
    """Return the session's cluster: the one it has, or one that an earlier run left. Watched if it runs."""
    if workbench.cluster is None:
        found = await find_cluster(workbench.state, workbench.choice.subject, workbench.choice.runtime)
        if found is not None:
            await use(workbench, found)
    return workbench.cluster


async def chosen(workbench: Workbench) -> Cluster | None:
    """Return the cluster that was asked for, if it is there; nothing is started or watched."""
    workbench.cluster = await find_cluster(
        workbench.state, workbench.choice.subject, workbench.choice.runtime
    )
    return workbench.cluster


@contextlib.asynccontextmanager
async def open_or_planned(workbench: Workbench) -> AsyncIterator[Cluster]:
    """Hold open the session's cluster, or the one that would be started; nothing is started."""
    if workbench.cluster is not None:
        yield workbench.cluster
        return
    decision = await decide(workbench.choice.subject, workbench.choice.runtime)
    cluster = await _open(workbench, decision)
    try:
        yield cluster
    finally:
        await cluster.aclose()


async def start(workbench: Workbench) -> tuple[ClusterSnapshot, float]:
    """Bring the chosen cluster up, wait until it is healthy, watch it. Returns the last look and the seconds.

    NotReady when it does not become healthy; what runs is left as it is, to be looked at.
    """
    began = time.monotonic()
    if workbench.cluster is None:
        decision = await decide(workbench.choice.subject, workbench.choice.runtime)
        caveat = await caveat_of(decision)
        workbench.emit(Notice(f"Cluster: {decision.reason}{f'; {caveat}' if caveat else ''}."))
        workbench.cluster = await _open(workbench, decision)
        if isinstance(placed := workbench.cluster.control, Placed):
            workbench.emit(Notice(f"It will be in {placed.place}."))
    cluster = workbench.cluster
    deployment = cluster.require(Deployment)
    if workbench.monitor is None:
        workbench.started_here = workbench.started_here or not await _anything_runs(cluster)
        try:
            await deployment.up()
        except LaidOutMeanwhile:
            workbench.cluster, workbench.started_here = None, False
            await cluster.aclose()
            return await start(workbench)
    else:
        with workbench.monitor.maintenance(cluster.subject.nodes, "cluster start"):
            await deployment.up()
    snapshot = await _wait_healthy(workbench, cluster, began, deployment.healthy_timeout_s)
    if workbench.started_here:
        if undone := await cluster.subject.prepare():
            workbench.emit(Notice(f"{cluster.label}: {undone}.", level="warning"))
        snapshot = await cluster.subject.observe()  # as it is now: it was changed
        if snapshot.state is not ClusterState.HEALTHY:
            snapshot = await _wait_healthy(workbench, cluster, time.monotonic(), deployment.healthy_timeout_s)
    _tell_of_standins(workbench, cluster, snapshot)
    await watch(workbench)
    return snapshot, time.monotonic() - began


async def _open(workbench: Workbench, decision: Decision) -> Cluster:
    """Open the cluster that was decided on; the person is asked where it takes their consent."""
    choice = workbench.choice
    try:
        return await open_cluster(workbench.state, decision, choice.compose_file, choice.kubernetes)
    except NeedsConsent as needs:
        if workbench.consent is None or not await workbench.consent(needs.question):
            raise
        allowed = (*choice.kubernetes.allowed, needs.place)
    workbench.choice = replace(choice, kubernetes=replace(choice.kubernetes, allowed=allowed))
    return await _open(workbench, decision)


async def _anything_runs(cluster: Cluster) -> bool:
    views = await asyncio.gather(*(cluster.nodes.inspect(node) for node in cluster.subject.nodes))
    return any(view.state is not ProcessState.EXITED for view in views)


async def _wait_healthy(
    workbench: Workbench, cluster: Cluster, began: float, bound_s: float
) -> ClusterSnapshot:
    """Look until the cluster is healthy; NotReady with what is wrong when it doesn't become so."""
    told_at = 0.0
    while True:
        snapshot = await cluster.subject.observe()
        elapsed_s = time.monotonic() - began
        if snapshot.state is ClusterState.HEALTHY:
            workbench.emit(Progress(f"{cluster.label} is healthy", elapsed_s, done=True))
            return snapshot
        if (told_why := await _ended(cluster, snapshot)) and elapsed_s > ENDED_S:
            raise NotReady(told_why)
        if elapsed_s > bound_s:
            raise NotReady(
                f"{cluster.label} is not healthy after {bound_s:g} s: {'; '.join(snapshot.problems)}. "
                "read_logs shows what the nodes say; `operator deploy down` removes it."
            )
        if elapsed_s - told_at >= 0.5:
            told_at = elapsed_s
            workbench.emit(Progress(f"Waiting until {cluster.label} is healthy", elapsed_s))
        await asyncio.sleep(_LOOK_S)


async def _ended(cluster: Cluster, snapshot: ClusterSnapshot) -> str:
    """Say which node has ended right after it was started, and its last words; empty when none has."""
    if cluster.require(Lifecycle).restarted_by_others:
        return ""  # nodes may wait for each other by ending and being started again
    for node in snapshot.nodes:
        if node.process.state is ProcessState.EXITED:
            said = last_words([line.text for line in await cluster.nodes.logs(node.name, limit=_LOG_LINES)])
            words = f" Its last words: {said}" if said else ""
            return f"{node.name} does not stay up: {node.process.raw}.{words}"
    return ""


async def use(workbench: Workbench, cluster: Cluster) -> None:
    """Make this the session's cluster; watch it if anything of it runs."""
    workbench.cluster = cluster
    snapshot = await cluster.subject.observe()
    _tell_of_standins(workbench, cluster, snapshot)
    if snapshot.state is not ClusterState.DOWN:
        await watch(workbench)


def _tell_of_standins(workbench: Workbench, cluster: Cluster, snapshot: ClusterSnapshot) -> None:
    """Warn where nodes say by their version that they only stand in for the database, as in tests."""
    if any(node.version and node.version.endswith("standin") for node in snapshot.nodes):
        name = cluster.subject.name
        workbench.emit(
            Notice(
                f"Stand-ins answer here in the place of {name}: nothing seen says how {name} behaves.",
                level="warning",
            )
        )


def share_use(workbench: Workbench, cluster: Cluster) -> None:
    """Have others know that this cluster is used, so that none of them takes it down at its end."""
    workbench.use = share(workbench.state.root / f"use-{cluster.id}.lock")


async def watch(workbench: Workbench) -> None:
    """Have a monitor on the cluster from now on."""
    if workbench.monitor is None and workbench.cluster is not None:
        share_use(workbench, workbench.cluster)
        workbench.monitor = Monitor(workbench.cluster, workbench.ledger, workbench.incidents, workbench.emit)
        await workbench.monitor.start()


async def stop(workbench: Workbench) -> bool:
    """End the load, the watching and the cluster, in this order; its data is deleted.

    Returns whether any node of it ran: a start that failed may have left a folder and no more.
    """
    cluster = workbench.require_cluster()
    await release(workbench)
    ran = await _anything_runs(cluster)
    await cluster.require(Deployment).down()
    await cluster.aclose()
    workbench.cluster = None
    return ran


async def release(workbench: Workbench) -> None:
    """End the load and the watching; the cluster goes on."""
    if workbench.load is not None:
        await workbench.load.aclose()
        workbench.load = None
    if workbench.monitor is not None:
        await workbench.monitor.stop()
        workbench.monitor = None
    if workbench.use is not None:
        workbench.use.close()
        workbench.use = None


async def leave(workbench: Workbench, *, keep: bool) -> str:
    """Leave the world as it was found: stop what this session started, unless `keep` or others use it.

    Returns what there is to tell of it; empty if nothing runs.
    """
    cluster, mine = workbench.cluster, workbench.use
    if cluster is None:
        return ""
    workbench.use = None  # held here to the end: nobody begins to use what is being taken down
    with contextlib.closing(mine) if mine else contextlib.nullcontext():
        ours = workbench.started_here and not keep
        if ours and (mine is None or try_lock(mine.fileno())):
            stopped = f"The cluster {cluster.label} that this run started was stopped. --keep leaves it up."
            return stopped if await stop(workbench) else ""
        await release(workbench)
        snapshot = await cluster.subject.observe()
        await cluster.aclose()
        workbench.cluster = None
    if snapshot.state is ClusterState.DOWN:
        return ""
    why = "another operator uses it; " if ours else ""
    return (
        f"The cluster {cluster.label} is left running ({snapshot.state}): {why}"
        "`operator deploy status` shows it, `operator deploy down` stops it."
    )


def describe(cluster: ObservedCluster, snapshot: ClusterSnapshot) -> dict[str, object]:
    """Return the snapshot as tools and `deploy status` give it."""
    return {
        "cluster": cluster.label,
        "state": str(snapshot.state),
        "problems": list(snapshot.problems),
        "leader": snapshot.leader,
        "term": snapshot.term,
        "revision": snapshot.revision,
        "quorum": {
            "voters": snapshot.quorum.voters,
            "up": snapshot.quorum.up,
            "unknown": snapshot.quorum.unknown,
            "needed": snapshot.quorum.needed,
        },
        "alarms": [str(alarm) for alarm in snapshot.alarms],
        "replication": None if snapshot.replication is None else asdict(snapshot.replication),
        "seen_s_ago": round(max(0.0, clock.wall() - snapshot.at), 1),
        "nodes": [_node(snapshot, name) for name in [node.name for node in snapshot.nodes]],
        "looked_in_s": snapshot.took_s,
    }


def _node(snapshot: ClusterSnapshot, name: str) -> dict[str, object]:
    """One node, each view beside the others."""
    node = snapshot.node(name)
    fields: dict[str, object] = {
        "name": node.name,
        "role": str(node.role),
        "process": str(node.process.state),
        "exit_code": node.process.exit_code,
        "clients_reach_it": str(node.client.connection),
        "says_of_itself": str(node.itself.health),
        "health_port": str(node.itself.connection),
        "peers_connected_to_it": dict(node.peers),
        "control_plane_says": str(node.control),
        "heartbeat_age_s": node.heartbeat_age_s,
        "version": node.version,
        "term": node.term,
        "raft_index": node.raft_index,
        "lag": node.lag,
        "db_bytes": node.db_bytes,
        "disk_free_bytes": node.disk_free_bytes,
        "address": node.address,
        "seen_s_ago": None if node.seen_at is None else round(max(0.0, clock.wall() - node.seen_at), 1),
        **node.details,
    }
    return {key: value for key, value in fields.items() if value is not None and value != "unknown"}


def in_a_line(snapshot: ClusterSnapshot) -> str:
    """Return the snapshot in a line for a person."""
    if snapshot.problems:
        return f"{snapshot.state}: {snapshot.problems[0]}"
    return f"{snapshot.state}: {len(snapshot.nodes)} nodes, {snapshot.leader} leads"
