"""From the views of all nodes to one verdict: which nodes, which kind, by which row of the table."""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.diagnosis.facts import Fact, Views
from tools.diagnosis.schema import Kind
from tools.diagnosis.table import Row, row_of

# Which is the cause when several nodes fit a row: a node that lost a dead peer is no second cause.
_WEIGHT = {
    Kind.DISK_FULL: 6,
    Kind.CRASH: 6,
    Kind.PAUSE: 5,
    Kind.PARTITION: 4,
    Kind.SLOW_DISK: 3,
    Kind.NETWORK_DELAY: 3,
    Kind.OVERLOAD: 2,
    Kind.PLANNED_RESTART: 6,
    Kind.UNKNOWN: 1,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the table says of the whole cluster."""

    kind: Kind
    nodes: tuple[str, ...]
    reason: str
    facts: tuple[Fact, ...]
    """What made the rows fit, the strongest first, then what else agrees."""
    row: Row | None = None


def verdict(all_views: Sequence[Views]) -> Verdict:
    """Hold every node against the table, and the outcome against what concerns the whole cluster."""
    placed = [(views, row) for views in all_views if (row := row_of(views)) is not None]
    if placed:
        weight = max(_WEIGHT[row.kind] for _, row in placed)
        causes = [(views, row) for views, row in placed if _WEIGHT[row.kind] == weight]
        return _of_nodes(causes, _shared(all_views))
    return _of_cluster(all_views)


def _shared(all_views: Sequence[Views]) -> tuple[Fact, ...]:
    """Return what is abnormal and concerns the whole cluster, once."""
    facts = {fact for views in all_views for fact in views.facts if fact.node is None and fact.abnormal}
    return tuple(sorted(facts, key=lambda fact: fact.wall))


def _of_nodes(causes: Sequence[tuple[Views, Row]], shared: tuple[Fact, ...]) -> Verdict:
    nodes = tuple(views.node for views, _ in causes)
    matched = [fact for views, row in causes for fact in row.matched(views)]
    agreeing = [fact for views, _ in causes for fact in views.abnormal]
    lost = next((fact for fact in shared if fact.word == "quorum_lost"), None)
    row = causes[0][1]
    if lost is not None and len(nodes) > 1:
        reason = f"cannot be counted on ({row.kind.value}), and the rest is no majority"
        return Verdict(Kind.QUORUM_LOSS, nodes, reason, _once([*matched, lost, *agreeing, *shared]), row)
    return Verdict(row.kind, nodes, row.reason, _once([*matched, *agreeing, *shared]), row)


def _of_cluster(all_views: Sequence[Views]) -> Verdict:
    """Judge where no single node stands out."""
    shared = _shared(all_views)
    words = {(fact.side, fact.word) for fact in shared}
    if ("control", "quorum_lost") in words:
        return Verdict(Kind.QUORUM_LOSS, (), "the majority is gone, and no node says why", shared)
    if words & {("control", "leader_changed"), ("control", "no_leader")}:
        moved = next(f for f in shared if f.word in {"leader_changed", "no_leader"})
        named = tuple(views.node for views in all_views if views.node in moved.quote)[:1]
        return Verdict(
            Kind.LEADER_LOSS, named, "gave up the lead though its process, disk and peers are well", shared
        )
    if words & {("client", "slow"), ("client", "stall"), ("client", "errors")}:
        return Verdict(
            Kind.OVERLOAD, (), "clients wait or fail while every node is well by all views", shared
        )
    odd = tuple(fact for views in all_views for fact in views.abnormal)
    if odd or shared:
        return Verdict(
            Kind.UNKNOWN, (), "something was seen that no row of the table explains", _once([*odd, *shared])
        )
    well = tuple(
        f for views in all_views for f in views.facts if f.word in {"running", "healthy", "connected", "up"}
    )
    return Verdict(Kind.NONE, (), "every node is well by all views, and nothing was recorded", _once(well))


def _once(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    return tuple(dict.fromkeys(facts))
