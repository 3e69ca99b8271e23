"""The diagnostician without a model: gathers the views, reads the table, cites what it saw.

It never reads the journal of faults, and it passes the same check as a model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from subjects.base import ObservedCluster
from tools.diagnosis.advice import actions, listed, would_change
from tools.diagnosis.base import Case
from tools.diagnosis.check import MIN_QUOTE_CHARS, check, folded, settle, sources
from tools.diagnosis.examination import Examination
from tools.diagnosis.gather import Gathered, Recorded, gather
from tools.diagnosis.schema import Alternative, Cited, Confidence, Diagnosis, Findings, Kind
from tools.diagnosis.table import BY_NAME, Row
from tools.diagnosis.verdict import Verdict, verdict
from tools.diagnosis.views import Seen, Views, views_of
from tools.observe.kinds import IN_LISTS, KINDS, meaning
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection

MAX_CITED = 8


class RulesDiagnostician:
    """The decision table, and the baseline that a model must beat."""

    @property
    def by(self) -> Literal["claude", "rules"]:
        """`rules`."""
        return "rules"

    async def diagnose(self, examination: Examination) -> Diagnosis:
        """Diagnose from what the examination has."""
        cluster = examination.require_cluster()
        return await self.examine(examination.case, cluster, lambda: examination.signals, examination.ledger)

    async def examine(
        self, case: Case, cluster: ObservedCluster, recorded: Recorded, ledger: Ledger
    ) -> Diagnosis:
        """Gather, decide, cite and check."""
        gathered = await gather(case, cluster, recorded, ledger)
        # A node that is no member any more is still what the incident is about.
        nodes = tuple(dict.fromkeys((*cluster.subject.nodes, *case.nodes)))
        findings = conclude(gathered, nodes, ledger, database=cluster.subject.name, detected=case.detection)
        problems = check(findings, ledger, nodes=nodes, opened_wall=case.opened_wall)
        return settle(findings, self.by, problems, ledger=ledger, opened_wall=case.opened_wall)


ONLY_CLIENTS_WAITED = "every node is healthy by all views, but clients waited far too long for a while"


def conclude(
    gathered: Gathered,
    nodes: Sequence[str],
    ledger: Ledger,
    *,
    database: str = "",
    detected: Detection | None = None,
) -> Findings:
    """Return what the table concludes from what was gathered, as findings that cite it.

    Nodes that failed in another way than the first are named apart, each with what to do about it.
    """
    quorum = gathered.snapshot.quorum if gathered.snapshot else None
    found = verdict(gathered.seen, nodes, database=database, quorum=quorum)
    if found.kind is Kind.NONE and gathered.clients_waited:
        found = replace(found, reason=ONLY_CLIENTS_WAITED, surest=Confidence.MEDIUM)
    cited = _distinct([each for each in found.seen if len(folded(each.signal.raw)) >= MIN_QUOTE_CHARS])
    failed = [(found.kind, found.nodes), *((kind, of) for kind, of, _ in found.beside)]
    called = [(kind, listed(of) or "the cluster") for kind, of in failed]
    steps = [*(found.actions or actions(*called[0], quorum, database))]
    steps += (step for kind, named in called[1:] for step in actions(kind, named, quorum, database))
    return Findings(
        observation=_observation(found),
        root_cause=_root_cause(found, called[0][1], gathered, detected),
        kind=found.kind,
        nodes=found.nodes,
        confidence=_confidence(found, cited, ledger),
        evidence=tuple(
            Cited(id=each.signal.evidence or "", quote=each.signal.raw, claim=_claim(each)) for each in cited
        ),
        alternatives=_alternatives(found, views_of(gathered.seen, nodes)),
        suggested_actions=tuple(dict.fromkeys(steps)),
        would_change=" ".join(would_change(kind, named) for kind, named in called),
    )


def _distinct(seen: Iterable[Seen]) -> list[Seen]:
    """Return at most MAX_CITED, none of which says of a node what another one said already."""
    first: dict[tuple[str | None, str], Seen] = {}
    for each in seen:
        first.setdefault((each.signal.node, each.word), each)
    known = {
        node for node, word in first if word in {"killed", "oom", "evicted", "blocked", "failed", "ended"}
    }
    # Who knows how a process ended need not say that it did.
    return [each for (node, word), each in first.items() if word != "exit" or node not in known][:MAX_CITED]


def _named(word: str) -> str:
    return IN_LISTS.get(word, meaning(word).phrase if word in KINDS else word)


def _claim(seen: Seen) -> str:
    return f"{seen.signal.node or 'the cluster'}: {_named(seen.word)}"


def _observation(found: Verdict) -> str:
    if found.kind is Kind.NONE:
        return "All nodes run, answer, and are connected to their peers; nothing unusual was recorded."
    by_node: dict[str, dict[str, None]] = {}
    for each in _distinct(seen for seen in found.seen if seen.abnormal):
        by_node.setdefault(each.signal.node or "The cluster", {})[_named(each.word)] = None
    sides = ". ".join(f"{node}, by source: {'; '.join(words)}" for node, words in by_node.items())
    return f"{sides}." if sides else "Little that tells was seen."


def _root_cause(found: Verdict, named: str, gathered: Gathered, detected: Detection | None) -> str:
    reason = found.reason.rstrip(".")
    each = ", each:" if len(found.nodes) > 1 and found.kind is not Kind.QUORUM_LOSS else ""
    if not found.nodes:
        text = f"{reason[0].upper()}{reason[1:]}"
    else:
        text = reason if found.reason_names_nodes else f"{named}{each} {reason}"
    again = detected.again if detected and found.nodes else None
    # The count is of what was detected last: it holds for no other node.
    if detected and again and (not detected.nodes or set(detected.nodes) & set(found.nodes)):
        loops = found.kind in {Kind.CRASH, Kind.RESTART, Kind.PLANNED_RESTART}
        called = ("a crash loop" if loops else "flapping") if again.is_loop else "not the first time"
        of = "" if detected.nodes in {(), found.nodes} else f" of {' and '.join(detected.nodes)}"
        text += f". This is {called}{of}: {again}"
    if found.row is not None and found.row.told_by and found.decisive and not found.reason_names_nodes:
        text += f": “{found.decisive[0].signal.raw}”"
    for _, others, why in found.beside:
        if why:
            text += f". Beside that, {listed(others)}{', each:' if len(others) > 1 else ''} {why.rstrip('.')}"
    moved = [each.signal for each in found.seen if each.word == "leader_changed"]
    if found.kind is Kind.LEADER_LOSS and moved:
        text += f": {moved[-1].raw.partition(': ')[2] or moved[-1].raw}"
    last = [
        each.signal
        for each in gathered.seen
        if each.word in {"log_failed", "log_last"} and each.signal.node in found.nodes
    ]
    looping = again is not None and again.is_loop
    if last and found.kind is Kind.CRASH and (looping or found.row is BY_NAME["gave up"]):
        text += f". Last words in its log: “{last[-1].raw}”"
    return f"{text}."


def _confidence(found: Verdict, cited: Sequence[Seen], ledger: Ledger) -> Confidence:
    if found.kind is Kind.UNKNOWN:
        return Confidence.LOW
    telling = [each.signal for each in cited if each.abnormal or each in found.decisive]
    count = sources(((each.evidence or "", each.raw) for each in telling), ledger)
    reached = Confidence.HIGH if count >= 2 else Confidence.MEDIUM
    return min(reached, found.surest, key=_RANK.index)


_RANK = [Confidence.LOW, Confidence.MEDIUM, Confidence.HIGH]


def _alternatives(found: Verdict, all_views: Sequence[Views]) -> tuple[Alternative, ...]:
    """Return what looks most like it, with what rules each out."""
    views = next((view for view in all_views if view.node in found.nodes), None)
    if found.row is None or views is None:
        return (_FAILED, _PLANNED) if found.kind is Kind.OVERLOAD and found.nodes else (_NO_NODE, _PLANNED)
    return tuple(_alternative(BY_NAME[name], views) for name in found.row.rivals)


_NO_NODE = Alternative(
    cause="one node that failed",
    ruled_out_by="That would require a node that stands out; no side showed one by itself.",
)
_FAILED = Alternative(
    cause="crash or pause of the node",
    ruled_out_by="That would require an end, a stop or silence; by all other views it is healthy.",
)
_PLANNED = Alternative(
    cause="a planned act",
    ruled_out_by="That would require a shutdown request or another version in a log; none was seen.",
)


def _alternative(rival: Row, views: Views) -> Alternative:
    cause = rival.kind.value.replace("_", " ")
    name = rival.name if cause == rival.name or rival.name in _PLAIN else f"{rival.name} ({cause})"
    return Alternative(cause=name, ruled_out_by=_against(rival, views))


_PLAIN = frozenset({"OOM-killed", "crash", "partition"})


def _against(rival: Row, views: Views) -> str:
    if rival.name == "OOM-killed" and not views.has(("not_oom",)):
        return "Not known: neither the kernel's log nor a control group's OOM counter could be read."
    if found := views.of(rival.unless):
        return f"Excluded by what was observed: “{_named(found[0].word)}”."
    for words in rival.when:
        if not views.has(words):
            wanted = " or ".join(dict.fromkeys(f"“{_named(word)}”" for word in words))
            side = meaning(words[0]).source
            seen = [each for each in views.seen if each.signal.source is side and each.word not in words]
            against = [each for each in seen if set(words) & set(meaning(each.word).clears)]
            sides = against or [each for each in seen if each.abnormal]
            observed = " and ".join(dict.fromkeys(f"“{_named(each.word)}”" for each in sides[:2]))
            return f"That would require {wanted}; observed: {observed or 'nothing of the kind'}."
    if rival.outside is not None and rival.outside is not views.outside:
        return "The process is seen from its own host, which tells more."
    return "It would fit as well, and explains less of what was observed."
