"""All that may be read of a cluster, whoever reads it: nothing here acts, and nothing knows of a fault."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from subjects.base import ClusterSnapshot, ObservedCluster
from tools.errors import NoCluster, UnknownNode
from tools.events import Emit
from tools.observe.figures import LoadFigures, Window, WriteCheck
from tools.observe.incident import SeenIncident
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection, Signal


class Monitored(Protocol):
    """What a monitor has seen."""

    @property
    def snapshot(self) -> ClusterSnapshot | None:
        """The last snapshot of the cluster; None before the first."""
        ...

    @property
    def signals(self) -> Sequence[Signal]:
        """The last signals, oldest first."""
        ...

    @property
    def detections(self) -> Sequence[Detection]:
        """The last detections, oldest first."""
        ...

    @property
    def open_incidents(self) -> tuple[str, ...]:
        """The ids of the incidents under way."""
        ...

    async def recorded(self) -> bool:
        """Wait until the incidents so far are written down; False if the disk takes too long."""
        ...


class SeenIncidents(Protocol):
    """The incidents of a state folder, as far as they were seen."""

    def get(self, incident: str) -> SeenIncident:
        """Return one incident; a ToolError where there is none of that id."""
        ...

    def list(self, limit: int = 20) -> Sequence[SeenIncident]:
        """Return the latest incidents, the latest first."""
        ...


class MeasuredLoad(Protocol):
    """What clients of a load get."""

    @property
    def label(self) -> str:
        """The load in a few words: workload, records, rate."""
        ...

    @property
    def windows(self) -> Sequence[Window]:
        """The last windows, oldest first."""
        ...

    @property
    def running(self) -> bool:
        """Whether windows still come."""
        ...

    @property
    def problem(self) -> str:
        """Why it ended, when nobody stopped it."""
        ...

    @property
    def checked(self) -> WriteCheck | None:
        """What the last read-back of acknowledged writes showed."""
        ...

    @property
    def unrecorded(self) -> str:
        """Why acknowledged writes can't be read back from this load; empty where they can."""
        ...

    def latest(self, count: int) -> LoadFigures:
        """Return the figures of the last `count` windows."""
        ...


@dataclass(kw_only=True)
class Observed:
    """What tools that only read are given."""

    emit: Emit
    ledger: Ledger
    incidents: SeenIncidents
    cluster: ObservedCluster | None = None
    monitor: Monitored | None = None
    load: MeasuredLoad | None = None
    own_folder: str = ""
    """Where operator keeps its files: of a node's log line it says nothing, so it is left out there."""

    def require_cluster(self) -> ObservedCluster:
        """Return the cluster; NoCluster when there is none."""
        if self.cluster is None:
            raise NoCluster
        return self.cluster

    def require_node(self, name: str) -> str:
        """Return `name` if the cluster has such a node; UnknownNode, which names those it has, if not."""
        nodes = self.require_cluster().subject.nodes
        if name not in nodes:
            raise UnknownNode(name, nodes)
        return name
