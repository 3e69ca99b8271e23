"""Watching a cluster with the detector alone, in the foreground, for minutes or for days."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from agent.events import OpenIncident
from agent.view.base import View
from agent.view.words import seconds as duration
from agent.watch.examiner import Examiner
from agent.watch.receivers import Addresses, Receivers
from agent.watch.rows import Rows, node_state, on_our_side, unseen_sentence
from agent.watch.state import WatchState
from agent.watch.traffic import TrafficReader
from subjects import clock
from subjects.base import Cluster, ClusterSnapshot, Unseen
from tools.detection.monitor import LOOK_S, Monitor
from tools.events import Event, Notice
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection, Signal
from tools.tasks import told_if_it_fails

TERMINAL_LOOK_S = 1.0
"""Between two looks where a person watches a table."""

EVIDENCE = 5000
"""Signals whose evidence is kept: a watch of days must not grow."""

MAX_INCIDENTS = 100
"""Incidents that the summary names, the latest; those before are only counted."""

KEEP_S = 90 * 86_400.0
"""How long incidents that are over are kept by default."""

MAX_BYTES = 512 * 1024 * 1024
"""What the incidents may take in the state folder; an incident takes 20 to 200 kB."""

PRUNE_S = 3600.0
"""Between two looks at what is too old."""


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
    tally = Tally(cluster, view, receivers, examiner, incidents)
    look_s = TERMINAL_LOOK_S if view.interactive else LOOK_S
    monitor = Monitor(cluster, ledger, incidents, tally.take, look_s=look_s)
    traffic = TrafficReader(cluster)
    beside = [
        asyncio.create_task(examiner.run(monitor), name="the diagnosis of incidents"),
        asyncio.create_task(traffic.run(), name="the reading of clients' figures"),
        asyncio.create_task(prune_now_and_then(incidents, keep_s), name="the pruning of old incidents"),
    ]
    for part in beside:
        told_if_it_fails(part, view.show)
    began = time.monotonic()
    interrupted = False
    try:
        await receivers.start(monitor, lambda: _state_of(monitor, cluster))
        await monitor.start()
        view.show(Notice(f"Watching {cluster.label}: {', '.join(cluster.subject.nodes)}."))
        async with asyncio.timeout(for_s):
            await _show(monitor, cluster, view, tally, traffic)
    except TimeoutError:
        pass
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None:
            raise
        task.uncancel()
        interrupted = True
    finally:
        for part in beside:
            part.cancel()
        await asyncio.wait(beside)
        await receivers.aclose(monitor)
        state = monitor.state  # once it has stopped, it knows of no open incident any more
        await monitor.stop()
    return tally.result(state, time.monotonic() - began, interrupted=interrupted)


class Tally:
    """Counts what the monitor tells, and passes it on."""

    def __init__(
        self, cluster: Cluster, view: View, receivers: Receivers, examiner: Examiner, store: IncidentStore
    ) -> None:
        self.store = store
        self.signals = 0
        self.detections = 0
        self.incidents: dict[str, None] = {}
        """The latest MAX_INCIDENTS."""
        self.incident_count = 0
        self._began: dict[str, tuple[float, str]] = {}
        """Incidents that were open when last looked: since when (monotonic), and what each is about."""
        self.news = asyncio.Event()
        """Set by what the table must show at once."""
        self._cluster = cluster
        self._view = view
        self._receivers = receivers
        self._examiner = examiner

    def take(self, event: Event) -> None:
        """Pass an event on to the view and to the receivers."""
        self._view.show(event)
        self._receivers.take(event)
        self._examiner.take(event)
        match event:
            case Signal():
                self.signals += 1
            case Detection():
                self.detections += 1
                self.news.set()
                began, _ = self._began.get(event.incident, (time.monotonic(), ""))
                self._began[event.incident] = began, event.text
                if event.incident not in self.incidents:
                    self.incident_count += 1
                self.incidents.pop(event.incident, None)
                self.incidents[event.incident] = None  # the latest is last
                while len(self.incidents) > MAX_INCIDENTS:
                    del self.incidents[next(iter(self.incidents))]
            case _:
                pass

    def open_incidents(self, monitor: Monitor) -> tuple[OpenIncident, ...]:
        """Return the incidents under way, and say of those that were until now how long they took."""
        now, under_way = time.monotonic(), monitor.open_incidents
        for incident in self._began.keys() - set(under_way):
            began, text = self._began.pop(incident)
            text = monitor.name(incident) or text
            self._view.show(Notice(f"Incident {incident} ({text}) recovered after {duration(now - began)}."))
        known = {each: self._began.get(each, (now, "")) for each in under_way}
        return tuple(OpenIncident(each, text, now - began) for each, (began, text) in known.items())

    def result(self, state: str, seconds: float, *, interrupted: bool) -> dict[str, Any]:
        """Return the summary, and tell it in a sentence."""
        self._view.show(
            Notice(
                f"Watched {self._cluster.label} for {seconds:.0f} s. "
                f"Detections: {self.detections}, incidents: {self.incident_count}, signals: {self.signals}."
            )
        )
        return {
            "ok": not interrupted,
            "interrupted": interrupted,
            "command": "watch",
            "cluster": self._cluster.label,
            "seconds": round(seconds, 3),
            "state": state,
            "nodes": list(self._cluster.subject.nodes),
            "signals": self.signals,
            "detections": self.detections,
            "incidents": list(self.incidents),
            **self._receivers.result(),
        }


async def _show(monitor: Monitor, cluster: Cluster, view: View, tally: Tally, traffic: TrafficReader) -> None:
    """Show the nodes: every second to a person, and to programs when a state or role changed."""
    rows = Rows()
    unseen: dict[str, Unseen | None] = {}
    shown: tuple[object, ...] = ()
    with _looked_into(cluster, tally, view, rows) as look:
        while True:
            incidents = tally.open_incidents(monitor)
            if not incidents:
                clock.follow()
            if (snapshot := monitor.snapshot) is not None:
                _show_unseen(snapshot, unseen, view)
                event = rows.read(
                    cluster.label, monitor.state, snapshot, monitor.troubled, incidents, traffic
                )
                now = (event.state, *((row.name, row.state, row.role) for row in event.nodes))
                if view.interactive or now != shown:
                    view.show(event)
                shown = now
            await look()
            tally.news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(TERMINAL_LOOK_S):
                    await tally.news.wait()


def _show_unseen(snapshot: ClusterSnapshot, shown: "dict[str, Unseen | None]", view: View) -> None:
    """Say once of each node whether something on our side keeps us from looking at it, and what to do."""
    for node in snapshot.nodes:
        unseen = on_our_side(node)
        if unseen == shown.get(node.name):
            continue
        shown[node.name] = unseen
        if unseen is None:
            view.show(Notice(f"{node.name} can be looked at again."))
            continue
        view.show(Notice(unseen_sentence(node.name, unseen), level="warning"))


@contextmanager
def _looked_into(
    cluster: Cluster, tally: Tally, view: View, rows: Rows
) -> Iterator[Callable[[], Awaitable[None]]]:
    """Let a person at a terminal filter the nodes and look into one; what is yielded draws that again."""
    from agent.view.terminal import TerminalView

    if not (isinstance(view, TerminalView) and view.animated and sys.stdin.isatty()):
        yield _nothing
        return
    from agent.watch.inspector import Inspector

    inspector = Inspector(cluster, tally.store, view, rows)
    with inspector.listening():
        yield inspector.look


async def _nothing() -> None:
    """Do nothing: nobody looks."""


def _state_of(monitor: Monitor, cluster: Cluster) -> WatchState:
    """Return what is known now, for a scrape."""
    snapshot, now = monitor.snapshot, time.monotonic()
    return WatchState(
        state=monitor.state,
        nodes={}
        if snapshot is None
        else {node.name: node_state(node, monitor.troubled) for node in snapshot.nodes},
        invariants={each.name: each.name in monitor.broken for each in cluster.subject.invariants},
        open_incidents=len(monitor.open_incidents),
        probes_answered=monitor.answered,
        snapshot_age_s=None if monitor.seen_at is None else now - monitor.seen_at,
        looked_s=None if monitor.looked_at is None else now - monitor.looked_at,
    )


async def prune_now_and_then(incidents: IncidentStore, keep_s: float) -> None:
    """Delete what is too old or too much, now and each hour, until cancelled."""
    while True:
        with suppress(sqlite3.Error):  # the recorder reports a disk that cannot be written
            await asyncio.to_thread(incidents.prune, before=time.time() - keep_s, max_bytes=MAX_BYTES)
        await asyncio.sleep(PRUNE_S)
