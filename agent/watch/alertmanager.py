"""Sending alerts to Alertmanagers: at once, again and again while they fire, and never at detection's cost.

What is sent is always the present state of all alerts, as Prometheus does it: nothing is queued, so that an
Alertmanager that was away for an hour gets one message, and memory stays the same.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import httpx2

from agent.watch.alerts import Alert, AlertBook
from agent.watch.webhook import receiver_host
from subjects.scrub import scrub
from tools.detection.monitor import Monitor
from tools.errors import ToolError
from tools.events import Emit, Notice
from tools.incidents.record import Incident
from tools.incidents.store import IncidentStore
from tools.observe.incident import State

RESEND_S = 60.0
"""Between two sends of alerts that fire: Prometheus' own `--rules.alert.resend-delay`."""

RETRY_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses after failed sends; the last one for as long as it fails."""

TIMEOUT_S = 10.0
"""For one send; Prometheus' default for Alertmanagers."""

REFRESH_S = 1.0
"""Between two reads of the incidents while nothing reports news: recoveries come this late at the most."""

LAST_SEND_S = 5.0
"""How long the last state is given to go out when the watch ends."""


class Alertmanager:
    """One Alertmanager, told of the present alerts by a task of its own."""

    def __init__(self, url: str, current: Callable[[], Sequence[Alert]], emit: Emit) -> None:
        """Raises BadSetup for what is no http or https address."""
        self.host = receiver_host("--alertmanager", url)
        self.sent = 0
        """Messages that were taken; each holds all alerts of its time."""
        self.failed = 0
        """Attempts that failed."""
        self._url = url.rstrip("/") + "/api/v2/alerts"
        self._current = current
        self._emit = emit
        self._news = asyncio.Event()
        self._delivered = asyncio.Event()
        self._delivered.set()
        self._reported = False
        self._task = asyncio.get_running_loop().create_task(self._work(), name=f"alertmanager {self.host}")

    def changed(self) -> None:
        """Send the present state soon. Never blocks."""
        self._delivered.clear()
        self._news.set()

    async def aclose(self, timeout_s: float = LAST_SEND_S) -> None:
        """Give what has changed `timeout_s` to go out."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._delivered.wait()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        failures = 0
        async with httpx2.AsyncClient(timeout=TIMEOUT_S) as http:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(
                        RETRY_S[min(failures, len(RETRY_S)) - 1] if failures else RESEND_S
                    ):
                        await self._news.wait()
                self._news.clear()
                alerts = self._current()
                if not alerts:
                    self._delivered.set()
                    continue
                problem = await self._send(http, alerts)
                failures = failures + 1 if problem else 0
                self._report(problem)
                if not problem and not self._news.is_set():
                    self._delivered.set()

    async def _send(self, http: httpx2.AsyncClient, alerts: Sequence[Alert]) -> str:
        """Return what went wrong; an empty text when it was taken."""
        now = time.time()
        body = json.dumps(scrub([alert.as_json(now) for alert in alerts]))  # ASCII: no text can spoil it
        try:
            response = await http.post(self._url, content=body, headers={"content-type": "application/json"})
        except httpx2.HTTPError as error:
            return str(error) or type(error).__name__
        return "" if response.is_success else f"HTTP {response.status_code}"

    def _report(self, problem: str) -> None:
        if not problem:
            self.sent += 1
            if self._reported:
                self._reported = False
                self._emit(Notice(f"Alertmanager {self.host} takes alerts again."))
            return
        self.failed += 1
        if not self._reported:
            self._reported = True
            text = f"Alertmanager {self.host} does not take alerts ({problem}); retrying. Watching goes on."
            self._emit(Notice(text, level="warning"))


class AlertFeed:
    """Keeps the alert book in step with the incidents, and wakes the Alertmanagers when it has changed."""

    def __init__(self, urls: Sequence[str], cluster: str, incidents: IncidentStore, emit: Emit) -> None:
        """Raises BadSetup for an address that is none."""
        self._book = AlertBook(cluster)
        self._incidents = incidents
        self.managers = [Alertmanager(url, self._book.current, emit) for url in urls]
        self._news = asyncio.Event()
        self._following: dict[str, None] = {}
        """Incidents whose alerts fire."""

    def changed(self) -> None:
        """Read the incidents soon: something was detected or diagnosed. Never blocks."""
        self._news.set()

    async def run(self, monitor: Monitor) -> None:
        """Follow the incidents until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_S):
                    await self._news.wait()
            self._news.clear()
            await self._refresh(monitor)

    async def aclose(self, monitor: Monitor) -> None:
        """Send the last state. What still fires is left to end by itself: nobody watches it any more."""
        await self._refresh(monitor)
        await asyncio.gather(*(manager.aclose() for manager in self.managers))

    async def _refresh(self, monitor: Monitor) -> None:
        self._following.update(dict.fromkeys(monitor.open_incidents))
        if not self._following:
            return
        await monitor.recorded()
        before = self._book.current()
        for incident in list(self._following):
            is_over = incident not in monitor.open_incidents  # before it is read: it may end meanwhile
            found = await self._read(incident, monitor)
            if is_over:
                del self._following[incident]
                if found is not None and found.recovered is None:  # its end could not be written down
                    found = replace(found, state=State.RECOVERED, recovered=time.time())
            if found is not None:
                self._book.take(found)
        if self._book.current() != before:
            for manager in self.managers:
                manager.changed()

    async def _read(self, incident: str, monitor: Monitor) -> Incident | None:
        """Return an incident as it was written down, or as remembered where the disk is full or broken."""
        try:
            return await asyncio.to_thread(self._incidents.get, incident)
        except (ToolError, sqlite3.Error):
            return _remembered(incident, monitor)


def _remembered(incident: str, monitor: Monitor) -> Incident | None:
    made = [each for each in monitor.detections if each.incident == incident]
    if not made:
        return None
    is_open = incident in monitor.open_incidents
    return Incident(
        id=incident,
        cluster="",
        state=State.OPEN if is_open else State.RECOVERED,
        opened=made[0].wall,
        text=made[0].text,
        nodes=tuple(dict.fromkeys(node for each in made for node in each.nodes)),
        invariants=tuple(dict.fromkeys(name for each in made for name in each.invariants)),
        recovered=None if is_open else time.time(),
    )
