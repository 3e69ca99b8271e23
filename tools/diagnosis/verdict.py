"""From the views of all nodes to one verdict: which nodes, which kind, by which row of the table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tools.diagnosis.facts import Fact, Views
from tools.diagnosis.schema import Kind
from tools.diagnosis.table import Row, row_of

_WEIGHT = {
    Kind.DISK_FULL: 6,
    Kind.CRASH: 6,
    Kind.PLANNED_RESTART: 6,
    Kind.PAUSE: 6,
    Kind.PARTITION: 4,
    Kind.SLOW_DISK: 3,
    Kind.NETWORK_DELAY: 3,
    Kind.OVERLOAD: 2,
    Kind.UNKNOWN: 1,
}
"""Which is the cause when several nodes fit a row: a node that misses a dead peer is no second cause."""

_SPREADING = frozenset({Kind.NETWORK_DELAY, Kind.SLOW_DISK, Kind.OVERLOAD})
"""What a leader has, all who depend on it seem to have, too."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the table says of the whole cluster."""

    kind: Kind
    nodes: tuple[str, ...]
    reason: str
    decisive: tuple[Fact, ...]
    """What made the rows fit."""
    agreeing: tuple[Fact, ...] = ()
    """What else speaks for it."""
    row: Row | None = None

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Both, each once, the decisive first."""
        return _once([*self.decisive, *self.agreeing])


def verdict(all_views: Sequence[Views]) -> Verdict:
    """Hold every node against the table, and the outcome against what concerns the whole cluster."""
    placed = [(views, row) for views in all_views if (row := row_of(views)) is not None]
    if not placed:
        return _of_cluster(all_views)
    # What lasts, or was the kernel's word, outweighs what was seen of other nodes in passing.
    placed = [(views, row) for views, row in placed if row.firm(views)] or placed
    weight = max(_weight(row) for _, row in placed)
    causes = [(views, row) for views, row in placed if _weight(row) == weight]
    return _of_nodes(_narrowed(causes), _shared(all_views))


def _weight(row: Row) -> int:
    return _WEIGHT[row.kind] if row.weight is None else row.weight


def _narrowed(causes: list[tuple[Views, Row]]) -> list[tuple[Views, Row]]:
    """Of what spreads blame the node that shows it by itself, else the leader, on whom all depend."""
    if len(causes) < 2 or not all(row.kind in _SPREADING for _, row in causes):
        return causes
    direct = [(views, row) for views, row in causes if "slow" in views.words("connection")]
    if direct:
        return direct
    leading = [(views, row) for views, row in causes if "leads" in views.words("control")]
    return leading or causes


def _of_nodes(causes: Sequence[tuple[Views, Row]], shared: tuple[Fact, ...]) -> Verdict:
    nodes = tuple(views.node for views, _ in causes)
    decisive = [fact for views, row in causes for fact in row.matched(views)]
    agreeing = [*shared, *(fact for views, _ in causes for fact in views.abnormal)]
    row = causes[0][1]
    lost = next((fact for fact in shared if fact.word == "quorum_lost"), None)
    if lost is not None and len(nodes) > 1 and row.kind not in _SPREADING:
        reason = f"cannot be counted on ({row.kind.value}), and the rest is no majority"
        return Verdict(Kind.QUORUM_LOSS, nodes, reason, _once([*decisive, lost]), _once(agreeing), row)
    return Verdict(row.kind, nodes, row.reason, _once(decisive), _once(agreeing), row)


def _of_cluster(all_views: Sequence[Views]) -> Verdict:
    """Judge where no single node stands out."""
    shared = _shared(all_views)
    words = {(fact.side, fact.word) for fact in shared}
    if ("control", "quorum_lost") in words:
        return Verdict(Kind.QUORUM_LOSS, (), "the majority is gone, and no node says why", shared)
    moved = [f for f in shared if f.word in {"leader_changed", "no_leader"}]
    if moved:
        named = tuple(views.node for views in all_views if views.node in moved[0].quote)[:1]
        return Verdict(
            Kind.LEADER_LOSS, named, "gave up the lead though process, disk and peers are well", shared
        )
    if words & {("client", "slow"), ("client", "stall"), ("client", "errors")}:
        return Verdict(
            Kind.OVERLOAD, (), "clients wait or fail while every node is well by all views", shared
        )
    odd = [fact for views in all_views for fact in views.abnormal]
    if odd or shared:
        return Verdict(
            Kind.UNKNOWN, (), "something was seen that no row of the table explains", _once([*odd, *shared])
        )
    return Verdict(
        Kind.NONE, (), "every node is well by all views, and nothing was recorded", _well(all_views)
    )


def _shared(all_views: Iterable[Views]) -> tuple[Fact, ...]:
    """Return what is abnormal and concerns the whole cluster, once, earliest first."""
    facts = {fact for views in all_views for fact in views.facts if fact.node is None and fact.abnormal}
    return tuple(sorted(facts, key=lambda fact: fact.wall))


def _well(all_views: Sequence[Views]) -> tuple[Fact, ...]:
    """Return, of each side, one word that all is well."""
    words = ("running", "healthy", "connected", "up")
    found = {fact.side: fact for views in all_views for fact in views.facts if fact.word in words}
    return tuple(found.values())


def _once(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    return tuple(dict.fromkeys(facts))
