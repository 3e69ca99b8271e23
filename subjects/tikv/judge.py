"""When a TiKV cluster is healthy, and why it isn't."""

from collections.abc import Sequence
from dataclasses import replace

from subjects.base import (
    SLOW_SCORE,
    ClusterSnapshot,
    ClusterState,
    Connection,
    ControlState,
    Health,
    Invariant,
    Membership,
    NodeView,
    ProcessState,
    Quorum,
    Role,
)
from subjects.tikv.replication import replication_problems

LOW_SPACE_BYTES = 450 << 20
"""Half as much again as `storage.reserve-space` in tikv.toml, at which TiKV refuses writes."""

WITHOUT_PD = "no region is moved or split, no timestamp is given; clients go on where they know the way"
"""What PD's leader does, and what goes on without it."""

INVARIANTS = (
    # Every store and PD runs and answers; two missed answers at 250 ms.
    Invariant("store_up", 0.5, "s"),
    # Every region has a majority; raft: more than half of the replicas.
    Invariant("quorum", 0.5, "share"),
    # PD has a leader; PD: without one nothing is scheduled.
    Invariant("has_leader", 0.0, "s"),
    # The PD leader changes seldom; as in etcd.
    Invariant("leader_stable", 3.0, "changes in 15 min"),
    # Few peers are pending; ours: none is usual.
    Invariant("replication_caught_up", 10.0, "peers"),
    # Stores reach each other; report_failure_msg does not grow.
    Invariant("peers_connected", 0.5, "share"),
    # Few operations fail; ours.
    Invariant("client_errors", 0.05, "share"),
    # Operations are answered in time; ours.
    Invariant("client_latency", 1000.0, "ms"),
    # Clients get done what they usually do; ours.
    Invariant("client_throughput", 0.75, "share lost"),
    # Every store has room; storage.reserve-space.
    Invariant("disk_space", float(LOW_SPACE_BYTES), "bytes"),
)  # fmt: skip

_UNWELL = {ControlState.DISCONNECTED, ControlState.DOWN}
"""A store that is being removed (Offline) serves its regions until they are elsewhere."""


def judge(snapshot: ClusterSnapshot, trouble: str, replicas: int) -> ClusterSnapshot:
    """Return the snapshot with its state and its problems; `trouble` is why PD could not say all, if so.

    `replicas` are those of a region.
    """
    stores = [node for node in snapshot.nodes if node.role is Role.STORE]
    problems = [problem for node in snapshot.nodes for problem in _node_problems(node)]
    if trouble:
        problems.append(f"PD: {trouble}")
    if snapshot.leader is None:
        problems.append(f"PD has no leader: {WITHOUT_PD}")
    if snapshot.replication is not None:
        problems += replication_problems(snapshot.replication)
    if not snapshot.quorum.held:
        what = "PDs run" if quorum_of(stores, replicas).held else "replicas can be up"
        problems.append(f"quorum lost: {snapshot.quorum.up} of {snapshot.quorum.voters} {what}")
    # Clients go on without PD: only the stores' majority decides whether the cluster is down.
    if quorum_of(stores, replicas).held and any(_answers(node) for node in stores):
        state = ClusterState.DEGRADED if problems else ClusterState.HEALTHY
    else:
        nobody_seen = bool(stores) and all(node.unseen is not None for node in stores)
        state = ClusterState.UNKNOWN if nobody_seen else ClusterState.DOWN
    return replace(snapshot, state=state, problems=tuple(problems))


def _answers(store: NodeView) -> bool:
    """Whether a store answers, or PD, to which it speaks, vouches for one that can't be asked from here."""
    vouched = store.unseen is not None and store.control is ControlState.UP
    return serves(store) and (
        vouched or Connection.ACCEPTED in (store.client.connection, store.itself.connection)
    )


def quorum_of(nodes: Sequence[NodeView], replicas: int) -> Quorum:
    """Return the majority that decides: that of `replicas` stores, or of the PDs where only theirs is lost.

    As if all stores that are down held replicas of one region: with three stores that is so. Learners
    (TiFlash) have no vote.
    """
    voting = [each for each in nodes if each.role is Role.STORE and each.membership is not Membership.LEARNER]
    down = sum(not serves(node) for node in voting)
    stores = Quorum(replicas, max(0, replicas - down))
    up = [serves(node) for node in nodes if node.role is not Role.STORE]
    pds = Quorum(len(up), sum(up))
    return pds if up and stores.held and not pds.held else stores


def serves(node: NodeView) -> bool:
    """Whether a store or PD can take part in a majority, by whatever is known of it."""
    if node.process.state in (ProcessState.EXITED, ProcessState.PAUSED) or node.control in _UNWELL:
        return False
    if node.client.connection in (Connection.REFUSED, Connection.RESET, Connection.SILENT):
        return False
    reports = list(node.peers.values())
    return not reports or any(reports)


def _node_problems(node: NodeView) -> list[str]:
    if node.process.state in (ProcessState.EXITED, ProcessState.PAUSED):
        return [f"{node.name}: {node.process.raw}"]
    problems = []
    if node.itself.health is not Health.HEALTHY and node.unseen is None:
        problems.append(f"{node.name}: does not say that it is healthy ({node.itself.raw or 'not asked'})")
    if node.client.connection in (Connection.REFUSED, Connection.RESET, Connection.SILENT):
        problems.append(f"{node.name}: clients get no answer ({node.client.raw})")
    if node.role is not Role.STORE:
        return problems
    if node.control is not ControlState.UP:
        age = "" if node.heartbeat_age_s is None else f", last heartbeat {node.heartbeat_age_s:.1f} s ago"
        said = node.details.get("pd_state") or "unknown"
        problems.append(f"{node.name}: PD holds it for {said}{age}")
    lost = sorted(peer for peer, holds in node.peers.items() if not holds)
    if lost and len(lost) == len(node.peers):
        problems.append(f"{node.name}: {', '.join(lost)} cannot reach it")
    if node.lag:
        problems.append(f"{node.name}: {node.lag} peers behind")
    if node.disk_free_bytes is not None and node.disk_free_bytes <= LOW_SPACE_BYTES:
        problems.append(f"{node.name}: {node.disk_free_bytes >> 20} MiB of disk left: it may refuse writes")
    score = node.details.get("slow_score")
    if isinstance(score, int) and score >= SLOW_SCORE:
        problems.append(f"{node.name}: PD holds it for slow (slow score {score} of 100)")
    return problems
