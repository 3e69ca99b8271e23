"""Who is notified by a watch: a webhook, Alertmanagers, and whoever scrapes its metrics."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.watch.alertmanager import AlertFeed
from agent.watch.webhook import Webhook
from subjects.base import Cluster
from tools.detection.monitor import Monitor
from tools.events import Diagnosed, Emit, Event, Notice
from tools.incidents.store import IncidentStore
from tools.observe.signal import Detection, Signal
from tools.tasks import told_if_it_fails

if TYPE_CHECKING:
    from agent.watch.metrics import MetricsServer, WatchMetrics
    from agent.watch.state import WatchState


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a watch reports to, as given on the command line."""

    webhook: str | None = None
    alertmanagers: tuple[str, ...] = ()
    metrics_listen: str | None = None
    """`HOST:PORT`."""
    cluster: str | None = None
    """The `cluster` label of alerts and metrics; else the cluster's id."""


class Receivers:
    """All receivers of one watch. `take` never blocks: each receiver has a task and bounds of its own."""

    def __init__(self, to: Addresses, cluster: Cluster, incidents: IncidentStore, emit: Emit) -> None:
        """Raises BadSetup for an address that is none."""
        self._name = to.cluster or cluster.id
        self._emit = emit
        self._listen = to.metrics_listen
        self._webhook = Webhook(to.webhook, emit) if to.webhook is not None else None
        self._alerts = AlertFeed(to.alertmanagers, self._name, incidents, emit)
        self._metrics: WatchMetrics | None = None
        self._server: MetricsServer | None = None
        self._following: asyncio.Task[None] | None = None

    async def start(self, monitor: Monitor, state: Callable[[], "WatchState"]) -> None:
        """Begin to serve metrics and to follow incidents; BadSetup when the port can't be had."""
        if self._listen is not None:
            from agent.watch.metrics import MetricsServer, WatchMetrics, listen_address

            self._metrics = WatchMetrics(self._name, state, self.delivered)
            self._server = MetricsServer(self._metrics)
            host, port = await self._server.start(*listen_address(self._listen))
            self._emit(Notice(f"Serving metrics on http://{host}:{port}/metrics."))
        if self._alerts.managers:
            self._following = asyncio.create_task(self._alerts.run(monitor), name="the following of alerts")
            told_if_it_fails(self._following, self._emit)

    def take(self, event: Event) -> None:
        """Notify the receivers of a detection, a diagnosis or a recovery."""
        if self._metrics is not None:
            self._metrics.take(event)
        match event:
            case Detection():
                self._alerts.changed()
                self._post("detection", *event.nodes, text=event.text, incident=event.incident)
            case Signal(kind="recovered"):
                self._alerts.changed()
                self._post("recovered", event.node, text=event.raw)
            case Diagnosed():
                self._alerts.changed()
            case _:
                pass

    async def aclose(self, monitor: Monitor) -> None:
        """Send what is left, within some seconds, and serve no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        await self._alerts.aclose(monitor)
        if self._webhook is not None:
            await self._webhook.aclose()
        if self._server is not None:
            await self._server.aclose()

    def result(self) -> dict[str, Any]:
        """Return the part of the command's `result` that says what was delivered."""
        hook = self._webhook
        return {
            "webhook": None
            if hook is None
            else {"sent": hook.sent, "failed": hook.failed, "dropped": hook.dropped},
            "alertmanagers": [
                {"host": each.host, "sent": each.sent, "failed": each.failed}
                for each in self._alerts.managers
            ],
        }

    def delivered(self) -> Mapping[tuple[str, ...], int]:
        """Return by receiver and result how many messages there were."""
        found: dict[tuple[str, ...], int] = {}
        if (hook := self._webhook) is not None:
            found |= {
                ("webhook", "sent"): hook.sent,
                ("webhook", "failed"): hook.failed,
                ("webhook", "dropped"): hook.dropped,
            }
        if self._alerts.managers:
            found["alertmanager", "sent"] = sum(each.sent for each in self._alerts.managers)
            found["alertmanager", "failed"] = sum(each.failed for each in self._alerts.managers)
        return found

    def _post(self, kind: str, *nodes: str | None, text: str, incident: str | None = None) -> None:
        if self._webhook is None:
            return
        message: dict[str, Any] = {
            "type": kind,
            "cluster": self._name,
            "nodes": [node for node in nodes if node],
            "text": text,
            "incident": incident,
            "at": time.time(),
        }
        self._webhook.send(message)
