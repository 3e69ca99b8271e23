"""The protocol of a database: how to look at it, what is healthy there, what load it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from subjects.base.snapshot import ClusterSnapshot, Probe
from subjects.base.targets import TargetRole


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that holds in a healthy cluster."""

    name: str
    """store_up, quorum, has_leader, leader_stable, replication_caught_up, peers_connected,
    client_errors, client_latency, client_throughput or disk_space."""
    threshold: float
    """Where it comes from is said beside each invariant."""
    unit: str


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
    """`package.module:Class` of a `tools.load.driver.Driver`, or `go-ycsb` (run by `tools.load.go_ycsb`)."""
    endpoints: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


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
    def targets(self) -> tuple[TargetRole, ...]:
        """The roles that can be the target of a fault, besides node names and `random`."""
        ...

    @property
    def usual_target(self) -> str:
        """The default target of a fault: a role, or `random`."""
        ...

    @property
    def invariants(self) -> tuple[Invariant, ...]:
        """What holds when all is healthy."""
        ...

    @property
    def knowledge(self) -> str:
        """`knowledge.md`: the failure signatures that an experienced engineer looks for."""
        ...

    @property
    def usual_alert(self) -> UsualAlert:
        """What would tell a well-run installation of a dead store, and when."""
        ...

    @property
    def stall_s(self) -> float:
        """How long reads and writes may stall when a leader is lost, until another one leads."""
        ...

    @property
    def stop_timeout_s(self) -> float:
        """How long a node may take to stop gracefully before it is killed."""
        ...

    def watch_address(self, node: str) -> tuple[str, int]:
        """Return host and port that answer health questions about `node`, for the monitor's own probes."""
        ...

    def health_request(self, node: str) -> bytes:
        """Return the HTTP/1.1 request that the monitor sends on a held connection to `watch_address`."""
        ...

    async def observe(self) -> ClusterSnapshot:
        """Look at every node from every side at once. Bounded to about 2 s; never raises for a sick node."""
        ...

    async def probe(self, node: str, timeout_s: float) -> Probe:
        """Ask one node's service port, as a client would."""
        ...

    async def metrics(self, node: str, names: Sequence[str]) -> list[Metric]:
        """Read the node's own metrics whose name begins with one of `names`; SubjectError if unreachable."""
        ...

    async def prepare(self) -> str:
        """Bring a new cluster of ours, healthy by now, into the shape that its users expect; bounded.

        Returns what could not be done, empty where there is nothing to tell. Does nothing the second time.
        """
        ...

    def load_target(self, wanted: str = "auto") -> LoadTarget:
        """Say how load is put on this database: by `operator` itself, by `go-ycsb`, or what `auto` chooses.

        Unsupported for what this database has not, NotReady for what is not installed here.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
