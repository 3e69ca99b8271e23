"""The client's view: what windows of load tell of errors, stalls and latency."""

from collections.abc import Iterator, Mapping

from subjects.base import Invariant
from tools.detection.board import Observation
from tools.detection.looks import Well
from tools.detection.signals import Source
from tools.load.figures import Window

STALE_S = 3.0
"""Without a window for so long there is no load, and what it complained of is history."""

WHOLE_S = 0.5
"""A window shorter than this is the rest of a load that was stopped; it proves nothing."""


class ClientView:
    """Reads windows one after another."""

    def __init__(self, invariants: Mapping[str, Invariant]) -> None:
        self._errors = invariants["client_errors"].threshold
        self._latency_ms = invariants["client_latency"].threshold
        self._flowed = False

    def read(self, window: Window) -> Iterator[Observation | Well]:
        """Say what one window tells."""
        if window.seconds < WHOLE_S:
            return
        failed = window.errors + window.timeouts
        asked = window.operations + failed
        if window.operations == 0 and self._flowed:
            raw = f"no operation succeeded in {window.seconds:.1f} s, {failed} failed {window.last_error}"
            yield _seen("stall", raw.strip(), window)
        else:
            yield Well(Source.CLIENT, None, ("stall",))
        self._flowed = self._flowed or window.operations > 0
        if asked and failed / asked > self._errors:
            raw = f"{failed} of {asked} operations failed ({window.timeouts} timeouts) {window.last_error}"
            yield _seen("errors", raw.strip(), window)
        else:
            yield Well(Source.CLIENT, None, ("errors",))
        overall = window.overall
        if overall and overall.p99_ms is not None and overall.p99_ms > self._latency_ms:
            yield _seen("slow", f"p99 {overall.p99_ms:.0f} ms over {window.seconds:.1f} s", window)
        else:
            yield Well(Source.CLIENT, None, ("slow",))


def _seen(kind: str, raw: str, window: Window) -> Observation:
    return Observation(Source.CLIENT, kind, None, raw, window.at)
