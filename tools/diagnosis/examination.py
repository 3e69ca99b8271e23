"""What a diagnosis is given: all that a stranger with read access could see, and no trace of more.

A session knows what it did: its calls are in the ledger, its outcomes with the incidents, its links in the
control. Nothing of that is filtered word by word here. An `Examination` is made again of what was *observed*;
it is no workbench, so that nothing which acts or knows of a fault can be given to a diagnostician.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol, Self

from subjects.base import ObservedCluster
from tools.diagnosis.base import Case
from tools.diagnosis.check import check
from tools.diagnosis.schema import Diagnosis, Findings
from tools.events import Event
from tools.observe.incident import SeenIncident
from tools.observe.ledger import Evidence, Ledger
from tools.observe.observed import Observed, SeenIncidents
from tools.observe.signal import Signal, Source

PREFIX = "D"
"""Of evidence ids here, so that none is taken for one of the session."""

OBSERVED = ("signal:",)
"""Sources of evidence that was observed, not done: the monitor's. The rest the diagnostician reads itself."""

RAW_CHARS = 4_000
"""Of each piece of cited evidence, what is kept with the incident for its report."""

_DONE = {Source.DIAGNOSIS, Source.HEAL}
"""Sources in an incident's timeline that are no observation."""

SUBMISSIONS = 2
"""The first, and one repair."""

_ID = re.compile(rf"\b{PREFIX}\d+\b")


class ObservedLedger(Ledger):
    """What was observed since the incident began, under ids of its own without gaps.

    A gap in the session's numbers would tell that something was done there, and when.
    """

    def __init__(self, session: Ledger, opened_wall: float) -> None:
        super().__init__(prefix=PREFIX)
        self._session = session
        self._opened_wall = opened_wall
        self._session_ids: dict[str, str] = {}
        self._caught_up_to: str | None = None

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
        item = self._session.add(source, text, node=node, at=at, wall=wall, ok=ok)
        self._caught_up_to = item.id
        return self._mirror(item)

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

    def cited_here(self, signals: Iterable[Signal]) -> list[Signal]:
        """Return signals of the session with the ids that their evidence has here, if any."""
        self._catch_up()
        here = {theirs: ours for ours, theirs in self._session_ids.items()}
        return [replace(signal, evidence=here.get(signal.evidence or "")) for signal in signals]

    def _catch_up(self) -> None:
        """Take over what the monitor has seen meanwhile."""
        if self._session.latest == self._caught_up_to:
            return  # a look at each piece for each piece would hold up the detection of a large outage
        self._caught_up_to = self._session.latest
        known = set(self._session_ids.values())
        for item in self._session.since(self._opened_wall):
            if item.id not in known and item.source.startswith(OBSERVED):
                self._mirror(item)

    def _mirror(self, item: Evidence) -> Evidence:
        here = super().add(item.source, item.text, node=item.node, at=item.at, wall=item.wall, ok=item.ok)
        self._session_ids[here.id] = item.id
        return here


class _SeenIncidents:
    """The incidents as the monitor saw them: nothing of what was done, found out or measured around them."""

    def __init__(self, store: SeenIncidents) -> None:
        self._store = store

    def get(self, incident: str) -> SeenIncident:
        """Return what was seen of one incident."""
        return _seen(self._store.get(incident))

    def list(self, limit: int = 20) -> Sequence[SeenIncident]:
        """Return what was seen of the latest."""
        return [_seen(incident) for incident in self._store.list(limit)]


def _seen(incident: SeenIncident) -> SeenIncident:
    # The ids are the session's own; the same signals are in the diagnostician's ledger.
    signals = tuple(replace(each, evidence=None) for each in incident.signals if each.source not in _DONE)
    known: dict[str, Any] = {field.name: getattr(incident, field.name) for field in fields(SeenIncident)}
    return SeenIncident(**{**known, "signals": signals})


