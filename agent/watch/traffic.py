"""What clients get, by the nodes' own metrics: requests and errors a second, and a p99."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from subjects.base import Cluster
from subjects.base.subject import Metric
from subjects.errors import SubjectError
from subjects.traffic import TrafficMetrics, traffic_metrics

READ_S = 2.0
"""Between two reads of the metrics."""

MAX_NODES = 16
"""Clusters with more nodes are not asked: a page of metrics a node every READ_S is not free for them."""

Q = 0.99


@dataclass(frozen=True, slots=True)
class Traffic:
    """One node's figures of the time between two reads. None is `not known`."""

    ops_per_s: float
    errors_per_s: float
    p99_ms: float | None
    """The bound of the bucket that holds it: at most so long."""


@dataclass(frozen=True, slots=True)
class _Read:
    at: float
    requests: float
    errors: float
    buckets: Mapping[float, float]
    """Upper bound in seconds → how many took at most that long, since the node started."""


@dataclass(slots=True)
class TrafficReader:
    """Reads every node's metrics again and again."""

    cluster: Cluster
    latest: dict[str, Traffic] = field(default_factory=dict)
    """By node; a node that does not answer has none."""
    _before: dict[str, _Read] = field(default_factory=dict)

    @property
    def latency_of(self) -> str:
        """What the p99 is of; empty where it is not known."""
        metrics = traffic_metrics(self.cluster.subject.name)
        return metrics.latency_of if metrics else ""

    async def run(self) -> None:
        """Read until cancelled; returns at once for a database of which nothing can be read."""
        metrics = traffic_metrics(self.cluster.subject.name)
        if metrics is None:
            return
        while True:
            await self.read(metrics)
            await asyncio.sleep(READ_S)

    async def read(self, metrics: TrafficMetrics) -> None:
        """Read the nodes that there are now; those that are gone, or too many to ask, have no figures."""
        nodes = self.cluster.subject.stores
        asked = nodes if len(nodes) <= MAX_NODES else ()
        for gone in self.latest.keys() - asked:
            del self.latest[gone]
        await asyncio.gather(*(self._read(node, metrics) for node in asked))

    async def _read(self, node: str, metrics: TrafficMetrics) -> None:
        try:
            samples = await self.cluster.subject.metrics(node, metrics.names)
        except (SubjectError, KeyError):  # a node may have left since
            self.latest.pop(node, None)
            self._before.pop(node, None)
            return
        now = _summed(samples, metrics)
        before, self._before[node] = self._before.get(node), now
        found = None if before is None else between(before, now)
        if found is None:
            self.latest.pop(node, None)
        else:
            self.latest[node] = found


def _summed(samples: Sequence[Metric], metrics: TrafficMetrics) -> _Read:
    buckets: dict[float, float] = {}
    for each in samples:
        if metrics.latency(each):
            bound = float(each.labels["le"])
            buckets[bound] = buckets.get(bound, 0.0) + each.value
    return _Read(
        time.monotonic(),
        sum(each.value for each in samples if metrics.requests(each)),
        sum(each.value for each in samples if metrics.errors(each)),
        buckets,
    )


def between(before: _Read, now: _Read) -> Traffic | None:
    """Return the figures of the time between two reads; None where the node restarted its counters."""
    span = now.at - before.at
    requests, errors = now.requests - before.requests, now.errors - before.errors
    if span <= 0 or requests < 0 or errors < 0:
        return None
    counted = {bound: count - before.buckets.get(bound, 0.0) for bound, count in now.buckets.items()}
    return Traffic(requests / span, errors / span, _p99_ms(counted))


def _p99_ms(counted: Mapping[float, float]) -> float | None:
    total = max(counted.values(), default=0.0)
    if total <= 0:
        return None
    bound = min(bound for bound, count in counted.items() if count >= Q * total)
    return None if bound == float("inf") else bound * 1000
