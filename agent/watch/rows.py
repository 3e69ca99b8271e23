"""The nodes of a watched cluster as they are shown: state, role, figures."""

from collections import deque
from collections.abc import Collection

from agent.events import RATES, NodeRow, NodesSeen, NodeState, OpenIncident
from agent.watch.traffic import TrafficReader
from subjects.base import ClusterSnapshot, Connection, Health, NodeView, ProcessState, Unseen, UnseenReason


class Rows:
    """Makes rows of snapshots; keeps how fast each node's log grew."""

    def __init__(self) -> None:
        self._before: ClusterSnapshot | None = None
        self._rates: dict[str, deque[float]] = {}
        self.latest: tuple[NodeRow, ...] = ()

    def read(
        self,
        label: str,
        state: str,
        snapshot: ClusterSnapshot,
        troubled: Collection[str],
        incidents: tuple[OpenIncident, ...],
        traffic: TrafficReader,
    ) -> NodesSeen:
        """Return what is shown of a snapshot; the same one twice counts once."""
        self._grow(snapshot)
        self.latest = tuple(self._row(node, troubled, traffic) for node in snapshot.nodes)
        return NodesSeen(
            label,
            state,
            self.latest,
            tuple(each.id for each in incidents),
            incidents,
            traffic.latency_of,
        )

    def _row(self, node: NodeView, troubled: Collection[str], traffic: TrafficReader) -> NodeRow:
        state = node_state(node, troubled)
        figures = traffic.latest.get(node.name) if state == "up" else None
        return NodeRow(
            node.name,
            state,
            str(node.role),
            node.lag,
            node.heartbeat_age_s,
            tuple(self._rates.get(node.name, ())),
            figures.ops_per_s if figures else None,
            figures.errors_per_s if figures else None,
            figures.p99_ms if figures else None,
        )

    def _grow(self, snapshot: ClusterSnapshot) -> None:
        before, self._before = self._before, snapshot
        if before is None or before.at == snapshot.at:
            return
        indices = {node.name: node.raft_index for node in before.nodes}
        for node in snapshot.nodes:
            known = indices.get(node.name)
            if node.raft_index is not None and known is not None:
                rate = max(0.0, (node.raft_index - known) / (snapshot.at - before.at))
                self._rates.setdefault(node.name, deque(maxlen=RATES)).append(rate)
        for name in self._rates.keys() - {node.name for node in snapshot.nodes}:
            del self._rates[name]


def node_state(node: NodeView, troubled: Collection[str]) -> NodeState:
    """Return a node's state in a word; `troubled` are nodes that something proven is held against."""
    match node.process.state:
        case ProcessState.EXITED:
            return "down"
        case ProcessState.PAUSED:
            return "paused"
        case _:
            pass
    if node.itself.health is Health.HEALTHY:
        return "unhealthy" if node.name in troubled else "up"
    if node.itself.health is Health.UNHEALTHY:
        return "unhealthy"
    if Connection.ACCEPTED in (node.itself.connection, node.client.connection):
        return "unhealthy" if node.name in troubled else "unknown"
    return "down" if node.name in troubled else "unknown"


_ITS_OWN = frozenset({UnseenReason.REFUSED, UnseenReason.SILENT, UnseenReason.UNREACHED})
"""What detection speaks of itself."""


def on_our_side(node: NodeView) -> Unseen | None:
    """Return why it can't be looked at; None where it can be, or where that is the node's own trouble."""
    return node.unseen if node.unseen is not None and node.unseen.reason not in _ITS_OWN else None


def unseen_sentence(node: str, unseen: Unseen) -> str:
    """Say it of a node, and what to do."""
    remedy = f" Remedy: {unseen.remedy}." if unseen.remedy else ""
    return f"{node} cannot be looked at: {unseen.text}.{remedy}"
