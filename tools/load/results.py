"""Figures of a load in the results of the load tools: rounded, and null where nothing was measured."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from tools.observe.figures import LoadFigures, LoadTotals, OperationFigures, Window, WriteCheck


def figures(measured: LoadFigures) -> dict[str, Any]:
    """Return the figures of a span as a `result` tells them."""
    return _rounded(asdict(measured))


def in_a_line(measured: LoadFigures) -> str:
    """Return figures in a line for a person."""
    if measured.ops_per_s is None:
        return "nothing was measured yet"
    latency = (
        ""
        if measured.p50_ms is None
        else f", p50 {measured.p50_ms:.1f} ms, p99 {measured.p99_ms or 0:.1f} ms"
    )
    return f"{measured.ops_per_s:.0f} operations/s{latency}, {measured.errors} errors"


def totals(measured: LoadTotals) -> dict[str, Any]:
    """Return the figures of a whole load."""
    return {
        "seconds": round(measured.seconds, 1),
        "operations": measured.operations,
        "errors": measured.errors,
        "timeouts": measured.timeouts,
        "by_kind": by_kind(measured.by_kind),
    }


def by_kind(measured: Mapping[str, OperationFigures]) -> dict[str, Any]:
    """Return the figures of each kind of operation."""
    return {kind: _rounded(asdict(each)) for kind, each in measured.items()}


def seconds(windows: Iterable[Window], now_wall: float) -> list[dict[str, Any]]:
    """Return a short row for each window, by how long ago it ended."""
    rows = []
    for window in windows:
        row: dict[str, Any] = {
            "seconds_ago": round(now_wall - window.wall, 1),
            "operations": window.operations,
            "errors": window.errors,
            "timeouts": window.timeouts,
            "p99_ms": window.overall.p99_ms if window.overall else None,
        }
        if window.last_error:
            row["last_error"] = window.last_error[:200]
        if window.by_node:
            row["failed_attempts_by_endpoint"] = dict(window.by_node)
        rows.append(_rounded(row))
    return rows


def writes(check: WriteCheck) -> dict[str, Any]:
    """Return what reading back showed; `kept` is true only if every acknowledged write was read and right."""
    return {"kept": not (check.lost or check.changed or check.unreadable), **asdict(check)}


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: round(value, 2) if isinstance(value, float) else value for key, value in values.items()}
