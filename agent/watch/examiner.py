"""What `operator watch` adds to an incident by itself: a diagnosis by the rules, which needs no model."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from agent.view.base import View
from subjects.base import Cluster
from subjects.errors import SubjectError
from tools.detection.monitor import Monitor
from tools.diagnosis.base import case_of
from tools.diagnosis.examination import Diagnosing
from tools.diagnosis.rules import RulesDiagnostician
from tools.errors import ToolError
from tools.events import Diagnosed, Notice
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection

WAIT_S = 2.0
"""Other witnesses speak within this time: peers lose a member in 1 s, an election takes 1.8 s."""
MAX_WAITING = 10
"""Incidents that wait to be looked into; more at once are one trouble, and are left without."""


class Examiner:
    """Looks into incidents, one after the other; detection never waits for it."""

    def __init__(self, cluster: Cluster, incidents: IncidentStore, ledger: Ledger, view: View) -> None:
        self._cluster = cluster
        self._incidents = incidents
        self._ledger = ledger
        self._view = view
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)

    def take(self, incident: str) -> None:
        """Look into an incident when its turn comes."""
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(incident)

    async def run(self, monitor: Monitor) -> None:
        """Look into what was taken, until cancelled."""
        while True:
            incident = await self._waiting.get()
            await asyncio.sleep(WAIT_S)
            made = [each for each in monitor.detections if each.incident == incident]
            if made:
                await self._examine(incident, made, monitor)

    async def _examine(self, incident: str, made: Sequence[Detection], monitor: Monitor) -> None:
        session = Diagnosing(
            emit=self._view.show,
            ledger=self._ledger,
            incidents=self._incidents,
            cluster=self._cluster.observed,
            monitor=monitor,
            diagnostician=RulesDiagnostician(),
        )
        try:
            found = await session.diagnosed(case_of(made))
            await monitor.recorded()
            session.keep(incident, found)
        except (SubjectError, ToolError) as error:
            self._view.show(Notice(f"Incident {incident} could not be looked into: {error}"))
            return
        self._view.show(Diagnosed(found.as_result()))
