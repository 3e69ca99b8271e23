"""The chronicle: signals, results, an incident's own entries and the load's windows, in one order of time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tools.observe.figures import Window
from tools.observe.incident import SeenIncident
from tools.observe.ledger import Evidence
from tools.observe.observed import Observed

TEXT_CHARS = 240
MAX_WINDOWS = 60

WHOLE_S = 0.9
"""A window shorter than this was cut by the end of the load, and is no second to compare with others."""

_SIGNAL = "signal:"
_OWN = "timeline"
"""Its own earlier results would only repeat what is in it."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time around a zero, which is wall time."""

    zero: float
    from_s: float
    to_s: float

    @property
    def since(self) -> float:
        """Its begin in wall time."""
        return self.zero + self.from_s

    @property
    def until(self) -> float:
        """Its end in wall time."""
        return self.zero + self.to_s

    def __contains__(self, wall: float) -> bool:
        return self.since <= wall <= self.until


def entries(
    observed: Observed, incident: SeenIncident | None, span: Span, *, sources: Sequence[str], node: str | None
) -> list[Evidence]:
    """Return everything in the span, oldest first."""
    seen = [*_of_ledger(observed), *_of_incident(observed, incident), *_of_detections(observed)]
    chosen = (
        each
        for each in seen
        if each.wall in span
        and (not sources or each.source in sources)
        and (node is None or each.node in {None, node})
    )
    return sorted(chosen, key=lambda each: each.wall)


def entry_json(entry: Evidence, zero: float) -> dict[str, Any]:
    """Return an entry as JSON, its time in seconds after `zero`."""
    cut = "…" if len(entry.text) > TEXT_CHARS else ""
    shown = {
        "seconds": round(entry.wall - zero, 3),
        "source": entry.source,
        "node": entry.node,
        "evidence": entry.id or None,
        "text": f"{entry.text[:TEXT_CHARS]}{cut}",
    }
    return shown if entry.ok else {**shown, "ok": False}


def _of_ledger(observed: Observed) -> Iterator[Evidence]:
    for item in observed.ledger:
        if item.source != _OWN:
            yield replace(item, source=item.source.removeprefix(_SIGNAL))


def _of_incident(observed: Observed, incident: SeenIncident | None) -> Iterator[Evidence]:
    """Yield what only the incident's record has: signals of this session are in the ledger already."""
    if incident is None:
        return
    known = {(round(item.wall, 3), item.node) for item in observed.ledger if item.source.startswith(_SIGNAL)}
    for signal in incident.signals:
        if (round(signal.wall, 3), signal.node) not in known:
            yield Evidence(
                signal.evidence or "", str(signal.source), signal.raw, signal.at, signal.wall, signal.node
            )


def _of_detections(observed: Observed) -> Iterator[Evidence]:
    for made in observed.monitor.detections if observed.monitor else ():
        node = made.nodes[0] if len(made.nodes) == 1 else None
        yield Evidence("", "monitor", f"detection: {made.text}", made.at, made.wall, node)


def load_windows(windows: Iterable[Window], span: Span) -> list[dict[str, Any]]:
    """Return the windows in the span, the last MAX_WINDOWS of them."""
    return [
        {
            "seconds": round(window.wall - span.zero, 1),
            "ops": window.operations,
            "errors": window.errors,
            "timeouts": window.timeouts,
            "p50_ms": window.overall.p50_ms if window.overall else None,
            "p99_ms": window.overall.p99_ms if window.overall else None,
        }
        for window in windows
        if window.wall in span
    ][-MAX_WINDOWS:]


def client_effect(windows: Iterable[Window], span: Span) -> dict[str, Any]:
    """Return for how long clients were affected: the windows with errors or time-outs in the span."""
    inside = [window for window in windows if window.wall in span]
    whole = [window for window in inside if window.seconds >= WHOLE_S]
    hurt = [window for window in inside if window.errors or window.timeouts]
    p99s = [window.overall.p99_ms for window in inside if window.overall]
    return {
        "seconds_measured": len(inside),
        "seconds_with_errors": len(hurt),
        "first_error_seconds": round(hurt[0].wall - hurt[0].seconds - span.zero, 1) if hurt else None,
        "last_error_seconds": round(hurt[-1].wall - span.zero, 1) if hurt else None,
        "errors": sum(window.errors for window in hurt),
        "timeouts": sum(window.timeouts for window in hurt),
        "fewest_ops": min((window.operations for window in whole), default=None),
        "worst_p99_ms": max((p99 for p99 in p99s if p99 is not None), default=None),
    }
