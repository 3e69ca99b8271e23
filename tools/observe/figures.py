"""What a load measured: one-second windows, and figures over a span of them."""

from collections.abc import Mapping
from dataclasses import dataclass

WINDOW_S = 1.0
"""A load is told of in windows of so many seconds."""
_NO_WRITES = frozenset({"read", "scan", "all"})


@dataclass(frozen=True, slots=True)
class OperationFigures:
    """One kind of operation in one window. Latency counts from when the operation was due.

    Percentiles are of the operations that succeeded; what timed out has no latency and is counted apart.
    """

    operations: int
    """Completed with success."""
    errors: int
    timeouts: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    service_p50_ms: float | None = None
    """From when it was really sent: what the server alone took."""
    service_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """One second of load."""

    n: int
    """Windows since the run phase began, from 0."""
    wall: float
    """Seconds since the epoch at its end."""
    at: float
    """Monotonic seconds at its end."""
    seconds: float
    operations: int
    """Completed with success, all kinds."""
    errors: int
    timeouts: int
    by_kind: Mapping[str, OperationFigures]
    """read, update, insert, scan, read_modify_write, and `all`."""
    last_error: str = ""
    by_node: Mapping[str, int] | None = None
    """Failed attempts by endpoint, where the driver can tell; also those that succeeded elsewhere, which
    are no errors."""
    latencies: str = ""
    """All latencies of the window in microseconds, an encoded HdrHistogram (V2, base64): percentiles over
    several windows are made of these. Empty where the source keeps none."""

    @property
    def overall(self) -> OperationFigures | None:
        """The figures of all kinds together; None where the source measures each kind alone."""
        return self.by_kind.get("all")

    @property
    def written(self) -> int | None:
        """Writes completed with success; None where no write ended in it, well or not."""
        ended = [figures.operations for kind, figures in self.by_kind.items() if kind not in _NO_WRITES]
        return sum(ended) if ended else None


@dataclass(frozen=True, slots=True)
class LoadTotals:
    """Everything from the first window of a load to its last."""

    seconds: float
    operations: int
    errors: int
    timeouts: int
    by_kind: Mapping[str, OperationFigures]
    """As in `Window`, with `all`."""


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """A span of windows in sum, as a `result` tells it. None is `not measured`."""

    ops_per_s: float | None
    p50_ms: float | None
    p99_ms: float | None
    errors: int | None
    """Errors and timeouts together."""


@dataclass(frozen=True, slots=True)
class WriteCheck:
    """Every acknowledged write read back and compared."""

    acknowledged: int
    """Writes that the database acknowledged since the load began."""
    keys: int
    """Keys that they went to, each read back once."""
    lost: int
    """Keys that are gone or hold an older value than was acknowledged."""
    changed: int
    """Keys that hold a value nobody wrote."""
    indeterminate: int
    """Writes that got no answer and may or may not have happened; never counted as lost."""
    unreadable: int = 0
    """Keys that could not be read back at all: then nothing is proven."""
