"""Watching a cluster with the detector alone, in the foreground, for minutes or for days."""

import asyncio
import time
from collections import deque
from typing import Any

from agent.events import RATES, NodeRow, NodesSeen, NodeState
from agent.view.base import View
from agent.watch.examiner import Examiner
from agent.watch.reader import Reader
from agent.watch.receivers import Addresses, Receivers
from agent.watch.retention import KEEP_S, prune_now_and_then
from agent.watch.state import WatchState
from subjects.base import (
    Cluster,
    ClusterSnapshot,
    Health,
    NodeView,
    ProcessState,
    Unseen,
    UnseenReason,
)
from tools.detection.monitor import LOOK_S, Monitor
from tools.events import Event, Notice
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection, Signal

TERMINAL_LOOK_S = 1.0
"""Between two looks where a person watches a table."""

EVIDENCE = 5000
"""Signals whose evidence is kept: a watch of days must not grow."""

MAX_INCIDENTS = 100
"""Incidents that the summary names; more are only counted."""


async def watch(
    cluster: Cluster,
    incidents: IncidentStore,
    view: View,
    *,
    for_s: float | None = None,
    to: Addresses = Addresses(),  # noqa: B008 - frozen
    keep_s: float = KEEP_S,
) -> dict[str, Any]:
    """Watch until `for_s` is over, or for ever; incidents that are over are kept for `keep_s`.

    An interrupt ends it with a summary, too, which says so: it is no success, as of any other command.
    """
    receivers = Receivers(to, cluster, incidents, view.show)
    ledger = Ledger(keep=EVIDENCE)
    examiner = Examiner(cluster, incidents, ledger, view)
    tally = Tally(cluster, view, receivers, examiner)
    look_s = TERMINAL_LOOK_S if view.interactive else LOOK_S
    monitor = Monitor(cluster, ledger, incidents, tally.take, look_s=look_s)
    beside = [
        asyncio.ensure_future(examiner.run(monitor)),
        asyncio.ensure_future(prune_now_and_then(incidents, keep_s)),
    ]
    began = time.monotonic()
    interrupted = False
    try:
        await receivers.start(monitor, lambda: _state_of(monitor, cluster))
        await monitor.start()
        view.show(Notice(f"Watching {cluster.label}: {', '.join(cluster.subject.nodes)}."))
        with Reader() as reader:
            async with asyncio.timeout(for_s):
                await _show(monitor, cluster, view, reader)
    except TimeoutError:
        pass
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None:
            raise
        task.uncancel()
        interrupted = True
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        await receivers.aclose(monitor)
        await monitor.stop()
    return tally.result(monitor, time.monotonic() - began, interrupted=interrupted)


class Tally:
    """Counts what the monitor tells, and passes it on."""

    def __init__(
        self, cluster: Cluster, view: View, receivers: Receivers, examiner: Examiner | None = None
    ) -> None:
        self.signals = 0
        self.detections = 0
        self.incidents: dict[str, None] = {}
        self._cluster = cluster
        self._view = view
        self._receivers = receivers
        self._examiner = examiner

    def take(self, event: Event) -> None:
        """Pass an event on to the view and to the receivers."""
        self._view.show(event)
        self._receivers.take(event)
        match event:
            case Signal():
                self.signals += 1
            case Detection():
                self.detections += 1
                if event.incident is not None and len(self.incidents) < MAX_INCIDENTS:
                    if self._examiner is not None and event.incident not in self.incidents:
                        self._examiner.take(event.incident)
                    self.incidents[event.incident] = None
            case _:
                pass

    def result(self, monitor: Monitor, seconds: float, *, interrupted: bool) -> dict[str, Any]:
        """Return the summary, and tell it in a sentence."""
        snapshot = monitor.snapshot
        self._view.show(
            Notice(
                f"Watched {self._cluster.label} for {seconds:.0f} s. "
                f"Detections: {self.detections}, incidents: {len(self.incidents)}, signals: {self.signals}."
            )
        )
        return {
            "ok": not interrupted,
            "interrupted": interrupted,
            "command": "watch",
            "cluster": self._cluster.label,
            "seconds": round(seconds, 3),
            "state": None if snapshot is None else snapshot.state.value,
            "nodes": list(self._cluster.subject.nodes),
            "signals": self.signals,
            "detections": self.detections,
            "incidents": list(self.incidents),
            **self._receivers.result(),
        }


