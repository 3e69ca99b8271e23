"""Which of a database's own metrics tell what its clients get: a module `traffic` in its folder says it."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from subjects.base.subject import Metric

Chosen = Callable[[Metric], bool]


@dataclass(frozen=True, slots=True)
class TrafficMetrics:
    """Counters and a histogram of one node's own metrics."""

    names: tuple[str, ...]
    """Beginnings of the metrics' names: what is asked for."""
    requests: Chosen
    """Counters of the clients' requests that were answered, well or not."""
    errors: Chosen
    """Counters of those that failed by the server's fault."""
    latency: Chosen
    """Buckets (`le` in seconds) of the histogram whose p99 is shown."""
    latency_of: str
    """What that histogram measures, in a word."""


def traffic_metrics(subject: str) -> TrafficMetrics | None:
    """Return the metrics of that database; None where none are known."""
    try:
        module = importlib.import_module(f"subjects.{subject}.traffic")
    except ModuleNotFoundError:
        return None
    found: TrafficMetrics = module.TRAFFIC
    return found
