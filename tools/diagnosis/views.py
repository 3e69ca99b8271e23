"""Gathering: a fresh look, what the monitor recorded since the incident began, and the nodes' own logs.

A fault may be healed before anybody looks, so what was recorded counts as much as what is seen now.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence

from subjects.base import Cluster, ClusterSnapshot, LogLine
from subjects.errors import SubjectError
from tools.detection.lines import HEALTH
from tools.detection.signals import Signal, Source
from tools.diagnosis.base import Case
from tools.diagnosis.facts import SIDES, Fact, Side
from tools.diagnosis.looks import ended_word, facts_of
from tools.diagnosis.signatures import Signature, gives_reason, signatures_in
from tools.diagnosis.steady import steady_look
from tools.diagnosis.waits import facts_of_waits
from tools.observe.ledger import Ledger

LOOK_TIMEOUT_S = 12.0
LOG_LINES = 400
LOGS_BEFORE_S = 0.5
"""A node may write of its trouble before the monitor sees it."""
LOGS_BEFORE_RESTART_S = 15.0
"""That a node was restarted may be noticed only afterwards; a graceful stop takes up to 10 s before that."""
LOGS_BEFORE_DEAF_S = 5.0
"""That a port is deaf whose node runs may be noticed only by a look or two."""
_LOOKED_BACK_FOR = frozenset({("restart", "graceful"), ("process", "withdrawn")})
"""What is read in lines older than the incident; the rest that they tell is of an earlier one."""
LAST_LINES = 3
KEPT_LINES = 12
"""Telling lines that are kept of one node's log."""

_SIDES: dict[Source, Side] = {
    Source.PROCESS: "process",
    Source.CONNECTION: "connection",
    Source.SELF: "self",
    Source.PEERS: "peers",
    Source.CONTROL: "control",
    Source.CLIENT: "client",
}

_ANSWERS = frozenset({"silent", "unreachable"})

_WORDS: dict[str, tuple[Side, str]] = {
    "stopped": ("process", "paused"),
    "continued": ("process", "resumed"),
    "start": ("process", "running"),
    "unreachable": ("connection", "silent"),
    "untrusted": ("connection", "unknown"),
    "strange": ("self", "unhealthy"),
    "low_space": ("disk", "full"),
    "slow_disk": ("disk", "slow"),
    "restarted": ("restart", "restarted"),
    "peer_lost": ("peers", "lost_by_all"),
    "edge_lost": ("peers", "lost_by_some"),
    "lagging": ("control", "lagging"),
    "stalled": ("control", "lagging"),
    "unstable": ("control", "leader_changed"),
}
"""Kinds of signals (`tools.detection.policy` has them all) whose word here is not their own name."""


async def gather(case: Case, cluster: Cluster, recorded: Iterable[Signal], ledger: Ledger) -> list[Fact]:
    """Return everything that is known of the incident as facts, each with evidence in the ledger."""
    facts = _of_signals(_signals(case, recorded), ledger)
    facts += await _look(cluster, ledger, case)
    facts += await _of_logs(cluster, ledger, case.opened_wall, facts)
    alarmed = case.detection is not None or case.incident is not None
    return facts if alarmed else [fact for fact in facts if not _feigned(fact)]


def _feigned(fact: Fact) -> bool:
    """Whether a busy moment says the same of healthy nodes: it counts only where something was detected."""
    if fact.side == "disk" and fact.word == "slow":
        return not fact.now
    return not fact.firm and fact.word != "leader_changed"


def _signals(case: Case, recorded: Iterable[Signal]) -> list[Signal]:
    found = [*(case.detection.signals if case.detection else ()), *recorded]
    unique = {(s.source, s.kind, s.node, s.at): s for s in found if s.wall >= case.opened_wall}
    return sorted(unique.values(), key=lambda signal: signal.at)


def _of_signals(signals: Iterable[Signal], ledger: Ledger) -> list[Fact]:
    facts = []
    for signal in signals:
        evidence = ledger.get(signal.evidence) if signal.evidence else None
        if evidence is None:
            evidence = ledger.add(
                f"signal:{signal.source}", signal.raw, node=signal.node, at=signal.at, wall=signal.wall
            )
        side, word = _word(signal)
        facts.append(Fact(side, word, signal.node, evidence.id, evidence.text[:200], signal.wall))
    return facts


