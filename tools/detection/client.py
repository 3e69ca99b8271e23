"""The client's view: what windows of load show of errors, stalls and latency."""

from collections import deque
from collections.abc import Iterator, Mapping
from statistics import median

from tools.observe.figures import Window
from tools.observe.kinds import signal
from tools.observe.limits import Limits, over
from tools.observe.signal import Signal

STALE_S = 3.0
"""Without a window for so long there is no load, and what it complained of is history."""

WHOLE_S = 0.5
"""A window shorter than this is the rest of a load that was stopped; it proves nothing."""


USUAL_WINDOWS = 15
"""What clients usually get done is the median of so many windows; it takes a third of them to be known."""

SLOWER_TIMES, SLOWER_MS = 10.0, 200.0
"""So many times the usual p99, and so many milliseconds, is slow whatever the limit: a store of TiKV's
protocol held to 0.02 cores still served 300 operations a second, and its p99 went from 7 ms to 330."""

FEW = 3
"""Failed attempts in a window, by which it can't be said where they fail."""

MOST = 0.9
"""Of the failed attempts, so many at one node are at that node."""

TROUBLE = frozenset({"stall", "errors", "slow", "trickle"})


class ClientView:
    """Reads windows one after another."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._flowed = False
        self._usual: deque[float] = deque(maxlen=USUAL_WINDOWS)
        """Operations per second of the windows in which clients got done what they asked for."""
        self._usual_p99_ms: deque[float] = deque(maxlen=USUAL_WINDOWS)
        self._n = -1

    def begins_anew(self, window: Window) -> bool:
        """Whether it is the first window of another load than before."""
        return window.n <= self._n

    def read(self, window: Window, reached_at: Mapping[str, str]) -> Iterator[Signal]:
        """Yield what one window shows; `reached_at` has the node's name for each `host:port` of clients."""
        if window.seconds < WHOLE_S:
            return
        found = list(self._read(window))
        yield from found
        if any(each.kind in TROUBLE for each in found):
            yield from _where(window, reached_at)

    def _read(self, window: Window) -> Iterator[Signal]:
        if self.begins_anew(window):
            self._usual.clear()  # another load: it may ask for less, or for something else
            self._usual_p99_ms.clear()
        self._n = window.n
        yield from self._throughput(window)
        failed = window.errors + window.timeouts
        asked = window.operations + failed
        stalled = window.operations == 0 and self._flowed
        self._flowed = self._flowed or window.operations > 0
        yield _seen("stall" if stalled else "flowing", window, f"{window.operations} operations succeeded")
        many = over(self._limits, "client_errors", failed / asked if asked else None)
        raw = f"{failed} of {asked} operations failed ({window.timeouts} timeouts) {window.last_error}"
        yield _seen("errors" if many else "no_errors", window, raw.strip())
        yield self._latency(window)

    def _throughput(self, window: Window) -> Iterator[Signal]:
        """Yield whether clients get as much done as usual: a load that waits for answers makes no errors."""
        rate = window.operations / window.seconds
        if len(self._usual) < USUAL_WINDOWS // 3:
            self._usual.append(rate)
            return
        usual = median(self._usual)
        little = over(self._limits, "client_throughput", 1 - rate / usual if usual else None)
        if not little:
            self._usual.append(rate)
        raw = f"{rate:.0f} operations/s, usually {usual:.0f},"
        yield _seen("trickle" if little else "full_flow", window, raw)

    def _latency(self, window: Window) -> Signal:
        """Return whether clients wait too long: by the limit, or by what they usually wait."""
        p99_ms = window.overall.p99_ms if window.overall else None
        if p99_ms is None:
            return _seen("prompt", window, "no latency measured")
        known = len(self._usual_p99_ms) >= USUAL_WINDOWS // 3
        usual_ms = median(self._usual_p99_ms) if known else None
        slower = usual_ms is not None and p99_ms >= max(SLOWER_MS, SLOWER_TIMES * usual_ms)
        raw = f"p99 {p99_ms:.0f} ms" + (
            f", usually {usual_ms:.0f}," if usual_ms is not None and slower else ""
        )
        if slower or over(self._limits, "client_latency", p99_ms):
            return _seen("slow", window, raw)
        self._usual_p99_ms.append(p99_ms)
        return _seen("prompt", window, raw)


def _seen(kind: str, window: Window, raw: str) -> Signal:
    return signal(kind, None, f"{raw} in {window.seconds:.1f} s", at=window.at)


def _where(window: Window, reached_at: Mapping[str, str]) -> Iterator[Signal]:
    """Yield at which one node attempts fail, where nearly all that fail do so there."""
    failed = {url.rpartition("//")[2]: count for url, count in (window.by_node or {}).items()}
    total = sum(failed.values())
    address = max(failed, key=lambda each: failed[each], default="")
    if total > FEW and failed[address] >= MOST * total and address in reached_at:
        raw = f"{failed[address]} of {total} failed attempts were made at {address}"
        yield signal("failed_here", reached_at[address], f"{raw} in {window.seconds:.1f} s", at=window.at)
