"""Gathering: a look of its own, what was recorded since the incident began, and the nodes' own logs.

A fault may be healed before anybody looks, so what was recorded counts as much as what is seen now.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from subjects import clock
from subjects.base import ClusterSnapshot, LogLine, ObservedCluster
from subjects.errors import SubjectError
from tools.diagnosis.base import Case
from tools.diagnosis.signatures import gives_reason, signatures_in
from tools.diagnosis.steady import signals_of, steady_look
from tools.diagnosis.views import Seen
from tools.observe.kinds import signal
from tools.observe.ledger import Ledger
from tools.observe.limits import limits_of
from tools.observe.signal import Signal, Source

LOOK_TIMEOUT_S = 12.0
LOGS_TIMEOUT_S = 4.0
"""For one node's log. A machine that hangs gives none, and the diagnosis must not wait for it."""
LOG_LINES = 400
LOGS_BEFORE_S = 0.5
"""A node may write of its trouble before the monitor sees it."""
LOGS_BEFORE_RESTART_S = 15.0
"""That a node was restarted may be noticed only afterwards; a graceful stop takes up to 10 s before that."""
LOGS_BEFORE_DEAF_S = 5.0
"""That a port is deaf whose node runs may be noticed only by a snapshot or two."""
LOOKED_BACK_FOR = frozenset({"log_shutdown", "log_server_paused"})
"""What is read in lines older than the incident; the rest that they tell is of an earlier one."""
LAST_LINES = 3
KEPT_LINES = 12
"""Telling lines that are kept of one node's log."""
QUOTE_CHARS = 200

ENDS = frozenset({"exit", "oom", "evicted"})

Recorded = Callable[[], Iterable[Signal]]
"""Returns the signals that the monitor has seen up to now."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that is known of an incident, each signal with its evidence in the ledger."""

    seen: tuple[Seen, ...]
    snapshot: ClusterSnapshot | None = None
    """The diagnosis' own; None where it failed."""
    clients_waited: bool = False
    """Whether clients waited far too long meanwhile, and nothing was detected."""


async def gather(case: Case, cluster: ObservedCluster, recorded: Recorded, ledger: Ledger) -> Gathered:
    """Return everything that is known of the incident, and what was recorded while the look went on."""
    waited = any(each.kind == "slow" for each in _since(case, recorded()))
    snapshot, fresh = await _look(case, cluster, ledger, thorough=waited or case.detection is not None)
    earlier = [_quoted(each, ledger) for each in _since(case, recorded())]
    ids = {node.member_id: node.name for node in snapshot.nodes if node.member_id} if snapshot else {}
    logs = await _logs(cluster, ledger, case.opened_wall, [*earlier, *fresh], ids)
    seen = [Seen(each, now=False) for each in (*earlier, *logs)] + [Seen(each, now=True) for each in fresh]
    alarmed = case.detection is not None or case.incident is not None
    if alarmed:
        return Gathered(tuple(seen), snapshot)
    kept = tuple(each for each in seen if not _feigned(each, clients_waited=waited))
    return Gathered(kept, snapshot, clients_waited=waited)


def _feigned(seen: Seen, *, clients_waited: bool) -> bool:
    """Whether a busy moment shows the same of healthy nodes: it counts only where something was detected."""
    if seen.word in {"log_slow_disk", "slow_disk"}:
        return not seen.now
    if seen.word == "starved":
        return not seen.now and not clients_waited
    return not seen.firm and seen.word not in {"leader_changed", "unstable"}


def _since(case: Case, recorded: Iterable[Signal]) -> list[Signal]:
    found = [*(case.detection.signals if case.detection else ()), *recorded]
    unique = {(s.key, s.at): s for s in found if s.wall >= case.opened_wall and s.kind != "recovered"}
    return sorted(unique.values(), key=lambda each: each.at)


def _quoted(recorded: Signal, ledger: Ledger) -> Signal:
    """Return a recorded signal with evidence that holds its words."""
    known = ledger.get(recorded.evidence) if recorded.evidence else None
    if known is None:
        known = ledger.add(
            f"signal:{recorded.source}",
            recorded.raw,
            node=recorded.node,
            at=recorded.at,
            wall=recorded.wall,
        )
    return replace(recorded, raw=known.text[:QUOTE_CHARS], evidence=known.id)


async def _look(
    case: Case, cluster: ObservedCluster, ledger: Ledger, *, thorough: bool
) -> tuple[ClusterSnapshot | None, list[Signal]]:
    limits = limits_of(cluster.subject.invariants)
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            looked = await steady_look(cluster.subject, thorough=thorough)
    except (SubjectError, TimeoutError) as error:
        text = f"the look at the cluster failed: {error or 'no answer in time'}"
        ledger.add("view:control", text, ok=False)
        return None, []
    seen = [*signals_of(looked, limits), *_restarts(looked.snapshot, case.opened_wall)]
    return looked.snapshot, filed(seen, ledger)