@dataclass(kw_only=True)
class Examination(Observed):
    """One diagnosis: what was observed of its case, and what was submitted."""

    ledger: ObservedLedger
    case: Case
    findings: Findings | None = None
    problems: tuple[str, ...] = ()
    submissions: int = 0

    @classmethod
    def of(cls, session: Observed, case: Case) -> Self:
        """Return the examination of `case`, beside what its session sees."""
        cluster = session.require_cluster()
        ledger = ObservedLedger(session.ledger, case.opened_wall)
        if case.detection is not None:
            signals = ledger.cited_here(case.detection.signals)
            case = replace(case, detection=replace(case.detection, signals=tuple(signals)))
        return cls(
            emit=_shows_nothing,
            ledger=ledger,
            incidents=_SeenIncidents(session.incidents),
            cluster=ObservedCluster("cluster", cluster.subject, cluster.nodes),
            monitor=session.monitor,
            load=session.load,
            own_folder=session.own_folder,
            case=case,
        )

    @property
    def signals(self) -> list[Signal]:
        """The monitor's signals, with the evidence ids of this examination."""
        return self.ledger.cited_here(self.monitor.signals if self.monitor else ())

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

    def in_session_ids(self, found: Diagnosis) -> Diagnosis:
        """Return the diagnosis with the evidence ids that the session knows."""
        ids = self.ledger.session_ids

        def renamed(value: Any) -> Any:
            match value:
                case str():
                    return _ID.sub(lambda match: ids.get(match[0], match[0]), value)
                case dict():
                    # A quotation is somebody else's words: nothing in it is one of our ids.
                    return {key: item if key == "quote" else renamed(item) for key, item in value.items()}
                case list() | tuple():
                    return [renamed(item) for item in value]
                case _:
                    return value

        return Diagnosis.model_validate(renamed(found.model_dump(mode="json")))


class Diagnostician(Protocol):
    """One who concludes what happened."""

    @property
    def by(self) -> Literal["claude", "rules"]:
        """Who it is, as the result says it."""
        ...

    async def diagnose(self, examination: Examination) -> Diagnosis:
        """Return a diagnosis that the check has passed or lowered; never raises for weak evidence.

        It cites the evidence ids of the examination.
        """
        ...


class DiagnosedIncidents(SeenIncidents, Protocol):
    """The incidents of a state folder, where a diagnosis is kept with its incident."""

    def diagnosis(self, incident: str) -> Mapping[str, Any] | None:
        """Return the diagnosis that is kept with an incident."""
        ...

    def keep_diagnosis(
        self, incident: str, diagnosis: Mapping[str, Any], evidence: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Store a diagnosis, and beside it the evidence that it cites, by id."""
        ...


@dataclass(kw_only=True)
class Diagnosing(Observed):
    """What a session has that asks for diagnoses."""

    incidents: DiagnosedIncidents
    diagnostician: Diagnostician

    async def diagnosed(self, case: Case) -> Diagnosis:
        """Let the diagnostician examine the case; return what it found, with the session's evidence ids."""
        examination = Examination.of(self, case)
        return examination.in_session_ids(await self.diagnostician.diagnose(examination))

    def keep(self, incident: str, found: Diagnosis) -> dict[str, Any]:
        """Store a diagnosis with its incident, and the raw evidence that it cites beside it.

        Returns it as a `result` has it, with `changed` where it concludes otherwise than the one before.
        """
        items = {cited.id: self.ledger.get(cited.id) for cited in found.evidence}
        raw = {
            cited: {
                "source": item.source,
                "node": item.node,
                "wall": item.wall,
                "text": item.text[:RAW_CHARS],
            }
            for cited, item in items.items()
            if item is not None
        }
        result = found.as_result()
        if news := changed(self.incidents.diagnosis(incident), found):
            result["changed"] = news
        self.incidents.keep_diagnosis(incident, result, raw)
        return result


def changed(before: Mapping[str, Any] | None, now: Diagnosis) -> str:
    """Return what a diagnosis concludes otherwise than the one before; empty if nothing."""
    if not before:
        return ""
    was = f"{before.get('kind')} of {', '.join(before.get('nodes') or ()) or 'no node'}"
    concludes = f"{now.kind} of {', '.join(now.nodes) or 'no node'}"
    if was == concludes and before.get("confidence") == now.confidence:
        return "" if before.get("root_cause") == now.root_cause else now.root_cause
    return f"was {was}, {before.get('confidence')}; is now {concludes}, {now.confidence}"


def _shows_nothing(_event: Event) -> None:
    """What tools report while they work is not shown: it would look like the session's own."""
