"""Counts and latencies of operations, by kind, gathered into one-second windows and into totals."""

from collections import defaultdict
from collections.abc import Mapping

from hdrh.histogram import HdrHistogram

from subjects import clock
from tools.observe.figures import LoadTotals, OperationFigures, Window

LONGEST_US = 120_000_000
"""Latencies are recorded from one microsecond to two minutes, to three digits."""


def new_histogram() -> HdrHistogram:
    """Return an empty histogram of microseconds."""
    return HdrHistogram(1, LONGEST_US, 3)


def merge_histograms(encoded: list[str]) -> HdrHistogram | None:
    """Return the sum of encoded histograms; None for nothing recorded."""
    merged = new_histogram()
    for one in encoded:
        merged.decode_and_add(one)
    return merged if merged.get_total_count() else None


def percentile_ms(histogram: HdrHistogram | None, percent: float) -> float | None:
    """Return a percentile in milliseconds, or None for nothing recorded."""
    if histogram is None or not histogram.get_total_count():
        return None
    return float(histogram.get_value_at_percentile(percent)) / 1000


class Tally:
    """One kind of operation: latencies of those that succeeded, and counts of the others."""

    def __init__(self) -> None:
        self.errors = 0
        self.timeouts = 0
        self.latency = new_histogram()
        self.service = new_histogram()

    @property
    def operations(self) -> int:
        """How many succeeded."""
        return int(self.latency.get_total_count())

    def add(self, other: "Tally") -> None:
        """Count what `other` counted as well."""
        self.errors += other.errors
        self.timeouts += other.timeouts
        self.latency.add(other.latency)
        self.service.add(other.service)

    def figures(self) -> OperationFigures:
        """Return the counts and percentiles."""
        return OperationFigures(
            operations=self.operations,
            errors=self.errors,
            timeouts=self.timeouts,
            p50_ms=percentile_ms(self.latency, 50),
            p95_ms=percentile_ms(self.latency, 95),
            p99_ms=percentile_ms(self.latency, 99),
            max_ms=percentile_ms(self.latency, 100),
            service_p50_ms=percentile_ms(self.service, 50),
            service_p99_ms=percentile_ms(self.service, 99),
        )


class Recorder:
    """Everything that one load counts. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._n = 0
        self._began = now
        self._window: defaultdict[str, Tally] = defaultdict(Tally)
        self._totals: dict[str, Tally] = {}
        self._seconds = 0.0
        self._last_error = ""

    def begin(self, now: float) -> None:
        """Begin a window here, so that a pause is in none."""
        self._began = now

    def succeeded(self, kind: str, due: float, sent: float, done: float) -> None:
        """Count an operation that was due, sent and done at these times."""
        tally = self._window[kind]
        tally.latency.record_value(_microseconds(done - due))
        tally.service.record_value(_microseconds(done - sent))

    def failed(self, kind: str, text: str, *, timed_out: bool) -> None:
        """Count an operation that did not succeed."""
        tally = self._window[kind]
        if timed_out:
            tally.timeouts += 1
        else:
            tally.errors += 1
        self._last_error = text

    def close_window(self, now: float, failures: dict[str, int]) -> Window:
        """End the window here, begin the next, and return what was counted."""
        for kind, tally in self._window.items():
            self._totals.setdefault(kind, Tally()).add(tally)
        everything = _all(self._window)
        window = Window(
            n=self._n,
            wall=clock.wall(now),
            at=now,
            seconds=now - self._began,
            operations=everything.operations,
            errors=everything.errors,
            timeouts=everything.timeouts,
            by_kind=_figures(self._window, everything),
            last_error=self._last_error,
            by_node=failures,
            latencies=everything.latency.encode().decode(),
        )
        self._seconds += window.seconds
        self._n, self._began, self._window, self._last_error = self._n + 1, now, defaultdict(Tally), ""
        return window

    def totals(self) -> LoadTotals:
        """Return the sum of all windows that were closed."""
        everything = _all(self._totals)
        return LoadTotals(
            seconds=self._seconds,
            operations=everything.operations,
            errors=everything.errors,
            timeouts=everything.timeouts,
            by_kind=_figures(self._totals, everything),
        )


def _all(tallies: Mapping[str, Tally]) -> Tally:
    together = Tally()
    for tally in tallies.values():
        together.add(tally)
    return together


def _figures(tallies: Mapping[str, Tally], everything: Tally) -> dict[str, OperationFigures]:
    return {kind: tally.figures() for kind, tally in {**tallies, "all": everything}.items()}


def _microseconds(seconds: float) -> int:
    return min(LONGEST_US, max(1, round(seconds * 1e6)))
