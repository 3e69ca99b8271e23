"""From the views of all nodes to one verdict: which nodes, which kind, by which row of the table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from subjects.base import Quorum
from tools.diagnosis.advice import BEHIND_ONE_ADDRESS, LEADERLESS_REGIONS, NEVER_JOINED, OUR_OWN_WAY, listed
from tools.diagnosis.schema import Confidence, Kind
from tools.diagnosis.table import BY_NAME, Row, row_of, rows_of
from tools.diagnosis.views import Seen, Views, views_of

_WEIGHT = {
    Kind.CORRUPTION: 8,
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

_ALARMS = frozenset({Kind.CORRUPTION, Kind.SPACE_QUOTA})
"""What stops the writes of the whole cluster: it explains no node that died, and none explains it."""

BESIDE = 6
"""What weighs so much is told beside an alarm, and an alarm beside it."""

_SHARED = {"corrupt": "corrupt data", "no_space": "space quota"}
"""Alarms that are in force for the whole cluster, and their rows where nobody says whose they are."""

_SILENT = frozenset({"silent from outside", "unreachable from outside"})
"""Rows of silence: of all nodes at once it is rather our own way to them than the nodes."""

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
    beside: tuple[tuple[Kind, tuple[str, ...], str], ...] = ()
    """What is wrong as well: its kind, its nodes, and why, unless `reason` says that, too."""

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
    return _of_nodes([(each, row) for each in views], (), None, ())


def _verdict(seen: Sequence[Seen], nodes: Sequence[str], database: str, quorum: Quorum | None) -> Verdict:
    views = views_of(seen, nodes)
    shared = _shared(seen)
    placed = [(each, row) for each in views if (row := row_of(each, database)) is not None]
    if not placed:
        return _of_cluster(views, shared, seen, quorum)
    # What lasts, or the kernel reported, outweighs what was seen of other nodes in passing.
    firm = [(each, row) for each, row in placed if row.firm(each)]
    if not firm and any(each.word == "unstable" for each in shared):
        return _of_cluster(views, shared, seen, quorum)  # a moment without a leader passes over every node
    placed = firm or placed
    grave = [(each, row) for each in views for row in _grave_rows(each, database)]
    if any(each.word == "quorum_lost" for each in shared):  # that is worse than any alarm
        fatal = [(each, row) for each, row in grave if row.kind not in _ALARMS]
        placed = fatal or placed
    weight = max(_weight(row) for _, row in placed)
    causes = [(each, row) for each, row in placed if _weight(row) == weight]
    found = _of_nodes(_narrowed(causes), shared, quorum, _waiting(seen))
    return replace(found, beside=(*found.beside, *_beside_alarms([row for _, row in causes], grave)))


def _grave_rows(views: Views, database: str) -> Iterator[Row]:
    """Yield the alarms that a node has, and the first other row that explains its failure."""
    other = False
    for row in rows_of(views, database):
        alarm = row.kind in _ALARMS
        if _weight(row) >= BESIDE and row.firm(views) and (alarm or not other):
            other = other or not alarm
            yield row


def _beside_alarms(
    causes: Sequence[Row], grave: Sequence[tuple[Views, Row]]
) -> tuple[tuple[Kind, tuple[str, ...], str], ...]:
    """Return what else is wrong, where an alarm is the cause or comes beside it."""
    alarm = causes[0].kind in _ALARMS
    left = [(views, row) for views, row in grave if row not in causes and (alarm or row.kind in _ALARMS)]
    return tuple(
        (row.kind, tuple(views.node for views, each in left if each is row), row.reason)
        for row in dict.fromkeys(row for _, row in left)
    )


def _waiting(seen: Sequence[Seen]) -> tuple[str, ...]:
    """Return the voters that were added and have never joined."""
    found = (each.signal.node for each in seen if each.word == "never_started" and each.now)
    return tuple(dict.fromkeys(node for node in found if node is not None))


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
    causes: Sequence[tuple[Views, Row]],
    shared: tuple[Seen, ...],
    quorum: Quorum | None,
    waiting: tuple[str, ...],
) -> Verdict:
    shrunk = quorum is not None and quorum.held and any(views.has(("member_removed",)) for views, _ in causes)
    by_kind: dict[Kind, list[str]] = {}
    by_reason: dict[str, list[str]] = {}
    for views, row in sorted(causes, key=lambda cause: _gravity(cause[1].kind, shrunk=shrunk)):
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
    # One alone took no majority that is there without it: the loss passed, or was another's (TiKV's PDs).
    could = voters > 1 and not (quorum and quorum.held)
    took_majority = not alone or (could and kind in {Kind.CRASH, Kind.PAUSE, Kind.RESTART})
    if lost is not None and took_majority and not shrunk and kind not in _SPREADING | _ALARMS:
        left = voters - len(nodes)
        short = alone and voters > 2  # of the others somebody was missing before
        kept = (
            f"with it the majority of the {voters} voters is gone"
            if short
            else f"the {left} of {voters} voters left {'is' if left == 1 else 'are'} no majority"
        )
        how = "; ".join(f"{listed(of)}: {each}" for each, of in by_kind.items()) if others else kind
        reason = f"{row.reason.rstrip('.')}; {kept}" if alone else f"are lost ({how}); {kept}"
        if absent := [node for node in waiting if node not in nodes]:
            reason += f", as {_never_joined(absent)}"
        decisive.append(lost)
        return Verdict(Kind.QUORUM_LOSS, nodes, reason, _once(decisive), agreeing, row, _least(causes))
    if not alone and voters <= len(nodes) and (way := _our_way_to_all(causes, decisive)) is not None:
        reason, steps = way
        found = _once(decisive)
        surest = Confidence.LOW
        return Verdict(
            Kind.PARTITION, nodes, reason, found, agreeing, row, surest, steps, reason_names_nodes=True
        )
    # What spreads from one node shows on several: which one it is cannot be told.
    surest = Confidence.LOW if not alone and kind in _SPREADING else _least(causes)
    told = [f"{listed(of)}{', each:' if len(of) > 1 else ''} {reason}" for reason, of in by_reason.items()]
    return Verdict(
        kind,
        tuple(by_kind[kind]),
        row.reason if len(told) == 1 else "; ".join(told),
        _once(decisive),
        agreeing,
        row,
        surest,
        reason_names_nodes=len(told) > 1,
        beside=tuple((each, tuple(by_kind[each]), "") for each in others),
    )


def _our_way_to_all(
    causes: Sequence[tuple[Views, Row]], decisive: Sequence[Seen]
) -> tuple[str, tuple[str, ...]] | None:
    """Return what is said, and what to do, where all members are out of reach alike; else None."""
    if all(row is BY_NAME["unreached"] for _, row in causes):
        said = decisive[0].signal.raw.partition(": ")[2]
        return (
            f"nobody answers at the one address that leads to all members{f' ({said})' if said else ''}: "
            "what stands there (a load balancer, a proxy) or the way to it has failed, or all members have; "
            "from outside these cannot be told apart",
            BEHIND_ONE_ADDRESS,
        )
    if all(row.name in _SILENT for _, row in causes):
        return (
            "all members fell silent at once: most likely the way from here to them is cut or this machine "
            "stood still; that all of them froze or were cut off together looks the same from outside",
            OUR_OWN_WAY,
        )
    return None


def _gravity(kind: Kind, *, shrunk: bool) -> int:
    """Return which kind comes first, the lowest. A majority once lost is none of those left as members."""
    if shrunk and kind is Kind.MEMBERSHIP:
        return -1
    return _GRAVEST_FIRST.index(kind) if kind in _GRAVEST_FIRST else len(_GRAVEST_FIRST)


def _least(causes: Sequence[tuple[Views, Row]]) -> Confidence:
    """How sure the least sure of them is."""
    return min((row.surest_of(views) for views, row in causes), key=[*Confidence][::-1].index)


def _never_joined(nodes: Sequence[str]) -> str:
    return f"{listed(nodes)} {'was' if len(nodes) == 1 else 'were'} added and never joined"


def _of_cluster(
    views: Sequence[Views], shared: tuple[Seen, ...], seen: Sequence[Seen], quorum: Quorum | None
) -> Verdict:
    """Judge where no single node stands out."""
    words = {each.word for each in shared}
    for word, name in _SHARED.items():
        if word in words:
            row = BY_NAME[name]
            reason = f"a member {row.reason}"
            return Verdict(row.kind, (), reason, shared, row=row)
    if "quorum_lost" in words and (waiting := _waiting(seen)):
        they = "it counts as a voter" if len(waiting) == 1 else "they count as voters"
        few = f"{quorum.up} of {quorum.voters} voters up, {quorum.needed} needed" if quorum else "too few up"
        reason = f"{_never_joined(waiting)}: {they}, and that makes {few}"
        found = [*(each for each in seen if each.word == "never_started"), *shared]
        return Verdict(
            Kind.QUORUM_LOSS,
            waiting,
            reason,
            _once(found),
            actions=tuple(step.format(nodes=listed(waiting)) for step in NEVER_JOINED),
            reason_names_nodes=True,
        )
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