def filed(seen: Sequence[Signal], ledger: Ledger) -> list[Signal]:
    """File what one look showed, one piece of evidence for each side; return the signals that cite it."""
    done: list[Signal] = []
    for source in dict.fromkeys(each.source for each in seen):
        lines = [
            (each, f"{each.node or 'cluster'} {each.kind}: {' '.join(each.raw.split())}")
            for each in seen
            if each.source is source
        ]
        item = ledger.add(f"view:{source}", "\n".join(line for _, line in lines))
        texts = item.text.splitlines()
        done += [
            replace(each, raw=text[:QUOTE_CHARS], evidence=item.id, wall=item.wall)
            for (each, _), text in zip(lines, texts, strict=False)
        ]
    return done


def _restarts(snapshot: ClusterSnapshot, opened_wall: float) -> list[Signal]:
    """Return which nodes run only since the incident; all of them at once is a cluster that was started."""
    starts = [(node.name, node.started_at) for node in snapshot.nodes if node.started_at is not None]
    later = [(name, started) for name, started in starts if started > clock.latest(opened_wall)]
    if len(later) == len(starts) > 1:
        return []
    return [
        signal("restarted", name, f"runs since {started - opened_wall:.1f} s after the incident began")
        for name, started in later
    ]


async def _logs(
    cluster: ObservedCluster,
    ledger: Ledger,
    opened_wall: float,
    known: Sequence[Signal],
    ids: Mapping[str, str],
) -> list[Signal]:
    # Whose end was seen has its reason after that; only a restart that was noticed late is looked back for.
    ended = {each.node for each in known if each.kind in ENDS}
    restarted = {each.node for each in known if each.kind == "restarted"} - ended
    deaf = {each.node for each in known if each.kind in {"refused", "reset"}} - ended
    found: list[Signal] = []
    opened_wall = clock.earliest(opened_wall)
    nodes = cluster.subject.nodes

    async def read(node: str) -> tuple[list[LogLine], list[LogLine]]:
        before_s = LOGS_BEFORE_RESTART_S if node in restarted else LOGS_BEFORE_S
        since = opened_wall - max(before_s, LOGS_BEFORE_DEAF_S if node in deaf else 0.0)
        with suppress(SubjectError, TimeoutError):
            async with asyncio.timeout(LOGS_TIMEOUT_S):
                lines = await cluster.nodes.logs(node, since, LOG_LINES)
                last = await cluster.nodes.logs(node, None, LAST_LINES) if node in ended | restarted else []
                return lines, last
        return [], []

    for node, (lines, last) in zip(nodes, await asyncio.gather(*map(read, nodes)), strict=True):
        telling = _telling(node, lines, ledger, opened_wall - LOGS_BEFORE_S, ids)
        found += telling
        asked = any(each.kind == "log_shutdown" for each in telling)
        if last and not asked:
            found += _end_of(node, lines, last, ledger)
    return found


def _telling(
    node: str, lines: Iterable[LogLine], ledger: Ledger, began: float, ids: Mapping[str, str]
) -> list[Signal]:
    """File a node's telling lines, and return what they show; of those older than `began` not all counts.

    A line about another member, which it names by its id, is a signal of that one, by way of who wrote it.
    Of what is said of it again and again the last is kept.
    """
    found = [
        (line, signature)
        for line in lines
        for signature in signatures_in(line.text)
        if line.at is None or line.at >= began or signature.kind in LOOKED_BACK_FOR
    ]
    last = {(each.kind, peer): line for line, each in found if (peer := each.about(line.text))}
    telling = [
        (line, each)
        for line, each in found
        if not (peer := each.about(line.text)) or last[each.kind, peer] is line
    ][-KEPT_LINES:]
    if not telling:
        return []
    text = "\n".join(dict.fromkeys(line.text for line, _ in telling))
    item = ledger.add("read_logs", text, node=node)
    return [
        replace(
            signal(signature.kind, ids.get(peer, peer) if peer else node, signature.excerpt(line.text)),
            via=node if peer else "",
            evidence=item.id,
            wall=line.at or clock.wall(),
        )
        for line, signature in telling
        for peer in (signature.about(line.text),)
    ]


def _end_of(node: str, lines: Sequence[LogLine], last: Sequence[LogLine], ledger: Ledger) -> list[Signal]:
    """File how a node's log ends that ended without being asked to."""
    said = f"no shutdown request in the log of {node}"
    item = ledger.add(
        "read_logs", "\n".join([f"{said}; its last lines:", *(line.text for line in last)]), node=node
    )
    shown = [("log_no_shutdown", said), ("log_last", last[-1].text.strip()[-QUOTE_CHARS:])]
    if not any(gives_reason(line.text) for line in lines):
        shown.append(("log_no_reason", said))
    return [Signal(Source.LOG, kind, node, raw, wall=item.wall, evidence=item.id) for kind, raw in shown]
