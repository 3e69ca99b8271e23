"""What tools share: the cluster, the monitor, the load, the faults, the evidence, the incidents."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from subjects.base import Cluster
from subjects.state import StateFolder
from tools.errors import NoCluster, UnknownNode
from tools.events import Emit
from tools.observe.ledger import Ledger

if TYPE_CHECKING:
    from tools.detection.monitor import Monitor
    from tools.diagnosis.base import Diagnostician
    from tools.faults.outcome import FaultOutcome
    from tools.faults.service import FaultService
    from tools.incidents.store import IncidentStore
    from tools.load.figures import LoadFigures
    from tools.load.run import LoadRun


@dataclass(frozen=True, slots=True)
class Choice:
    """Which cluster the person asked for; `auto` is decided when it is opened."""

    subject: str = "auto"
    """`auto`, or one of `subjects.databases()`."""
    runtime: Literal["auto", "process", "docker"] = "auto"
    compose_file: Path | None = None
    load: Literal["auto", "operator", "go-ycsb"] = "auto"
    """Who makes the load; `auto` is operator itself where it can."""


@dataclass(slots=True)
class Workbench:
    """One session's tools. `agent.workbench` makes and closes it."""

    state: StateFolder
    emit: Emit
    ledger: Ledger
    incidents: "IncidentStore"
    faults: "FaultService"
    diagnostician: "Diagnostician"
    choice: Choice = field(default_factory=Choice)
    cluster: Cluster | None = None
    monitor: "Monitor | None" = None
    load: "LoadRun | None" = None
    baseline: "LoadFigures | None" = None
    """What clients got just before the last fault; None where no load was running."""
    outcome: "FaultOutcome | None" = None
    """What came of the last heal."""
    started_here: bool = False
    """Whether nothing of the cluster ran before this session started it; then it is stopped at the end."""
    use: TextIO | None = None
    """Our share of the cluster's use (tools.cluster.use) while we watch it."""
    allow_quorum_loss: bool = False
    """Given on the command line; a model cannot set it."""

    def require_cluster(self) -> Cluster:
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
