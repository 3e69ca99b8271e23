"""What a look at a cluster shows: plain frozen data.

Several views of one node are kept side by side and never merged: their disagreement is what tells a dead
node from a paused, a partitioned or a slow one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Scalar = str | int | float | bool | None


class ProcessState(StrEnum):
    """What the kernel or the container engine says of a node's process."""

    RUNNING = "running"
    EXITED = "exited"
    PAUSED = "paused"
    UNKNOWN = "unknown"
    """Nobody here can tell: the node runs on a machine that we don't see (attached clusters)."""


class Connection(StrEnum):
    """What became of a connection to one of a node's ports."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    RESET = "reset"
    SILENT = "silent"
    """No answer within the bound, though nobody refused."""
    UNKNOWN = "unknown"


class Health(StrEnum):
    """What a node answers when it is asked how it is."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"
    """It was not asked, or it did not answer."""


class ControlState(StrEnum):
    """What the control plane (PD; in etcd the raft leader) holds a node for."""

    UP = "up"
    DISCONNECTED = "disconnected"
    DOWN = "down"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


SLOW_SCORE = 80
"""`slow_score` in a store's details, 1 to 100: from here on PD holds it for slow (pkg/core/store.go)."""


class Role(StrEnum):
    """What a node is in its cluster."""

    LEADER = "leader"
    FOLLOWER = "follower"
    LEARNER = "learner"
    STORE = "store"
    CONTROL = "control"
    """A member of the control plane that does not lead it (a PD)."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a process or container is known by. A name or a bare pid is none: both are used again."""

    kind: Literal["process", "container", "address"]
    id: str
    """The pid, the full container id, or the address."""
    started: str
    """Start time as its source writes it: clock ticks since boot, or the engine's timestamp."""


@dataclass(frozen=True, slots=True)
class ProcessView:
    """What the kernel or the engine reports of one node."""

    state: ProcessState
    identity: Identity | None = None
    exit_code: int | None = None
    """As shells and Docker write it: 128 + signal for a death by signal. None where nobody could tell."""
    oom_killed: bool | None = None
    evicted: bool = False
    """Whether whoever runs it took it off its machine; `raw` says why."""
    blocked: str = ""
    """Why it cannot be started, where it takes somebody to change that: an image that can't be pulled."""
    delayed: bool = False
    """Whether who says that it runs learns of an end a second or more later: it may have ended already."""
    ran_s: float | None = None
    """How long its threads had a processor since they began, where that is known."""
    waited_s: float | None = None
    """How long they could have run and had none: none was free, or a limit of theirs was used up."""
    throttled_s: float | None = None
    """How long a limit on its CPU (a quota) held it back, summed over processors, where that is known."""
    networked: bool | None = None
    """Whether the engine that runs it has it in any network; None where nobody says."""
    raw: str = ""
    """The observation as its source wrote it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to one port of one node, and what came back."""

    connection: Connection
    health: Health = Health.UNKNOWN
    latency_ms: float | None = None
    raw: str = ""
    certificate_until: float | None = None
    """Wall time when the certificate that it shows ends; None for a plain port."""


NOT_PROBED = Probe(Connection.UNKNOWN)


class Membership(StrEnum):
    """What a node is to the group that decides, by the database's own list of members."""

    VOTER = "voter"
    LEARNER = "learner"
    """Receives the log, has no vote."""
    WITNESS = "witness"
    """Votes, and holds no data."""
    UNKNOWN = "unknown"


class UnseenReason(StrEnum):
    """Why a node could not be looked at. Most of it says nothing about the node itself."""

    REFUSED = "refused"
    """Nothing listens at its address, or what listens hangs up."""
    SILENT = "silent"
    """No answer in time: dead, frozen, cut off or overloaded."""
    UNREACHED = "unreached"
    """Others answer at the address that it shares with them, and it does not: dead, frozen or cut off."""
    NEVER_STARTED = "never_started"
    """It was added to the members and has not joined yet, so it has no address."""
    DENIED = "denied"
    """It wants another user, password, token or client certificate than ours."""
    UNTRUSTED = "untrusted"
    """Its certificate does not verify with the authorities that we were given."""
    EXPIRED = "expired"
    """Its certificate has ended: no client that verifies gets in. That it is up is unknown, not untrue."""
    NOT_SPOKEN = "not_spoken"
    """It answers in a protocol that we do not speak: gRPC only, no JSON gateway, TLS where we said http."""
    BAD_ADDRESS = "bad_address"
    """It advertises an address that is none, or whose name does not resolve here."""
    OTHER = "other"
    """Somebody else answers there: another member, or another service."""
    FOREIGN = "foreign"
    """At its own address a member of another cluster answers: it was started with other data."""


