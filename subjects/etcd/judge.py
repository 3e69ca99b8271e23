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
    # Every member runs and answers; etcd: a member of three is one failure away from losing quorum.
    Invariant("store_up", 0, "members down"),
    # A majority of the voters answers; raft.
    Invariant("quorum", 0, "votes short"),
    # The members agree on a leader; etcd: election timeout 1 s, randomised up to 2 s.
    Invariant("has_leader", 2.0, "s without one"),
    # The leader does not change by itself; etcd-mixin HighNumberOfLeaderChanges: 4 in 15 min.
    Invariant("leader_stable", 1, "changes/min"),
    # No member is far behind the leader; half a second of writes at 800/s and up.
    Invariant("replication_caught_up", MAX_LAG, "raft entries"),
    # Every member holds connections to every other; etcd_network_active_peers.
    Invariant("peers_connected", 0, "links down"),
    # Clients get answers; SRE practice: 99 % of requests.
    Invariant("client_errors", 0.01, "share of operations"),
    # Clients do not wait; etcd: requests slower than the election timeout are logged and retried.
    Invariant("client_latency", 1000, "ms, p99"),
    # Clients get done what they usually do; ours.
    Invariant("client_throughput", 0.75, "share lost"),
    # No member is close to its space quota, at which NOSPACE stops all writes; etcd-mixin: 95 %.
    Invariant("disk_space", 0.95, "share of the quota"),
)


def judge(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """Return the snapshot with its state and its problems filled in."""
    problems = [problem for node in snapshot.nodes for problem in _node_problems(node, snapshot)]
    answered = any(
        node.term is not None or node.version is not None or node.itself.health is not Health.UNKNOWN
        for node in snapshot.nodes
    )
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
    if not answered:
        return ClusterState.UNKNOWN  # of whom nobody says anything, nothing is known
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
