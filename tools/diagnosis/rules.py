"""The diagnostician without a model: gathers the views, reads the table, cites what it saw.

It never reads the journal of faults, and it passes the same check as a model.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from subjects.base import Cluster
from tools.detection.signals import Signal
from tools.diagnosis.advice import actions, would_change
from tools.diagnosis.base import Case
from tools.diagnosis.check import MIN_QUOTE_CHARS, check, folded, settle, witness
from tools.diagnosis.facts import Fact, Side, Views, views_of
from tools.diagnosis.schema import Alternative, Cited, Confidence, Diagnosis, Findings, Kind
from tools.diagnosis.table import TABLE, Row
from tools.diagnosis.verdict import Verdict, verdict
from tools.diagnosis.views import gather
from tools.observe.ledger import Ledger

if TYPE_CHECKING:
    from tools.workbench import Workbench

MAX_CITED = 8
ALTERNATIVES = 3


class RulesDiagnostician:
    """The decision table, and the baseline that a model must beat."""

    @property
    def by(self) -> Literal["claude", "rules"]:
        """`rules`."""
        return "rules"

    async def diagnose(self, case: Case, workbench: "Workbench") -> Diagnosis:
        """Diagnose with what a session has."""
        recorded = workbench.monitor.signals if workbench.monitor else ()
        return await self.examine(case, workbench.require_cluster(), recorded, workbench.ledger)

    async def examine(
        self, case: Case, cluster: Cluster, recorded: Iterable[Signal], ledger: Ledger
    ) -> Diagnosis:
        """Gather, decide, cite and check; for those who have no workbench, as `operator watch`."""
        facts = await gather(case, cluster, recorded, ledger)
        nodes = cluster.subject.nodes
        findings = conclude(facts, nodes, ledger)
        problems = check(findings, ledger, nodes=nodes, opened_wall=case.opened_wall)
        return settle(findings, self.by, problems, ledger=ledger, opened_wall=case.opened_wall)


def conclude(facts: Sequence[Fact], nodes: Sequence[str], ledger: Ledger) -> Findings:
    """Return what the table says of these facts, as findings that cite them."""
    all_views = views_of(facts, nodes)
    found = verdict(all_views)
    cited = [fact for fact in found.facts if len(folded(fact.quote)) >= MIN_QUOTE_CHARS][:MAX_CITED]
    named = " and ".join(found.nodes) or "the cluster"
    return Findings(
        observation=_observation(found, named),
        root_cause=f"{named} {found.reason}."
        if found.nodes
        else f"{found.reason[0].upper()}{found.reason[1:]}.",
        kind=found.kind,
        nodes=found.nodes,
        confidence=_confidence(found, cited, ledger),
        evidence=tuple(Cited(id=f.evidence, quote=f.quote, claim=_claim(f)) for f in cited),
        alternatives=_alternatives(found, all_views),
        suggested_actions=actions(found.kind, named),
        would_change=would_change(found.kind, named),
    )


_NAMES: Mapping[Side, str] = {
    "connection": "connection to clients",
    "control": "standing with the control plane",
    "cpu": "share of the processor",
    "host": "answer on its own host",
    "peers": "connection from its peers",
    "self": "answer for itself",
}
"""What a side is called in a sentence, where its name alone makes none."""


def _claim(fact: Fact) -> str:
    return f"{fact.side} of {fact.node or 'the cluster'}: {fact.word.replace('_', ' ')}"


def _observation(found: Verdict, named: str) -> str:
    if found.kind is Kind.NONE:
        return "All nodes run, answer, and hold their peers; nothing out of the ordinary was recorded."
    seen: dict[str, dict[str, None]] = {}
    for fact in [fact for fact in found.facts if fact.abnormal][:MAX_CITED]:
        words = f"{fact.side} {fact.word.replace('_', ' ')}"
        seen.setdefault(fact.node or "the cluster", {})[words] = None
    told = "; ".join(f"{who}: {', '.join(words)}" for who, words in seen.items())
    return f"By side, {told}." if told else f"Little that tells was seen of {named}."


def _confidence(found: Verdict, cited: Sequence[Fact], ledger: Ledger) -> Confidence:
    if found.kind is Kind.UNKNOWN:
        return Confidence.LOW
    telling = [fact for fact in cited if fact.abnormal or fact in found.decisive]
    items = ((ledger.get(fact.evidence), fact.quote) for fact in telling)
    sources = {name for item, quote in items if item is not None and (name := witness(item, quote))}
    return Confidence.HIGH if len(sources) >= 2 else Confidence.MEDIUM


def _alternatives(found: Verdict, all_views: Sequence[Views]) -> tuple[Alternative, ...]:
    """Return the rows that came nearest, one for each other kind, with what speaks against each."""
    views = next((v for v in all_views if v.node in found.nodes), all_views[0])
    kinds: dict[Kind, Row] = {}
    for row in sorted(TABLE, key=lambda row: -_met(row, views)):
        if row.kind not in {found.kind, Kind.UNKNOWN} and row is not found.row:
            kinds.setdefault(row.kind, row)
    return tuple(
        Alternative(cause=_called(kind, row), ruled_out_by=_against(row, views))
        for kind, row in list(kinds.items())[:ALTERNATIVES]
    )


def _called(kind: Kind, row: Row) -> str:
    name = kind.value.replace("_", " ")
    return name if row.name == name else f"{name} ({row.name})"


def _met(row: Row, views: Views) -> float:
    met = sum(bool(views.words(side) & set(words)) for side, words in row.when.items())
    return met / len(row.when)


def _against(row: Row, views: Views) -> str:
    for side, words in row.when.items():
        seen = views.words(side)
        if not seen & set(words):
            said = " and ".join(word.replace("_", " ") for word in sorted(seen - {"unknown"}))
            wanted = " or ".join(word.replace("_", " ") for word in words)
            found = f"it was seen {said}" if said else "nothing of that was seen"
            return f"{views.node}'s {_NAMES.get(side, side)} would have to be {wanted}; {found}."
    for side, words in row.unless.items():
        if told := views.words(side) & set(words):
            return f"{views.node}, {side}: {' and '.join(sorted(told))}, which excludes it."
    return "It fits as well, but what was found explains more."
