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
    """The kernel's or the engine's word on one node."""

    state: ProcessState
    identity: Identity | None = None
    exit_code: int | None = None
    """As shells and Docker write it: 128 + signal for a death by signal. None where nobody could tell."""
    oom_killed: bool | None = None
    ran_s: float | None = None
    """How long its threads had a processor since they began, where that is known."""
    waited_s: float | None = None
    """How long they could have run and had none: none was free, or a limit of theirs was used up."""
    raw: str = ""
    """The observation as its source wrote it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to one port of one node, and what came back."""

    connection: Connection
    health: Health = Health.UNKNOWN
    latency_ms: float | None = None
    raw: str = ""


NOT_PROBED = Probe(Connection.UNKNOWN)


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

    @property
    def needed(self) -> int:
        """The smallest majority."""
        return self.voters // 2 + 1

    @property
    def held(self) -> bool:
        """Whether a majority is up."""
        return self.up >= self.needed


class ClusterState(StrEnum):
    """The cluster in a word, as `operator deploy status` prints it."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


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
    alarms: tuple[str, ...] = ()
    revision: int | None = None

    def node(self, name: str) -> NodeView:
        """Return the view of the node `name`; KeyError when the cluster has none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