OUR_SIDE = frozenset(
    {
        UnseenReason.DENIED,
        UnseenReason.UNTRUSTED,
        UnseenReason.NOT_SPOKEN,
        UnseenReason.BAD_ADDRESS,
        UnseenReason.OTHER,
    }
)
"""What is wrong with our way of looking, and says nothing of the node's health."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """That a node could not be looked at, and why."""

    reason: UnseenReason
    text: str
    """What was tried and what came back, in a sentence without its full stop."""
    remedy: str = ""
    """What to give or change instead; empty where that is unknown."""

    @property
    def ours(self) -> bool:
        """Whether our way of looking is at fault, rather than the node."""
        return self.reason in OUR_SIDE


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that the database raised itself. It may be in force for the whole cluster."""

    kind: str
    """As the database writes it: NOSPACE, CORRUPT."""
    node: str | None
    """The node that raised it; None where the database does not say."""
    raw: str = ""

    def __str__(self) -> str:
        return f"{self.kind} on {self.node}" if self.node else self.kind


@dataclass(frozen=True, slots=True)
class FormerMember:
    """A node that was a member and is no more: removed, or replaced under the same name."""

    name: str
    member_id: str
    at: float
    """Wall time when that was noticed."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What clients can do, each None where that is not known."""

    writes: bool | None = None
    """A put."""
    reads: bool | None = None
    """A linearizable read."""


@dataclass(frozen=True, slots=True)
class Replication:
    """Whether all data has all its replicas, as the control plane counts; None where it could not say."""

    regions: int | None = None
    """All there are."""
    leaderless: int | None = None
    """Regions that nobody leads."""
    missing: int | None = None
    """Regions with fewer replicas than they should have."""
    pending: int | None = None
    """Regions with a replica that has not caught up."""
    down: int | None = None
    """Regions with a replica that has been gone for long."""

    @property
    def complete(self) -> bool | None:
        """Whether any majority of stores may be relied on; None where that is unknown."""
        counts = (self.missing, self.pending, self.down)
        if any(counts):
            return False
        return None if None in counts else True


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node as everyone sees it, at one time."""

    name: str
    role: Role
    address: str
    """The endpoint that clients use."""
    process: ProcessView
    client: Probe = NOT_PROBED
    """The port that clients use, asked from where clients are."""
    itself: Probe = NOT_PROBED
    """The node's own word, asked on its management port: past any fault on the way to it."""
    peers: Mapping[str, bool] = field(default_factory=dict)
    """Of each peer that could be asked: does it hold a working connection to this node?"""
    control: ControlState = ControlState.UNKNOWN
    heartbeat_age_s: float | None = None
    member_id: str | None = None
    """The identity that the database itself gave the node; it survives restarts, not re-creation."""
    membership: Membership = Membership.UNKNOWN
    votes: bool | None = None
    """Whether it is a voter that follows a leader, or leads; None where that could not be found out."""
    unseen: Unseen | None = None
    """Why the node could not be looked at; None when it could."""
    seen_at: float | None = None
    """Wall time when the node last spoke for itself; None before the first time."""
    started_at: float | None = None
    """Wall time, seconds since the epoch, as the node reports it: moves when it was restarted."""
    version: str | None = None
    term: int | None = None
    raft_index: int | None = None
    lag: int | None = None
    """Raft entries (etcd) or pending peers (TiKV) behind the leader; None where it is not known."""
    db_bytes: int | None = None
    disk_free_bytes: int | None = None
    details: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quorum:
    """The voters of the group that decides (etcd members; TiKV stores, by replica count)."""

    voters: int
    up: int
    unknown: int = 0
    """Voters of which it could not be found out whether they are up."""
    proven: bool = False
    """Whether the database itself just did what takes a majority, whatever we can see of its members."""

    @property
    def needed(self) -> int:
        """The smallest majority."""
        return self.voters // 2 + 1

    @property
    def held(self) -> bool:
        """Whether a majority is known to be up."""
        return self.proven or self.up >= self.needed

    @property
    def lost(self) -> bool:
        """Whether a majority is known not to be up; neither this nor `held` is that nobody can tell."""
        return not self.held and self.up + self.unknown < self.needed


class ClusterState(StrEnum):
    """The cluster in a word, as `operator deploy status` prints it."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    """Nothing could be found out, for reasons on our side."""


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """One consistent look at a cluster: every node, each as everyone sees it."""

    at: float
    """Wall time, seconds since the epoch, when the look began."""
    took_s: float
    nodes: tuple[NodeView, ...]
    leader: str | None
    term: int | None
    quorum: Quorum
    state: ClusterState
    problems: tuple[str, ...] = ()
    """Why it is not healthy, a short phrase each; empty when it is."""
    alarms: tuple[Alarm, ...] = ()
    alarms_known: bool = True
    """Whether a node that knows of alarms was asked; else that there are none is not known."""
    serving: Serving = Serving()
    left: tuple[FormerMember, ...] = ()
    """Who stopped being a member while we watched, latest last."""
    cluster_id: str | None = None
    """The identity that the database gave the cluster."""
    replication: Replication | None = None
    """None for databases in which every member holds everything."""
    revision: int | None = None

    def node(self, name: str) -> NodeView:
        """Return the view of the node `name`; KeyError when the cluster has none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
