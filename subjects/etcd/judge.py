"""What is wrong with a cluster of etcd, if anything, and the invariants that say so."""

from dataclasses import replace

from subjects.base import (
    ClusterSnapshot,
    ClusterState,
    Connection,
    Health,
    Invariant,
    Membership,
    NodeView,
    ProcessState,
)

MAX_LAG = 500
"""Raft entries. Under 800 writes/s an entry that a follower has yet to apply is younger than a second."""

INVARIANTS = (
    Invariant(
        "store_up",
        "every member runs and answers",
        0,
        "members down",
        "etcd: a member of three is one failure away from losing quorum",
    ),
    Invariant("quorum", "a majority of the voters answers", 0, "votes short", "raft"),
    Invariant(
        "has_leader",
        "the members agree on a leader",
        2.0,
        "s without one",
        "etcd: election timeout 1 s, randomised up to 2 s",
    ),
    Invariant(
        "leader_stable",
        "the leader does not change by itself",
        1,
        "changes/min",
        "etcd-mixin HighNumberOfLeaderChanges: 4 in 15 min",
    ),
    Invariant(
        "replication_caught_up",
        "no member is far behind the leader",
        MAX_LAG,
        "raft entries",
        "half a second of writes at 800/s and up",
    ),
    Invariant(
        "peers_connected",
        "every member holds connections to every other",
        0,
        "links down",
        "etcd_network_active_peers",
    ),
    Invariant(
        "client_errors", "clients get answers", 0.01, "share of operations", "SRE practice: 99 % of requests"
    ),
    Invariant(
        "client_latency",
        "clients do not wait",
        1000,
        "ms, p99",
        "etcd: requests slower than the election timeout are logged and retried",
    ),
    Invariant("disk_space", "no member is out of space", 0, "alarms", "etcd: NOSPACE stops all writes"),
)


def judge(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Return the snapshot with its state and its problems filled in."""
    problems = [problem for node in snapshot.nodes for problem in _node_problems(node, snapshot)]
    answered = any(node.term is not None or node.version is not None for node in snapshot.nodes)
    if snapshot.leader is None and answered:
        problems.append("no leader")
    if snapshot.quorum.lost:
        problems.append(
            f"quorum lost: {snapshot.quorum.up} of {snapshot.quorum.voters} voters follow a leader"
        )
    problems.extend(f"alarm: {alarm}" for alarm in snapshot.alarms)
    if snapshot.serving.writes is False and snapshot.serving.reads:
        problems.append("writes are refused, reads are served")
    return replace(snapshot, state=_state(snapshot, problems, answered=answered), problems=tuple(problems))


def _state(snapshot: ClusterSnapshot, problems: list[str], *, answered: bool) -> ClusterState:
    if snapshot.quorum.lost or (answered and snapshot.leader is None and not snapshot.quorum.proven):
        return ClusterState.DOWN
    if problems:
        return ClusterState.DEGRADED
    # Whom we can't see for reasons of ours may still be known to be up: its peers hold connections to it.
    vouched = all(node.unseen is None or (node.peers and all(node.peers.values())) for node in snapshot.nodes)
    if not snapshot.quorum.held or not vouched:
        return ClusterState.UNKNOWN
    return ClusterState.HEALTHY


def _node_problems(node: NodeView, snapshot: ClusterSnapshot) -> list[str]:
    if node.process.state in (ProcessState.EXITED, ProcessState.PAUSED):
        return [f"{node.name}: {node.process.raw}"]
    if node.unseen is not None and node.unseen.ours:
        return []  # what is wrong with our way of looking is no problem of the cluster
    problems = []
    if node.unseen is not None:
        problems.append(f"{node.name}: {node.unseen.text}")
    else:
        if node.itself.health is Health.UNHEALTHY or node.itself.connection in _BROKEN:
            problems.append(f"{node.name}: does not report that it is healthy ({node.itself.raw})")
        if node.client.connection in _BROKEN:
            problems.append(f"{node.name}: clients get no answer ({node.client.raw})")
        if node.votes is False and node.membership is Membership.VOTER:
            problems.append(f"{node.name}: follows no leader")
    deaf = sorted(peer for peer, connected in node.peers.items() if not connected)
    running = {other.name for other in snapshot.nodes if other.process.state is not ProcessState.EXITED}
    if deaf and set(deaf) <= running:
        problems.append(f"{node.name}: no connection to it from {', '.join(deaf)}")
    if node.lag is not None and node.lag > MAX_LAG:
        problems.append(f"{node.name}: {node.lag} raft entries behind")
    return problems


_BROKEN = frozenset({Connection.REFUSED, Connection.RESET, Connection.SILENT})
