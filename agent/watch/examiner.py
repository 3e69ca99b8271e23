"""What `operator watch` adds to an incident by itself: a diagnosis by the rules, which needs no model.

It is made again when telling evidence comes after it: another detection, or a signal of a kind that was not
known of that node. What it concludes then is shown only where it differs, and says what changed.
"""

import asyncio
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass, field

from agent.view.base import View
from subjects.base import Cluster
from subjects.errors import SubjectError
from tools.detection.monitor import Monitor
from tools.diagnosis.base import beside, case_of
from tools.diagnosis.examination import Diagnosing
from tools.diagnosis.rules import RulesDiagnostician
from tools.errors import ToolError
from tools.events import Diagnosed, Event, Notice
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection, Signal, Source

WAIT_S = 2.0
"""Other witnesses report within this time: peers lose a member in 1 s, an election takes 1.8 s."""
LASTS_S = 20.0
"""An incident that is still open so long after it was looked into is looked into once more: what belongs to
its first moments, a restart or an election, is told apart from what stays."""
MAX_OPEN = 10
"""Incidents that are looked into; more at once are one trouble, and are left without."""
MAX_LOOKS = 8
"""How often one incident is looked into: one that flaps for days must not be for ever."""


@dataclass(slots=True)
class _Examined:
    """What is known of one incident."""

    nodes: set[str | None]
    known: set[tuple[str | None, str]] = field(default_factory=set)
    """Node and kind of each signal so far."""
    due: float | None = None
    """Monotonic time from which it is to be looked into."""
    looks: int = 0
    lasting: bool = False
    """Whether it was looked into for having lasted."""
    over: bool = False
    """Whether it has ended: what comes now is of another one."""
    concluded: tuple[object, ...] = ()

    def ask(self, wait_s: float) -> None:
        """Have it looked into, after `wait_s` at the latest."""
        if self.looks < MAX_LOOKS:
            self.due = min(self.due or float("inf"), time.monotonic() + wait_s)


class Examiner:
    """Looks into incidents, one after the other; detection never waits for it."""

    def __init__(self, cluster: Cluster, incidents: IncidentStore, ledger: Ledger, view: View) -> None:
        self._cluster = cluster
        self._incidents = incidents
        self._ledger = ledger
        self._view = view
        self._examined: dict[str, _Examined] = {}
        self._news = asyncio.Event()

    def take(self, event: Event) -> None:
        """Take what the monitor reports; an incident that it tells more of is looked into again."""
        match event:
            case Detection():
                incident = self._examined.pop(event.incident, None) or _Examined({None})
                self._examined[event.incident] = incident  # the latest is last
                while len(self._examined) > MAX_OPEN:
                    del self._examined[next(iter(self._examined))]
                incident.over = False
                incident.nodes.update(event.nodes)
                incident.known.update((signal.node, signal.kind) for signal in event.signals)
                incident.ask(WAIT_S)
            case Signal(kind="recovered"):
                for incident in self._examined.values():
                    incident.over = incident.over or event.node in (incident.nodes - {None} or {None})
            case Signal():
                for incident in self._examined.values():
                    key = event.node, event.kind
                    if not incident.over and event.node in incident.nodes and key not in incident.known:
                        incident.known.add(key)
                        # How its process ended, where that is told only after it was looked into, is
                        # what it was waiting for: nobody else has more to say of that.
                        late = incident.looks > 0 and event.source is Source.PROCESS
                        incident.ask(0.0 if late else WAIT_S)
            case _:
                return
        self._news.set()

    async def run(self, monitor: Monitor) -> None:
        """Look into what is due, until cancelled."""
        while True:
            due = [(each.due, name) for name, each in self._examined.items() if each.due is not None]
            at, name = min(due, default=(None, ""))
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if at is None else max(0.0, at - time.monotonic())):
                    await self._news.wait()
            if at is not None and at <= time.monotonic() and name in self._examined:
                incident = self._examined[name]
                await self._examine(name, incident, monitor)
                self._look_later(name, incident, monitor)

    async def _examine(self, name: str, incident: _Examined, monitor: Monitor) -> None:
        incident.due = None
        incident.looks += 1
        made = [each for each in monitor.detections if each.incident == name]
        if not made:
            return
        session = Diagnosing(
            emit=self._view.show,
            ledger=self._ledger,
            incidents=self._incidents,
            cluster=self._cluster.observed,
            monitor=monitor,
            diagnostician=RulesDiagnostician(),
        )
        try:
            others = beside(monitor.detections, name, monitor.open_incidents)
            found = await session.diagnosed(case_of(made, others))
            loops = made[-1].again is not None and made[-1].again.is_loop
            # How a process ended is told late by some: the same crash, and now it is known of what.
            ended = tuple(each.claim for each in found.evidence[:1])
            concluded = (found.kind, found.nodes, found.confidence, loops, ended)
            if concluded == incident.concluded:
                return
            incident.concluded = concluded
            await monitor.recorded()
            kept = session.keep(name, found)
        except (SubjectError, ToolError, sqlite3.Error) as error:
            self._view.show(Notice(f"Incident {name} could not be looked into: {error}"))
            return
        self._view.show(Diagnosed(kept))

    def _look_later(self, name: str, incident: _Examined, monitor: Monitor) -> None:
        if incident.due is None and not incident.lasting and name in monitor.open_incidents:
            incident.lasting = True
            incident.due = time.monotonic() + LASTS_S
