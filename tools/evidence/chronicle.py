"""The chronicle: signals, results, an incident's own entries and the load's windows, in one order of time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tools.incidents.record import Incident
from tools.load.figures import Window
from tools.workbench import Workbench

TEXT_CHARS = 240
MAX_WINDOWS = 60
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


@dataclass(frozen=True, slots=True)
class Line:
    """One entry."""

    wall: float
    source: str
    text: str
    node: str | None = None
    evidence: str | None = None
    ok: bool = True

    def told(self, zero: float) -> dict[str, Any]:
        """Return it as JSON, its time in seconds after `zero`."""
        cut = "…" if len(self.text) > TEXT_CHARS else ""
        told = {
            "seconds": round(self.wall - zero, 3),
            "source": self.source,
            "node": self.node,
            "evidence": self.evidence,
            "text": f"{self.text[:TEXT_CHARS]}{cut}",
        }
        return told if self.ok else {**told, "ok": False}


def entries(
    workbench: Workbench, incident: Incident | None, span: Span, *, sources: Sequence[str], node: str | None
) -> list[Line]:
    """Return everything in the span, oldest first."""
    lines = [*_of_ledger(workbench), *_of_incident(workbench, incident), *_of_detections(workbench)]
    chosen = (
        line
        for line in lines
        if line.wall in span
        and (not sources or line.source in sources)
        and (node is None or line.node in {None, node})
    )
    return sorted(chosen, key=lambda line: line.wall)


def _of_ledger(workbench: Workbench) -> Iterator[Line]:
    for item in workbench.ledger:
        if item.source != _OWN:
            yield Line(item.wall, item.source.removeprefix(_SIGNAL), item.text, item.node, item.id, item.ok)


def _of_incident(workbench: Workbench, incident: Incident | None) -> Iterator[Line]:
    """Yield what only the incident's record has: signals of this session are in the ledger already."""
    if incident is None:
        return
    known = {(round(item.wall, 3), item.node) for item in workbench.ledger if item.source.startswith(_SIGNAL)}
    for entry in incident.entries:
        if (round(entry.wall, 3), entry.node) not in known:
            yield Line(entry.wall, entry.source, entry.text, entry.node)


def _of_detections(workbench: Workbench) -> Iterator[Line]:
    for made in workbench.monitor.detections if workbench.monitor else ():
        node = made.nodes[0] if len(made.nodes) == 1 else None
        yield Line(made.wall, "monitor", f"detection: {made.text}", node)


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
    hurt = [window for window in inside if window.errors or window.timeouts]
    p99s = [window.overall.p99_ms for window in inside if window.overall]
    return {
        "seconds_measured": len(inside),
        "seconds_with_errors": len(hurt),
        "first_error_seconds": round(hurt[0].wall - hurt[0].seconds - span.zero, 1) if hurt else None,
        "last_error_seconds": round(hurt[-1].wall - span.zero, 1) if hurt else None,
        "errors": sum(window.errors for window in hurt),
        "timeouts": sum(window.timeouts for window in hurt),
        "fewest_ops": min((window.operations for window in inside), default=None),
        "worst_p99_ms": max((p99 for p99 in p99s if p99 is not None), default=None),
    }
