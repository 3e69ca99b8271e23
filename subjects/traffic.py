"""A database's own metrics: how a page is read, and which tell what clients get (its module `traffic`)."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

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


def read_metrics(page: bytes, names: Sequence[str]) -> list[Metric]:
    """Return the samples whose names begin with one of `names`; ValueError for what is no page of metrics.

    A page may have megabytes, and the parser is made for completeness: it is given only those lines.
    """
    wanted = tuple(names)
    lines = [line for line in page.decode(errors="replace").splitlines() if line.startswith(wanted)]
    return [
        Metric(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families("\n".join(lines) + "\n")
        for sample in family.samples
    ]


def traffic_metrics(subject: str) -> TrafficMetrics | None:
    """Return the metrics of that database; None where none are known."""
    try:
        module = importlib.import_module(f"subjects.{subject}.traffic")
    except ModuleNotFoundError:
        return None
    found: TrafficMetrics = module.TRAFFIC
    return found
