"""What `operator watch --metrics-listen` serves: Prometheus metrics, and whether watching really goes on.

Series are bounded: a few for the cluster, NODE_STATES for each node, and one for each pair of source and kind
of signal. Nothing is labelled by what has no end (incidents, texts, times).
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from agent.setup import version
from agent.watch.state import CLUSTER_STATES, NODE_STATES, STALLED_S, WatchState
from subjects.errors import BadSetup
from tools.events import Event
from tools.observe.signal import Detection, Signal

CONTENT_TYPE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}

DELAY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds from the first signal of a cause to its detection: what the kernel reports counts at once, silence
after two probes, doubtful signals after some seconds."""

Family = GaugeMetricFamily | CounterMetricFamily | InfoMetricFamily


class WatchMetrics(Collector):
    """The metrics of one watch. `take` counts events; the rest is read from `state` when it is scraped."""

    def __init__(
        self,
        cluster: str,
        state: Callable[[], WatchState],
        deliveries: Callable[[], Mapping[tuple[str, ...], int]],
    ) -> None:
        """`deliveries` returns the messages to receivers, by receiver and result (sent, failed, dropped)."""
        self.registry = CollectorRegistry()
        self._cluster = cluster
        self._state = state
        self._deliveries = deliveries
        self._signals: Counter[tuple[str, ...]] = Counter()
        self._detections = 0
        self._delay = Histogram(
            "operator_detection_delay_seconds",
            "Time from the first signal of a cause to its detection.",
            buckets=DELAY_BUCKETS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def take(self, event: Event) -> None:
        """Count a signal or a detection."""
        match event:
            case Signal():
                self._signals[event.source, event.kind] += 1
            case Detection():
                self._detections += 1
                if event.signals:
                    self._delay.observe(event.at - min(signal.at for signal in event.signals))
            case _:
                pass

    def watching(self) -> bool:
        """Tell whether looks at the cluster go on."""
        return self._state().watching

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def describe(self) -> Iterable[Family]:
        """Nothing: the registry need not collect to learn the names."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Yield the families that are read from the watch as it is now."""
        now = self._state()
        yield InfoMetricFamily("operator_build", "Version of operator.", {"version": version()})
        yield _states(
            "operator_cluster_state", "State of the cluster.", CLUSTER_STATES, {(self._cluster,): now.state}
        )
        yield _states(
            "operator_node_state",
            "State of a node; unknown where it could not be looked at.",
            NODE_STATES,
            {(self._cluster, node): state for node, state in now.nodes.items()},
        )
        yield self._gauges(
            "operator_invariant_broken",
            "Whether an invariant of the database is broken.",
            "invariant",
            {name: float(broken) for name, broken in now.invariants.items()},
        )
        yield self._gauge("operator_incidents_open", "Incidents under way.", now.open_incidents)
        yield self._gauge("operator_watching", "Whether looks at the cluster go on.", float(now.watching))
        if now.snapshot_age_s is not None:
            yield self._gauge(
                "operator_snapshot_age_seconds", "Age of the last snapshot.", now.snapshot_age_s
            )
        yield self._counter("operator_detections", "Detections made.", (), {(): self._detections})
        yield self._counter("operator_probes_answered", "Probes answered.", (), {(): now.probes_answered})
        yield self._counter("operator_signals", "Signals seen.", ("source", "kind"), self._signals)
        yield self._counter(
            "operator_notifications", "Messages to receivers.", ("receiver", "result"), self._deliveries()
        )

    def _gauge(self, name: str, text: str, value: float) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=("cluster",))
        family.add_metric((self._cluster,), value)
        return family

    def _gauges(self, name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=("cluster", label))
        for key, value in values.items():
            family.add_metric((self._cluster, key), value)
        return family

    def _counter(
        self, name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], int]
    ) -> CounterMetricFamily:
        family = CounterMetricFamily(name, text, labels=("cluster", *labels))
        for key, value in values.items():
            family.add_metric((self._cluster, *key), value)
        return family


def _states(
    name: str, text: str, states: tuple[str, ...], values: Mapping[tuple[str, ...], str]
) -> GaugeMetricFamily:
    """Return one series a state, of which the present one is 1."""
    family = GaugeMetricFamily(
        name, text, labels=(*("cluster", "node")[: len(next(iter(values), ("",)))], "state")
    )
    for key, present in values.items():
        for state in states:
            family.add_metric((*key, state), float(state == present))
    return family


def listen_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, `[::1]:PORT` or `:PORT` (loopback); BadSetup for anything else."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if (
        not colon
        or not port.isascii()
        or not port.isdigit()
        or int(port) > 65535
        or (":" in host and not _is_ip(host))
    ):
        raise BadSetup(f"--metrics-listen {text!r}: expected HOST:PORT, such as 127.0.0.1:9600.")
    return host, int(port)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class MetricsServer:
    """Serves `/metrics` and `/healthz`."""

    def __init__(self, metrics: WatchMetrics) -> None:
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Begin to serve and return the address; BadSetup when the port can't be had."""
        app = web.Application()
        app.add_routes([web.get("/metrics", self._serve_metrics), web.get("/healthz", self._serve_health)])
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as error:
            await self.aclose()
            raise BadSetup(f"--metrics-listen {host}:{port}: {error.strerror or error}.") from error
        bound: tuple[str, int] = self._runner.addresses[0][:2]
        return bound

    async def aclose(self) -> None:
        """Serve no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers=CONTENT_TYPE)

    async def _serve_health(self, _: web.Request) -> web.Response:
        if self._metrics.watching():
            return web.Response(text="watching\n")
        return web.Response(status=503, text=f"no look at the cluster has ended in {STALLED_S:.0f} s\n")
