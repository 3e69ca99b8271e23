"""The invariants: what holds in a healthy cluster, with thresholds for subjects that bring none."""

from collections.abc import Mapping, Sequence

from subjects.base import Invariant

DEFAULTS: Sequence[Invariant] = (
    Invariant("store_up", "every node runs and answers", 0.5, "s", "two missed answers at 250 ms"),
    Invariant("quorum", "a majority of the voters is up", 0.5, "share", "raft: more than half"),
    Invariant("has_leader", "there is a leader", 0.0, "s", "seen absent in two looks in a row"),
    Invariant(
        "leader_stable",
        "the leader changes seldom, outside of incidents and planned acts",
        3.0,
        "changes in 15 min",
        "etcd-mixin, etcdHighNumberOfLeaderChanges (4 and more)",
    ),
    Invariant(
        "replication_caught_up",
        "no node is far behind its leader",
        5000.0,
        "entries",
        "etcd: a follower further behind than `snapshot-catchup-entries` needs a snapshot",
    ),
    Invariant("peers_connected", "the peers hold connections to each node", 0.5, "share", "more than half"),
    Invariant(
        "client_errors",
        "few operations fail",
        0.05,
        "share",
        "etcd-mixin, etcdHighNumberOfFailedGRPCRequests (critical at 5 %)",
    ),
    Invariant(
        "client_latency",
        "operations are answered in time",
        1000.0,
        "ms",
        "ten windows in a row beyond a thousand milliseconds at p99: ours",
    ),
    Invariant(
        "disk_space", "there is room to write", 0.95, "share", "etcd-mixin, etcdDatabaseQuotaLowSpace (95 %)"
    ),
)


def in_force(given: Sequence[Invariant]) -> Mapping[str, Invariant]:
    """Return the invariants by name: the subject's own, and the defaults where it has none."""
    return {invariant.name: invariant for invariant in (*DEFAULTS, *given)}
