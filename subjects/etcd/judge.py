"""What is wrong with a cluster of etcd, if anything, and the invariants that say so."""

from dataclasses import replace

from subjects.base import ClusterSnapshot, ClusterState, Connection, Health, Invariant, NodeView, ProcessState

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
    if snapshot.leader is None:
        problems.append("no leader")
    if not snapshot.quorum.held:
        problems.append(f"quorum lost: {snapshot.quorum.up} of {snapshot.quorum.voters} members healthy")
    problems.extend(f"alarm: {alarm}" for alarm in snapshot.alarms)
    if not snapshot.quorum.held or snapshot.leader is None:
        state = ClusterState.DOWN
    else:
        state = ClusterState.DEGRADED if problems else ClusterState.HEALTHY
    return replace(snapshot, state=state, problems=tuple(problems))


def _node_problems(node: NodeView, snapshot: ClusterSnapshot) -> list[str]:
    if node.process.state in (ProcessState.EXITED, ProcessState.PAUSED):
        return [f"{node.name}: {node.process.raw}"]
    problems = []
    if node.itself.health is not Health.HEALTHY:
        problems.append(f"{node.name}: does not say that it is healthy ({node.itself.raw or 'not asked'})")
    if node.client.connection is not Connection.ACCEPTED:
        problems.append(f"{node.name}: clients get no answer ({node.client.raw})")
    deaf = sorted(peer for peer, connected in node.peers.items() if not connected)
    running = {other.name for other in snapshot.nodes if other.process.state is not ProcessState.EXITED}
    if deaf and set(deaf) <= running:
        problems.append(f"{node.name}: no connection to it from {', '.join(deaf)}")
    if node.lag is not None and node.lag > MAX_LAG:
        problems.append(f"{node.name}: {node.lag} raft entries behind")
    return problems