def _word(signal: Signal) -> tuple[Side, str]:
    side = _SIDES[signal.source]
    if signal.kind == "exit":
        return side, ended_word(signal.exit_code)
    if signal.kind == "alarm":
        return "disk", "full" if "NOSPACE" in signal.raw.upper() else "unknown"
    if signal.kind in _ANSWERS and signal.via == HEALTH:
        # What is missing there is its word on itself, for which etcd must ask a majority.
        return "self", "silent"
    if signal.kind in _WORDS:
        return _WORDS[signal.kind]
    return side, signal.kind if signal.kind in SIDES[side] else "unknown"


async def _look(cluster: Cluster, ledger: Ledger, case: Case) -> list[Fact]:
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            looked = await steady_look(cluster.subject, thorough=case.detection is not None)
    except (SubjectError, TimeoutError) as error:
        ledger.add(
            "view:connection", f"the look at the cluster failed: {error or 'no answer in time'}", ok=False
        )
        return []
    facts = facts_of(looked, ledger) + facts_of_waits(looked.waits, ledger)
    return facts + _restarts(looked.snapshot, ledger, case.opened_wall)


def _restarts(snapshot: ClusterSnapshot, ledger: Ledger, opened_wall: float) -> list[Fact]:
    """Return which nodes run only since the incident; all of them at once is a cluster that was started."""
    starts = [(node.name, node.started_at) for node in snapshot.nodes if node.started_at is not None]
    later = [(name, started) for name, started in starts if started > opened_wall]
    if len(later) == len(starts):
        return []
    facts = []
    for name, started in later:
        text = f"{name} runs since {started:.3f}, {started - opened_wall:.1f} s after the incident began"
        item = ledger.add("view:restart", text, node=name)
        facts.append(Fact("restart", "restarted", name, item.id, text, item.wall))
    return facts


async def _of_logs(cluster: Cluster, ledger: Ledger, opened_wall: float, known: Sequence[Fact]) -> list[Fact]:
    failed = {fact.node for fact in known if fact.side == "process" and fact.word == "failed"}
    # Whose end was seen has its reason after that; only a restart that was noticed late is looked back for.
    ended = {fact.node for fact in known if fact.side == "process" and fact.abnormal}
    restarted = {fact.node for fact in known if fact.side == "restart"} - ended
    deaf = {fact.node for fact in known if fact.side == "connection" and fact.word in {"refused", "reset"}}
    facts: list[Fact] = []
    for node in cluster.subject.nodes:
        before_s = LOGS_BEFORE_RESTART_S if node in restarted else LOGS_BEFORE_S
        if node in deaf - ended:
            before_s = max(before_s, LOGS_BEFORE_DEAF_S)
        since = opened_wall - before_s
        try:
            lines = await cluster.nodes.logs(node, since, LOG_LINES)
            if node in failed and not any(gives_reason(line.text) for line in lines):
                facts.append(_mute(node, await cluster.nodes.logs(node, None, LAST_LINES), ledger))
        except SubjectError:
            continue
        facts += _told(node, lines, ledger, opened_wall - LOGS_BEFORE_S)
    return facts


def _told(node: str, lines: Iterable[LogLine], ledger: Ledger, began: float) -> list[Fact]:
    """File a node's telling lines, and return what they say; of those older than `began` not all counts."""
    telling = [(line, found) for line in lines if (found := _telling(line, began))][-KEPT_LINES:]
    if not telling:
        return []
    item = ledger.add("read_logs", "\n".join(line.text for line, _ in telling), node=node)
    return [
        Fact(
            signature.side,
            signature.word,
            node,
            item.id,
            signature.excerpt(line.text),
            line.at or time.time(),
        )
        for line, found in telling
        for signature in found
    ]


def _telling(line: LogLine, began: float) -> tuple[Signature, ...]:
    found = signatures_in(line.text)
    if line.at is None or line.at >= began:
        return found
    return tuple(each for each in found if (each.side, each.word) in _LOOKED_BACK_FOR)


def _mute(node: str, last: Sequence[LogLine], ledger: Ledger) -> Fact:
    """File the end of a log that gives no reason for an exit that its process chose itself."""
    said = f"the log of {node} gives no reason for its exit"
    item = ledger.add(
        "read_logs", "\n".join([f"{said}; its last lines:", *(x.text for x in last)]), node=node
    )
    return Fact("disk", "mute", node, item.id, said, item.wall)
