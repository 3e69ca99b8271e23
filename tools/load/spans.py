"""Figures over a span of windows."""

from collections.abc import Iterable

from tools.load.recorder import merge_histograms, percentile_ms
from tools.observe.figures import LoadFigures, Window

NOT_MEASURED = LoadFigures(None, None, None, None)

EDGE_S = 0.05
"""A window belongs to a span if no more than this of it lies outside."""


def between(windows: Iterable[Window], since: float, until: float) -> list[Window]:
    """Return the windows that lie wholly in the span of monotonic times."""
    return [
        window
        for window in windows
        if window.at - window.seconds >= since - EDGE_S and window.at <= until + EDGE_S
    ]


def failed(
    windows: Iterable[Window], since: float, until: float, deadline_s: float
) -> tuple[float | None, int | None]:
    """Return in how many seconds operations of the span failed, and how many did; None is `not measured`.

    One that runs out of time is counted when it does, up to `deadline_s` after it was due.
    """
    found = between(windows, since, until + deadline_s)
    if not found:
        return None, None
    bad = [window for window in found if window.errors or window.timeouts]
    return round(sum(each.seconds for each in bad), 1), sum(each.errors + each.timeouts for each in bad)


def summed(windows: list[Window]) -> LoadFigures:
    """Return the figures of all windows together; percentiles are of all their operations, not averages."""
    seconds = sum(window.seconds for window in windows)
    if seconds <= 0:
        return NOT_MEASURED
    whole = all(window.latencies or not window.operations for window in windows)
    merged = merge_histograms([w.latencies for w in windows if w.latencies]) if whole else None
    return LoadFigures(
        ops_per_s=sum(window.operations for window in windows) / seconds,
        p50_ms=percentile_ms(merged, 50),
        p99_ms=percentile_ms(merged, 99),
        errors=sum(window.errors + window.timeouts for window in windows),
    )
