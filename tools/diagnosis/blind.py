"""The diagnostician's own workbench: all that a stranger with read access could see, and no trace of more.

A session knows what it did: its calls are in the ledger, its faults in the journal, its links in the
runtime, its outcomes with the incidents. Nothing of that is filtered word by word here. The blind parts
are built anew and let through only what is on a short list of what was *observed*.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, cast

from subjects.base import Cluster
from tools.diagnosis.base import Case
from tools.diagnosis.check import check
from tools.diagnosis.schema import Findings
from tools.incidents.record import Incident
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Evidence, Ledger
from tools.observe.signal import Source
from tools.workbench import Workbench

if TYPE_CHECKING:
    from tools.faults.service import FaultService

OBSERVED = ("signal:",)
"""Sources of evidence that was observed, not done: the monitor's. The rest the diagnostician reads itself."""

SUBMISSIONS = 2
"""The first, and one repair."""


class BlindLedger(Ledger):
    """What was observed since the incident began, under ids of its own without gaps.

    A gap in the session's numbers would tell that something was done there, and when.
    """

    def __init__(self, session: Ledger, opened_wall: float) -> None:
        super().__init__(prefix="D")
        self._session = session
        self._opened_wall = opened_wall
        self._session_ids: dict[str, str] = {}

    def add(
        self,
        source: str,
        text: str,
        *,
        node: str | None = None,
        at: float | None = None,
        wall: float | None = None,
        ok: bool = True,
    ) -> Evidence:
        """Keep it here and in the session's ledger, so that the person can read what was cited."""
        self._catch_up()
        return self._mirror(self._session.add(source, text, node=node, at=at, wall=wall, ok=ok))

    def get(self, evidence_id: str) -> Evidence | None:
        """Return the evidence with that id, or None."""
        self._catch_up()
        return super().get(evidence_id)

    def since(self, wall: float) -> list[Evidence]:
        """Return what was seen at or after wall time `wall`, in order."""
        self._catch_up()
        return super().since(wall)

    def __iter__(self) -> Iterator[Evidence]:
        self._catch_up()
        return super().__iter__()

    @property
    def session_ids(self) -> Mapping[str, str]:
        """From the ids here to those of the session's ledger."""
        return self._session_ids

    def _catch_up(self) -> None:
        """Take over what the monitor has seen meanwhile."""
        known = set(self._session_ids.values())
        for item in self._session.since(self._opened_wall):
            if item.id not in known and item.source.startswith(OBSERVED):
                self._mirror(item)

    def _mirror(self, item: Evidence) -> Evidence:
        here = super().add(item.source, item.text, node=item.node, at=item.at, wall=item.wall, ok=item.ok)
        self._session_ids[here.id] = item.id
        return here


class ObservedIncidents(IncidentStore):
    """The incidents as the monitor saw them: nothing of what was done, found out or measured around them."""

    def __init__(self, store: IncidentStore) -> None:
        self._store = store  # its connection is used, none is opened: nothing here may write

    def get(self, incident: str) -> Incident:
        """Return what was observed of one incident."""
        return _observed(self._store.get(incident))

    def list(self, limit: int = 20) -> list[Incident]:
        """Return what was observed of the latest."""
        return [_observed(incident) for incident in self._store.list(limit)]


def _observed(incident: Incident) -> Incident:
    sources = {*Source} - {Source.DIAGNOSIS, Source.HEAL}
    return replace(
        incident,
        healed=None,
        heal_text="",
        diagnosis=None,
        figures={},
        # The ids are the session's own; the same signals are in the diagnostician's ledger.
        signals=tuple(replace(each, evidence=None) for each in incident.signals if each.source in sources),
    )


class NoFaults:
    """In the place of the journal of faults, which the diagnostician must not read."""


@dataclass(slots=True)
class BlindWorkbench(Workbench):
    """The workbench of one diagnosis."""

    case: Case = field(default_factory=lambda: Case(None, None, 0.0))
    findings: Findings | None = None
    problems: tuple[str, ...] = ()
    submissions: int = 0

    @classmethod
    def of(cls, workbench: Workbench, case: Case) -> Self:
        """Return the blind workbench for `case`, beside the session's."""
        cluster = workbench.require_cluster()
        return cls(
            state=workbench.state,
            emit=workbench.emit,
            ledger=BlindLedger(workbench.ledger, case.opened_wall),
            incidents=ObservedIncidents(workbench.incidents),
            faults=cast("FaultService", NoFaults()),
            diagnostician=workbench.diagnostician,
            choice=workbench.choice,
            cluster=Cluster("cluster", cluster.subject, cluster.nodes),
            monitor=workbench.monitor,
            load=workbench.load,
            case=case,
        )

    @property
    def may_repair(self) -> bool:
        """Whether a submission with problems may be repaired."""
        return self.submissions < SUBMISSIONS

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to submit."""
        return self.findings is not None and (not self.problems or not self.may_repair)

    def submit(self, findings: Findings) -> tuple[str, ...]:
        """Take a submission; return what is wrong with it. What comes after a settled one is ignored."""
        if self.settled:
            return self.problems
        self.submissions += 1
        self.findings = findings
        self.problems = check(
            findings,
            self.ledger,
            nodes=self.require_cluster().subject.nodes,
            opened_wall=self.case.opened_wall,
        )
        return self.problems
