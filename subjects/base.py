"""What operator knows of any database (`Subject`) and of any place where its nodes run (`Runtime`).

Two protocols and the plain frozen data that crosses them. A *cluster* is one subject on one runtime
(`subjects.clusters`). Several views of one node are kept side by side and never merged: their
disagreement is what tells a dead node from a paused, a partitioned or a slow one.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

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
class Picture:
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
    details: Mapping[str, Scalar] = field(default_factory=dict)

    def node(self, name: str) -> NodeView:
        """Return the view of the node `name`; KeyError when the cluster has none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that holds in a healthy cluster."""

    name: str
    """store_up, quorum, has_leader, leader_stable, replication_caught_up, peers_connected,
    client_errors, client_latency or disk_space."""
    meaning: str
    threshold: float
    unit: str
    source: str
    """Where the threshold comes from."""


@dataclass(frozen=True, slots=True)
class UsualAlert:
    """The alert rule that a well-run installation has for such a failure, to compare with."""

    name: str
    after_s: float
    source: str


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """How the load generator reaches a database."""

    driver: str
    """`package.module:Class` of a `tools.load.driver.Driver`, or `go-ycsb` (run by the runtime)."""
    endpoints: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a node's log, as it was written: whoever shows it cleans it."""

    node: str
    text: str
    at: float | None = None
    """Wall time where the line carries one that could be read."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One sample of one of a node's own metrics."""

    name: str
    labels: Mapping[str, str]
    value: float


class Subject(Protocol):
    """A database: how to look at it, what is healthy, what load it takes."""

    @property
    def name(self) -> str:
        """`etcd` or `tikv`."""
        ...

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes' names, in a fixed order. May change between looks on attached clusters."""
        ...

    @property
    def stores(self) -> tuple[str, ...]:
        """The nodes that hold data, and that faults are made for: all of etcd's, TiKV's stores."""
        ...

    @property
    def invariants(self) -> tuple[Invariant, ...]:
        """What holds when all is well."""
        ...

    @property
    def knowledge(self) -> str:
        """`knowledge.md`: the failure signatures that an experienced engineer looks for."""
        ...

    @property
    def usual_alert(self) -> UsualAlert:
        """What would tell a well-run installation of a dead store, and when."""
        ...

    def watch_address(self, node: str) -> tuple[str, int]:
        """Return host and port that answer health questions about `node`, for the monitor's own probes."""
        ...

    def health_request(self, node: str) -> bytes:
        """Return the HTTP/1.1 request that the monitor sends on a held connection to `watch_address`."""
        ...

    async def observe(self) -> Picture:
        """Look at every node from every side at once. Bounded to about 2 s; never raises for a sick node."""
        ...

    async def probe(self, node: str, timeout_s: float) -> Probe:
        """Ask one node's service port, as a client would."""
        ...

    async def metrics(self, node: str, names: Sequence[str]) -> list[Metric]:
        """Read the node's own metrics whose name begins with one of `names`; SubjectError if unreachable."""
        ...

    def load_target(self) -> LoadTarget:
        """Say how the load generator reaches this database."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """The kernel's or the engine's word that something happened to a node, as it happens."""

    node: str
    kind: Literal["exit", "stopped", "continued", "start", "oom"]
    at: float
    """Monotonic seconds, when we learned of it."""
    raw: str
    exit_code: int | None = None


class Scope(StrEnum):
    """Which traffic of a node a network fault touches."""

    PEERS = "peers"
    CLIENTS = "clients"
    BOTH = "both"


class Direction(StrEnum):
    """Seen from the node: what comes in, what goes out, or both."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class LinkRule:
    """One rule of the cluster's network. A network without rules passes everything."""

    node: str
    effect: Literal["cut", "delay", "loss", "rate", "reset"]
    """cut: nothing passes. delay: each piece comes `value` ms later. loss: `value` (0 to 1) of new
    connections get no answer. rate: `value` bytes/s. reset: connections are reset as they come."""
    value: float = 0.0
    scope: Scope = Scope.BOTH
    direction: Direction = Direction.BOTH
    peer: str | None = None
    """Only the edge to this peer; None for all of them."""


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether a runtime can do something here, and why not."""

    available: bool
    reason: str
    """How it is done, or what keeps it from being done."""


class Primitive(StrEnum):
    """What a runtime may be able to do to its nodes. Faults are made of these."""

    KILL = "kill"
    PAUSE = "pause"
    NETWORK_CUT = "network_cut"
    NETWORK_ONE_WAY = "network_one_way"
    NETWORK_SHAPE = "network_shape"
    DISK_LIMIT = "disk_limit"
    CPU_LIMIT = "cpu_limit"
    RESTART = "restart"
    CLOCK = "clock"


class Runtime(Protocol):
    """Where nodes run. Free of anything that would not survive a move to Kubernetes."""

    @property
    def name(self) -> str:
        """`process`, `docker` or `attach`."""
        ...

    @property
    def owned(self) -> bool:
        """Whether the nodes are ours to act on; an attached cluster's are not."""
        ...

    def capabilities(self) -> Mapping[Primitive, Capability]:
        """Say which primitives work here, every one with its reason."""
        ...

    async def up(self) -> None:
        """Start all nodes that do not run; returns when their processes do, not when they are healthy."""
        ...

    async def down(self) -> None:
        """Stop everything that `up` started and delete its data. Safe to call again."""
        ...

    async def inspect(self, node: str) -> ProcessView:
        """Ask the kernel or the engine about a node."""
        ...

    async def start(self, node: str) -> None:
        """Start a node that does not run, on its own data; does nothing for one that does.

        StaleTarget when somebody else has started it without our knowledge; it is ours from then on.
        """
        ...

    async def stop(self, node: str, timeout_s: float = 10.0) -> None:
        """Stop a node gracefully (SIGTERM), and by force after `timeout_s`."""
        ...

    async def kill(self, node: str, identity: Identity) -> None:
        """SIGKILL, only if the node still is `identity`; StaleTarget if it isn't."""
        ...

    async def pause(self, node: str, identity: Identity) -> None:
        """Freeze the node where it stands; StaleTarget if it isn't `identity` any more."""
        ...

    async def resume(self, node: str, identity: Identity) -> None:
        """Let a paused node go on; does nothing for one that isn't paused. StaleTarget as for `pause`."""
        ...

    async def network(self) -> tuple[LinkRule, ...]:
        """Return the rules in force."""
        ...

    async def set_network(self, rules: Sequence[LinkRule]) -> None:
        """Put exactly these rules in force, in place of the present ones; returns once they are."""
        ...

    async def limits(self, node: str) -> Mapping[str, float | None]:
        """Return the limits in force: `disk_bytes` (largest file), `cpu_share` (cores); None is unlimited."""
        ...

    async def set_limit(self, node: str, identity: Identity, name: str, value: float | None) -> None:
        """Set one of `limits`, live. StaleTarget as for `pause`."""
        ...

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:
        """Return the last `limit` lines of a node's log, not older than wall time `since`."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield what happens to nodes, as the kernel or engine notifies; never ends by itself."""
        ...

    async def aclose(self) -> None:
        """Stop watching. What runs goes on running."""
        ...


@dataclass(frozen=True, slots=True)
class Cluster:
    """One subject on one runtime."""

    id: str
    subject: Subject
    runtime: Runtime

    @property
    def label(self) -> str:
        """How it is shown: `etcd × process`."""
        return f"{self.subject.name} × {self.runtime.name}"

    async def aclose(self) -> None:
        """Close what is held open; the cluster itself goes on."""
        await self.subject.aclose()
        await self.runtime.aclose()