class Rates:
    """How fast each node's log grows, over the last looks."""

    def __init__(self) -> None:
        self._before: ClusterSnapshot | None = None
        self._rates: dict[str, deque[float]] = {}

    def read(self, snapshot: ClusterSnapshot) -> None:
        """Take a look into account; the same one twice counts once."""
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

    def of(self, node: str) -> tuple[float, ...]:
        """Return the last rates of a node."""
        return tuple(self._rates.get(node, ()))


async def _show(monitor: Monitor, cluster: Cluster, view: View, reader: Reader) -> None:
    """Show the nodes: every second to a person, and to programs when a state or role changed.

    Returns when nobody reads it any more.
    """
    rates = Rates()
    unseen: dict[str, Unseen | None] = {}
    told: tuple[object, ...] = ()
    while not reader.gone:
        snapshot = monitor.snapshot
        if snapshot is not None:
            _show_unseen(snapshot, unseen, view)
            rates.read(snapshot)
            event = _seen(snapshot, cluster, monitor, rates)
            now = (event.state, *((row.name, row.state, row.role) for row in event.nodes))
            if view.interactive or now != told:
                view.show(event)
            told = now
        await asyncio.sleep(TERMINAL_LOOK_S)


def _show_unseen(snapshot: ClusterSnapshot, shown: "dict[str, Unseen | None]", view: View) -> None:
    """Say once of each node whether something on our side keeps us from looking at it, and what to do."""
    for node in snapshot.nodes:
        unseen = node.unseen if node.unseen is not None and node.unseen.reason not in _ITS_OWN else None
        if unseen == shown.get(node.name):
            continue
        shown[node.name] = unseen
        if unseen is None:
            view.show(Notice(f"{node.name} can be looked at again."))
            continue
        remedy = f" Remedy: {unseen.remedy}." if unseen.remedy else ""
        view.show(Notice(f"{node.name} cannot be looked at: {unseen.text}.{remedy}", level="warning"))


_ITS_OWN = frozenset({UnseenReason.REFUSED, UnseenReason.SILENT})
"""What detection speaks of itself."""


def _seen(snapshot: ClusterSnapshot, cluster: Cluster, monitor: Monitor, rates: Rates) -> NodesSeen:
    rows = tuple(
        NodeRow(
            node.name,
            _state(node, monitor),
            str(node.role),
            node.lag,
            node.heartbeat_age_s,
            rates.of(node.name),
        )
        for node in snapshot.nodes
    )
    return NodesSeen(cluster.label, snapshot.state.value, rows, monitor.open_incidents)


def _state(node: NodeView, monitor: Monitor) -> NodeState:
    match node.process.state:
        case ProcessState.EXITED:
            return "down"
        case ProcessState.PAUSED:
            return "paused"
        case _:
            pass
    if node.itself.health is Health.HEALTHY:
        return "unwell" if node.name in monitor.troubled else "up"
    if node.itself.health is Health.UNHEALTHY:
        return "unwell"
    return "down" if node.name in monitor.troubled else "unknown"


def _state_of(monitor: Monitor, cluster: Cluster) -> WatchState:
    """Return what is known now, for a scrape."""
    snapshot, now = monitor.snapshot, time.monotonic()
    return WatchState(
        state="unknown" if snapshot is None else snapshot.state.value,
        nodes={} if snapshot is None else {node.name: _state(node, monitor) for node in snapshot.nodes},
        invariants={each.name: each.name in monitor.broken for each in cluster.subject.invariants},
        open_incidents=len(monitor.open_incidents),
        probes_answered=monitor.answered,
        snapshot_age_s=None if monitor.seen_at is None else now - monitor.seen_at,
        looked_s=None if monitor.looked_at is None else now - monitor.looked_at,
    )
