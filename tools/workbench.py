"""What a session has: all that may be read of its cluster, and what acts on it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

from subjects.base import Cluster
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.state import StateFolder
from tools.detection.watched import Watched
from tools.diagnosis.examination import Diagnosing
from tools.errors import NoCluster
from tools.faults.outcome import FaultOutcome
from tools.faults.service import FaultService
from tools.incidents.store import IncidentStore
from tools.load.run import LoadRun
from tools.observe.figures import LoadFigures


@dataclass(frozen=True, slots=True)
class Choice:
    """Which cluster the person asked for; `auto` is decided when it is opened."""

    subject: str = "auto"
    """`auto`, or one of `subjects.databases()`."""
    runtime: str = "auto"
    """`auto`, or one of `subjects.RUNTIMES`."""
    compose_file: Path | None = None
    load: Literal["auto", "operator", "go-ycsb"] = "auto"
    """Who makes the load; `auto` is operator itself where it can."""
    kubernetes: KubernetesOptions = field(default_factory=KubernetesOptions)
    """Where it is on Kubernetes, and which pods are meant."""


@dataclass(kw_only=True)
class Workbench(Watched, Diagnosing):
    """One session's tools. `agent.workbench` makes and closes it."""

    state: StateFolder
    incidents: IncidentStore
    faults: FaultService
    choice: Choice = field(default_factory=Choice)
    cluster: Cluster | None = None
    load: LoadRun | None = None
    baseline: LoadFigures | None = None
    """What clients got just before the last fault; None where no load was running."""
    outcome: FaultOutcome | None = None
    """What came of the last heal."""
    started_here: bool = False
    """Whether nothing of the cluster ran before this session started it; then it is stopped at the end."""
    use: TextIO | None = None
    """Our share of a lock on a file while we watch the cluster; None also while another takes it down.

    Who started it takes it down at the end only if nobody else holds a share. The kernel gives a share back
    when its holder dies, however it dies.
    """
    consent: Callable[[str], Awaitable[bool]] | None = None
    """Asks the person a question that is answered by yes or no; None where there is nobody."""
    allow_quorum_loss: bool = False
    """Given on the command line; a model cannot set it."""

    def __post_init__(self) -> None:
        self.own_folder = str(self.state.root)

    def require_cluster(self) -> Cluster:
        """Return the cluster; NoCluster when there is none."""
        if self.cluster is None:
            raise NoCluster
        return self.cluster
