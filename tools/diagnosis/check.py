"""The check that no diagnosis escapes: what it cites must exist, and say so, and be of this incident."""

import re
from collections.abc import Iterable, Sequence

from tools.diagnosis.schema import Cited, Confidence, Diagnosis, Findings, Kind
from tools.observe.ledger import Evidence, Ledger
from tools.observe.signal import Source

MIN_QUOTE_CHARS = 8
"""A shorter quotation occurs by chance and proves nothing."""

BEFORE_S = 0.1
"""How much older than the incident a reading may be, in seconds: the two times come from two clocks,
and an incident begins with its first signal."""

NODES_OPTIONAL = frozenset(
    {
        Kind.NONE,
        Kind.UNKNOWN,
        Kind.OVERLOAD,
        Kind.SPACE_QUOTA,
        Kind.CORRUPTION,
        Kind.QUORUM_LOSS,
        Kind.LEADER_LOSS,
    }
)
"""Kinds whose cause need not lie in a node."""

_SPACE = re.compile(r"\s+")
_ESCAPED = re.compile(r'\\+"')

# One look at everything quotes many witnesses: the fields of `cluster_status` around a quotation tell whose.
_WITNESS_FIELDS = (
    ("process", ('"process"', "exit_code", " process ", "killed by")),
    ("peers", ("peers_connected_to_it", "no connection to it from")),
    ("connection", ("clients_reach_it", "clients get no answer")),
    ("self", ("says_of_itself", "health_port", "does not say that it is healthy")),
    ("control", ("control_plane_says", "heartbeat_age_s", "leader", "term", "quorum", "raft_index", "lag")),
)


def folded(text: str) -> str:
    """Return `text` with runs of white space as one space, and quotation marks out of JSON's escapes."""
    return _ESCAPED.sub('"', _SPACE.sub(" ", text)).strip()


def occurs(quote: str, text: str) -> bool:
    """Whether `quote` stands in `text` verbatim, but for white space."""
    return folded(quote) in folded(text)


def witness(evidence: Evidence, quote: str) -> str:
    """Return whose word a quotation is: two words of one witness are one source, not two.

    What a node says of itself, writes in its log or shows in its metrics is all its own word.
    """
    area, _, detail = evidence.source.partition(":")
    if area in {"read_logs", "read_metrics"} or detail in {Source.SELF, Source.LOG}:
        # What one look at all nodes showed has a line for each, which begins with the node's name.
        node = evidence.node or (folded(quote).partition(" ")[0] if area == "view" else "")
        return f"self of {node}" if node else "self"
    if area in {"signal", "view"}:
        return detail
    if area == "load_status":
        return "client"
    if area == "cluster_status":
        words = folded(quote)
        return next((name for name, marks in _WITNESS_FIELDS if any(m in words for m in marks)), "look")
    return ""


def check(findings: Findings, ledger: Ledger, *, nodes: Sequence[str], opened_wall: float) -> tuple[str, ...]:
    """Return what is wrong with `findings`, a sentence each; nothing when they hold.

    `opened_wall` is when the incident was opened, in seconds since the epoch.
    """
    checked = [(each, _citation_problem(each, ledger, opened_wall)) for each in findings.evidence]
    problems = [problem for _, problem in checked if problem is not None]
    problems += [
        f"{node!r} is not a node of this cluster; its nodes are {', '.join(nodes)}."
        for node in findings.nodes
        if node not in nodes
    ]
    if not findings.nodes and findings.kind not in NODES_OPTIONAL:
        problems.append(f"A {findings.kind} happens to a node: name it in nodes.")
    if findings.nodes and findings.kind is Kind.NONE:
        problems.append("Kind none says that nothing is wrong, yet nodes are named.")
    if not findings.evidence:
        problems.append("Nothing is cited: every conclusion needs evidence.")
    count = sources(((each.id, each.quote) for each, problem in checked if problem is None), ledger)
    if findings.confidence is Confidence.HIGH and count < 2:
        problems.append(
            f"Confidence high needs two independent sources; what is cited and holds comes from {count}."
        )
    return tuple(problems)


def settle(
    findings: Findings, by: str, problems: Sequence[str], *, ledger: Ledger, opened_wall: float
) -> Diagnosis:
    """Return the diagnosis as it will be shown.

    With problems the confidence is lowered, citations that do not hold are left out, and it says so.
    """
    kept = [c for c in findings.evidence if _citation_problem(c, ledger, opened_wall) is None]
    confidence = findings.confidence
    if problems:
        confidence = confidence.lowered if kept else Confidence.LOW
    return Diagnosis.model_validate(
        {
            **findings.model_dump(include=set(Findings.model_fields)),
            "by": by,
            "confidence": confidence,
            "evidence": kept,
            "verified": not problems,
            "problems": tuple(problems),
        }
    )


def _citation_problem(cited: Cited, ledger: Ledger, opened_wall: float) -> str | None:
    evidence = ledger.get(cited.id)
    if evidence is None:
        return f"There is no evidence {cited.id!r}."
    if len(folded(cited.quote)) < MIN_QUOTE_CHARS:
        return (
            f"{cited.quote!r} is too short a quotation of {cited.id}: {MIN_QUOTE_CHARS} characters at least."
        )
    if not occurs(cited.quote, evidence.text):
        return f"The quotation {cited.quote!r} does not occur in {cited.id}."
    if evidence.wall < opened_wall - BEFORE_S:
        return f"{cited.id} is {opened_wall - evidence.wall:.1f} s older than the incident."
    return None


def sources(quoted: Iterable[tuple[str, str]], ledger: Ledger) -> int:
    """Return how many independent witnesses there are to quotations, each with the id of its evidence."""
    items = ((ledger.get(name), quote) for name, quote in quoted)
    names = {name for item, quote in items if item is not None and (name := witness(item, quote))}
    # Where it is not known whose own word it is, it may be that of a node that is counted already.
    return len(names - {"self"} if any(name.startswith("self of ") for name in names) else names)
