"""From the views of all nodes to one verdict: which nodes, which kind, by which row of the table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from subjects.base import Quorum
from tools.diagnosis.advice import LEADERLESS_REGIONS
from tools.diagnosis.schema import Confidence, Kind
from tools.diagnosis.table import BY_NAME, Row, row_of
from tools.diagnosis.views import Seen, Views, views_of

_WEIGHT = {
    Kind.CORRUPTION: 7,
    Kind.SPACE_QUOTA: 7,
    Kind.DISK_FULL: 6,
    Kind.CRASH: 6,
    Kind.PLANNED_RESTART: 6,
    Kind.RESTART: 6,
    Kind.MEMBERSHIP: 6,
    Kind.PAUSE: 6,
    Kind.CERTIFICATE: 5,
    Kind.DEFRAGMENTATION: 5,
    Kind.PARTITION: 4,
    Kind.SLOW_DISK: 3,
    Kind.NETWORK_DELAY: 3,
    Kind.OVERLOAD: 2,
    Kind.UNKNOWN: 1,
    Kind.CLOCK_DRIFT: 0,
}
"""Which is the cause when several nodes fit a row: a node that misses a dead peer is no second cause."""

_GRAVEST_FIRST = (
    *(Kind.CORRUPTION, Kind.SPACE_QUOTA, Kind.DISK_FULL, Kind.CRASH, Kind.PAUSE, Kind.RESTART),
    *(Kind.CERTIFICATE, Kind.SLOW_DISK, Kind.NETWORK_DELAY, Kind.OVERLOAD),
)
"""Of nodes that failed in different ways, those that come first name the kind; what is planned comes last."""

DRIFT = "log_clock_drift"

_SPREADING = frozenset({Kind.NETWORK_DELAY, Kind.SLOW_DISK, Kind.OVERLOAD, Kind.CLOCK_DRIFT})
"""What a leader has, all who depend on it seem to have, too."""

_SHARED = {"corrupt": "corrupt data", "no_space": "space quota"}
"""Alarms that are in force for the whole cluster, and their rows where nobody says whose they are."""

_CLIENTS = frozenset({"slow", "stall", "errors"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the table concludes of the whole cluster."""

    kind: Kind
    nodes: tuple[str, ...]
    """Those that `kind` is true of."""
    reason: str
    decisive: tuple[Seen, ...]
    """What made the rows fit."""
    agreeing: tuple[Seen, ...] = ()
    """What else supports it."""
    row: Row | None = None
    surest: Confidence = Confidence.HIGH
    actions: tuple[str, ...] = ()
    """What to do, where that is not what its kind asks for."""
    reason_names_nodes: bool = False
    """Whether `reason` says of which node each part of it is."""
    beside: tuple[tuple[Kind, tuple[str, ...]], ...] = ()
    """Other kinds of failure in the same incident, with their nodes."""

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Both, each once, the decisive first."""
        return _once([*self.decisive, *self.agreeing])


def verdict(
    seen: Sequence[Seen], nodes: Sequence[str], *, database: str = "", quorum: Quorum | None = None
) -> Verdict:
    """Hold every node against the table, and the outcome against what concerns the whole cluster."""
    drift = [each for each in seen if each.word == DRIFT]
    found = _verdict([each for each in seen if each.word != DRIFT], nodes, database, quorum)
    if found.kind is not Kind.NONE:
        return found  # a clock that is off explains no other trouble
    return _drifting(drift, nodes) or found


def _drifting(drift: Sequence[Seen], nodes: Sequence[str]) -> Verdict | None:
    """Blame the member that most warnings involve, whether it wrote them or is named in them.

    etcd warns only of a peer that is behind: of a member that is ahead, its own log alone tells, by naming
    every other one.
    """
    pairs = {(each.signal.via, each.signal.node) for each in drift if each.signal.node in nodes}
    named = {name for _, name in pairs}
    count = {node: sum(node in pair for pair in pairs) for node in nodes}
    most = max(count.values(), default=0)
    if not most:
        return None
    blamed = [node for node in nodes if count[node] == most]
    if len(nodes) > 2:  # somebody ahead would have named more than one
        blamed = [node for node in blamed if node in named] or blamed
    row = BY_NAME["clock drift"]
    views = [Views(each, tuple(s for s in drift if each in (s.signal.node, s.signal.via))) for each in blamed]
    return _of_nodes([(each, row) for each in views], (), None)


def _verdict(seen: Sequence[Seen], nodes: Sequence[str], database: str, quorum: Quorum | None) -> Verdict:
    views = views_of(seen, nodes)
    shared = _shared(seen)
    placed = [(each, row) for each in views if (row := row_of(each, database)) is not None]
    if not placed:
        return _of_cluster(views, shared, seen)
    # What lasts, or the kernel reported, outweighs what was seen of other nodes in passing.
    firm = [(each, row) for each, row in placed if row.firm(each)]
    if not firm and any(each.word == "unstable" for each in shared):
        return _of_cluster(views, shared, seen)  # a moment without a leader passes over every node
    placed = firm or placed
    weight = max(_weight(row) for _, row in placed)
    causes = [(each, row) for each, row in placed if _weight(row) == weight]
    return _of_nodes(_narrowed(causes), shared, quorum)


def _weight(row: Row) -> int:
    return _WEIGHT[row.kind] if row.weight is None else row.weight


def _narrowed(causes: list[tuple[Views, Row]]) -> list[tuple[Views, Row]]:
    """Of what spreads blame the node that shows it by itself, else the leader, on whom all depend."""
    if len(causes) < 2 or not all(row.kind in _SPREADING for _, row in causes):
        return causes
    direct = [(views, row) for views, row in causes if views.has(("slow_port", "late_port"))]
    if direct:
        return direct
    leading = [(views, row) for views, row in causes if views.has(("leads",))]
    return leading or causes


def _of_nodes(
    causes: Sequence[tuple[Views, Row]], shared: tuple[Seen, ...], quorum: Quorum | None
) -> Verdict:
    by_kind: dict[Kind, list[str]] = {}
    by_reason: dict[str, list[str]] = {}
    for views, row in sorted(causes, key=lambda cause: _gravity(cause[1].kind)):
        by_kind.setdefault(row.kind, []).append(views.node)
        by_reason.setdefault(row.reason.rstrip("."), []).append(views.node)
    kind, *others = by_kind
    nodes = tuple(views.node for views, _ in causes)
    row = next(row for _, row in causes if row.kind is kind)
    alone = len(nodes) == 1
    lost = next((seen for seen in shared if seen.word == "quorum_lost"), None)
    decisive = [seen for views, each in causes for seen in each.matched(views)]
    agreeing = _once([*shared, *(seen for views, _ in causes for seen in views.abnormal)])
    voters = quorum.voters if quorum else len(nodes) + 1
    took_majority = not alone or (voters > 1 and kind in {Kind.CRASH, Kind.PAUSE, Kind.RESTART})
    if lost is not None and took_majority and kind not in _SPREADING:
        left = voters - len(nodes)
        short = alone and voters > 2  # of the others somebody was missing before
        kept = (
            f"with it the majority of the {voters} voters is gone"
            if short
            else f"the {left} of {voters} voters left {'is' if left == 1 else 'are'} no majority"
        )
        how = "; ".join(f"{' and '.join(of)}: {each}" for each, of in by_kind.items()) if others else kind
        reason = f"{row.reason.rstrip('.')}; {kept}" if alone else f"are lost ({how}); {kept}"
        decisive.append(lost)
        return Verdict(Kind.QUORUM_LOSS, nodes, reason, _once(decisive), agreeing, row, _least(causes))
    # What spreads from one node shows on several: which one it is cannot be told.
    surest = Confidence.LOW if not alone and kind in _SPREADING else _least(causes)
    told = [
        f"{' and '.join(of)}{', each:' if len(of) > 1 else ''} {reason}" for reason, of in by_reason.items()
    ]
    return Verdict(
        kind,
        tuple(by_kind[kind]),
        row.reason if len(told) == 1 else "; ".join(told),
        _once(decisive),
        agreeing,
        row,
        surest,
        reason_names_nodes=len(told) > 1,
        beside=tuple((each, tuple(by_kind[each])) for each in others),
    )


def _gravity(kind: Kind) -> int:
    return _GRAVEST_FIRST.index(kind) if kind in _GRAVEST_FIRST else len(_GRAVEST_FIRST)


def _least(causes: Sequence[tuple[Views, Row]]) -> Confidence:
    """How sure the least sure of them is."""
    return min((row.surest for _, row in causes), key=[*Confidence][::-1].index)


def _of_cluster(views: Sequence[Views], shared: tuple[Seen, ...], seen: Sequence[Seen]) -> Verdict:
    """Judge where no single node stands out."""
    words = {each.word for each in shared}
    for word, name in _SHARED.items():
        if word in words:
            row = BY_NAME[name]
            reason = f"a member {row.reason}"
            return Verdict(row.kind, (), reason, shared, row=row)
    if "quorum_lost" in words:
        reason = "the majority is gone, and no node shows why"
        return Verdict(Kind.QUORUM_LOSS, (), reason, shared, surest=Confidence.MEDIUM)
    if "regions_leaderless" in words:
        reason = "regions have no leader, so that their keys can't be read or written, and no store shows why"
        surest = Confidence.MEDIUM
        return Verdict(Kind.LEADER_LOSS, (), reason, shared, surest=surest, actions=LEADERLESS_REGIONS)
    moved = [each for each in seen if each.word == "leader_changed"]
    if moved or words & {"no_leader", "unstable"}:
        return _leadership(moved, shared)
    if words & _CLIENTS:
        return _clients_only(views, shared)
    odd = [each for view in views for each in view.abnormal]
    if odd or shared:
        return Verdict(Kind.UNKNOWN, (), "symptoms match no known failure", _once([*odd, *shared]))
    reason = "every node is healthy by all views, and nothing was recorded"
    return Verdict(Kind.NONE, (), reason, _healthy(seen))


def _clients_only(views: Sequence[Views], shared: tuple[Seen, ...]) -> Verdict:
    """Judge what only clients notice; if they fail at one node alone it is that one."""
    at = {view.node: view.of(("failed_here",)) for view in views if view.has(("failed_here",))}
    nodes = tuple(at) if len(at) == 1 else ()
    where = "is where clients wait or fail," if nodes else "clients wait or fail"
    reason = (
        f"{where} while every node is healthy by all views: more load than it takes, or a "
        "slow way to it; no node was seen short of CPU, and nothing tells the two apart"
    )
    found = _once([*shared, *(seen for node in nodes for seen in at[node][:1])])
    return Verdict(Kind.OVERLOAD, nodes, reason, found, surest=Confidence.LOW)


def _leadership(moved: Sequence[Seen], shared: tuple[Seen, ...]) -> Verdict:
    """Judge a leader that went while process, disk and peers of all nodes are fine."""
    former = tuple(dict.fromkeys(each.signal.node for each in moved if each.signal.node))
    if not moved:
        reason = "there is no leader, and no node shows why"
    elif len(moved) == 1:
        reason = "lost or handed over leadership while its process, disk and peers are fine"
    else:
        reason = f"lost or handed over leadership, {len(moved)} times in all; no node shows why"
    surest = Confidence.MEDIUM
    return Verdict(Kind.LEADER_LOSS, former, reason, _once([*moved, *shared]), surest=surest)


def _shared(seen: Iterable[Seen]) -> tuple[Seen, ...]:
    """Return what is abnormal and concerns the whole cluster, once, earliest first."""
    found = [each for each in seen if each.signal.node is None and each.abnormal]
    return _once(sorted(found, key=lambda each: each.signal.wall))


def _healthy(seen: Sequence[Seen]) -> tuple[Seen, ...]:
    """Return, of each side, one signal that all is clear."""
    words = ("running", "healthy", "connected", "led")
    found = {each.signal.source: each for each in seen if each.word in words}
    return tuple(found.values())


def _once(seen: Iterable[Seen]) -> tuple[Seen, ...]:
    return tuple(dict.fromkeys(seen))
