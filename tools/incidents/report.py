"""The report of one incident: everything that is known of it, as data that every format is made of."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tools.incidents.record import Incident, utc
from tools.observe.incident import State

Format = Literal["md", "json", "html"]

WHOLE_S = 0.9
"""A window shorter than this is the load's last, cut by its end, and no second to compare with others."""

GRAVE = frozenset({"quorum", "data_intact"})
"""Invariants without which the cluster can write nothing, or not be believed."""


def render(incident: Incident, form: Format) -> str:
    """Return the incident's report as Markdown, JSON or one HTML file; figures are the same in all."""
    data = report(incident)
    match form:
        case "json":
            return json.dumps(data, ensure_ascii=False, indent=1) + "\n"
        case "md":
            from tools.incidents.report_markdown import markdown

            return markdown(data)
        case "html":
            from tools.incidents.report_html import html

            return html(data)


def report(incident: Incident) -> dict[str, Any]:
    """Return the report as JSON. Seconds count from the first signal; None is `not measured`."""
    figures = incident.figures
    windows = _windows(figures.get("windows") or (), incident.opened)
    load = figures.get("load") or {}
    impact = _impact(incident, windows, load)
    return {
        "incident": incident.id,
        "cluster": incident.cluster,
        "state": incident.state.value,
        "opened": utc(incident.opened),
        "nodes": list(incident.nodes),
        "invariants": list(incident.invariants),
        "text": incident.text,
        "severity": _severity(incident, impact),
        "topology": figures.get("topology"),
        "summary": _summary(incident),
        "impact": impact,
        "marks": marks(incident),
        "timeline": [
            {**signal.as_json(incident.opened), "utc": utc(signal.wall)} for signal in incident.signals
        ],
        "who_knew_when": [knower.as_json() for knower in incident.knew],
        "load": {name: load[name] for name in ("before", "during", "after") if name in load},
        "windows": windows,
        "diagnosis": dict(incident.diagnosis) if incident.diagnosis else None,
        "evidence": dict(figures.get("evidence") or {}),
        "injected": figures.get("injected"),
        "prediction": figures.get("prediction"),
        "undo": {**(figures.get("undo") or {}), "text": incident.heal_text or None},
        "writes": figures.get("writes"),
        "next": _next(incident),
    }


def _summary(incident: Incident) -> str:
    parts = [f"{incident.text}."]
    diagnosis = incident.diagnosis
    if diagnosis:
        held = "" if diagnosis.get("verified") else " This was not verified."
        cause, sure = str(diagnosis["root_cause"]).rstrip("."), diagnosis.get("confidence")
        parts.append(f"Root cause ({sure} confidence): {cause}.{held}")
    else:
        parts.append("It was not diagnosed.")
    match incident.state:
        case State.RECOVERED:
            seconds = (incident.recovered or incident.opened) - incident.opened
            parts.append(f"It recovered {seconds:.1f} s after the first signal.")
        case State.UNWATCHED:
            parts.append("A recovery was not observed: the watching ended before.")
        case State.OPEN:
            parts.append("It is not over.")
    return " ".join(parts)


def _impact(
    incident: Incident, windows: Sequence[Mapping[str, Any]], load: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what clients felt: over the windows from the fault (the first signal) to the recovery."""
    until = None if incident.recovered is None else incident.recovered - incident.opened
    since = min(0.0, marks(incident)["injected"] or 0.0)
    inside = [w for w in windows if w["seconds"] >= since and (until is None or w["seconds"] <= until + 1.0)]
    felt = load.get("seconds_with_errors"), load.get("failed_operations")
    if windows and felt[1] is None:  # nobody healed it and measured that
        felt = sum(w["errors"] > 0 for w in inside), sum(w["errors"] for w in inside)
    writes = incident.figures.get("writes") or {}
    p99s = [w["p99_ms"] for w in inside if w["p99_ms"] is not None]
    return {
        "seconds_open": None if until is None else round(until, 3),
        "seconds_measured": len(inside) if windows else None,
        "seconds_with_errors": felt[0],
        "failed_operations": felt[1],
        "fewest_ops_in_a_second": min((w["operations"] for w in inside if w["whole"]), default=None),
        "worst_p99_ms": max(p99s, default=None),
        "longest_stall_s": load.get("longest_stall_s"),
        "acknowledged_writes": load.get("acknowledged_writes"),
        "acknowledged_writes_lost": load.get("acknowledged_writes_lost"),
        "writes_unreadable": writes.get("unreadable") or None,
        "writes_unanswered": writes.get("indeterminate"),
        "came_back": incident.reopened,
    }


def _severity(incident: Incident, impact: Mapping[str, Any]) -> str | None:
    """Return how bad it was for clients, with the reason; None where no load measured that."""
    if impact["acknowledged_writes_lost"]:
        return "critical: acknowledged writes were lost or changed"
    if GRAVE & set(incident.invariants):
        return f"critical: {', '.join(sorted(GRAVE & set(incident.invariants)))} was broken"
    if impact["failed_operations"] is None:
        return None
    if impact["longest_stall_s"]:
        return "major: for a time no operation succeeded"
    return "major: operations failed" if impact["failed_operations"] else "minor: clients saw no error"


def marks(incident: Incident) -> dict[str, float | None]:
    """Return when things happened, in seconds after the first signal."""
    given = incident.figures.get("marks") or {}
    walls = {
        "injected": given.get("injected"),
        "first_signal": incident.opened,
        "detected": given.get("detected"),
        "healed": given.get("healed") or incident.healed,
        "recovered": incident.recovered or given.get("recovered"),
    }
    return {name: None if wall is None else round(wall - incident.opened, 3) for name, wall in walls.items()}


def _windows(windows: Sequence[Mapping[str, Any]], opened: float) -> list[dict[str, Any]]:
    """Return the windows with the second at which each ends; the last may be shorter than a second."""
    rows = []
    before: float | None = None
    for window in windows:
        gap_s = 1.0 if before is None else window["wall"] - before
        length_s = min(1.0, max(0.01, gap_s))
        before = window["wall"]
        rows.append(
            {
                "seconds": round(window["wall"] - opened, 2),
                "whole": length_s >= WHOLE_S,
                "operations": window["operations"],
                "ops_per_s": round(window["operations"] / length_s, 1),
                "errors": window["errors"],
                "p50_ms": window["p50_ms"],
                "p99_ms": window["p99_ms"],
            }
        )
    return rows


def _span(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"


def _next(incident: Incident) -> list[str]:
    """Return what to do: the diagnosis' advice, then what the incident itself asks for."""
    steps = list((incident.diagnosis or {}).get("suggested_actions") or ())
    if incident.diagnosis is None:
        steps.append("Diagnose it while evidence is fresh.")
    if incident.state is not State.RECOVERED:
        steps.append("Check that the cluster is healthy now: no recovery was observed.")
    if incident.reopened:
        steps.append(f"Find out why it came back {incident.reopened} time(s) by itself.")
    usual = next((knower for knower in incident.knew if not knower.measured and knower.seconds), None)
    if usual is not None:
        rule = f"{usual.who} would fire after {_span(usual.seconds or 0.0)}; {usual.how}"
        steps.append(f"Compare with your alerting: {rule}.")
    return steps
