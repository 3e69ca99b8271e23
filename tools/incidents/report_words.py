"""How figures, names and the heading are written in reports, in Markdown and HTML alike."""

from collections.abc import Mapping, Sequence
from typing import Any

NOT_MEASURED = "not measured"

IMPACT = (
    ("seconds_open", "From first signal to recovery", "s"),
    ("seconds_measured", "Seconds in which the load was measured", ""),
    ("seconds_with_errors", "of these with failed operations", ""),
    ("failed_operations", "Failed operations", ""),
    ("fewest_ops_in_a_second", "Fewest operations in a second", ""),
    ("worst_p99_ms", "Worst p99 of a second", "ms"),
    ("longest_stall_s", "Longest time without any success", "s"),
    ("acknowledged_writes", "Acknowledged writes, all read back", ""),
    ("acknowledged_writes_lost", "of these lost or changed", ""),
    ("writes_unreadable", "Keys that could not be read back", ""),
    ("writes_unanswered", "Writes without an answer, which may or may not have happened", ""),
    ("came_back", "Came back by itself", "times"),
)

MARKS = (
    ("injected", "Fault injected"),
    ("first_signal", "First signal"),
    ("detected", "Detected"),
    ("healed", "Healed"),
    ("recovered", "Recovered"),
)

HELD = {True: "as predicted", False: "not as predicted", None: NOT_MEASURED}

LOAD_COLUMNS = (
    ("ops_per_s", "Operations/s"),
    ("p50_ms", "p50 ms"),
    ("p99_ms", "p99 ms"),
)
"""Failed operations are told once, under the impact."""


def title(data: Mapping[str, Any]) -> str:
    """Return the incident in a line: what happened, and what it cost clients where that was measured."""
    impact = data["impact"]
    costs = [
        (impact["seconds_with_errors"], "{:,} s with errors"),
        (impact["failed_operations"], "{:,} failed operations"),
        (impact["acknowledged_writes_lost"], "{:,} acknowledged writes lost"),
    ]
    measured = ", ".join(words.format(value) for value, words in costs if value is not None)
    text: str = data["text"]
    return f"{text} · {measured}" if measured else text


def impact(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what clients felt, as far as it was measured."""
    found = data["impact"]
    return [
        (words, figure(found[name], unit))
        for name, words, unit in IMPACT
        if found[name] is not None and (name != "came_back" or found[name])
    ]


def in_order(marks: Mapping[str, float | None]) -> list[tuple[str, float]]:
    """Return what is known of when things happened; at one time in the order of MARKS."""
    known = [(words, at) for name, words in MARKS if (at := marks[name]) is not None]
    return sorted(known, key=lambda mark: mark[1])


def knew(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return who knew, when (of the usual alert: when it would fire), and how, of `who_knew_when`."""
    return [
        (row["who"], ("" if row["measured"] else "would fire: ") + seconds(row["seconds"]), row["how"])
        for row in rows
    ]


def load(data: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the load's figures before, during and after, as LOAD_COLUMNS."""
    return [
        (name, *(figure(values.get(key)) for key, _ in LOAD_COLUMNS)) for name, values in data["load"].items()
    ]


def figure(value: Any, unit: str = "") -> str:
    """Return a figure with the three digits that a measurement here is good for; None is said, not nought."""
    if value is None:
        return NOT_MEASURED
    if isinstance(value, bool):
        return "yes" if value else "no"
    whole = isinstance(value, int) or abs(value) >= 100
    return f"{f'{value:,.0f}' if whole else f'{value:.3g}'} {unit}".strip()


def seconds(value: float | None) -> str:
    """Return seconds after the first signal, signed, as exact as they are worth: `+0.459 s`, `+20 min`."""
    if value is None:
        return NOT_MEASURED
    size = abs(value)
    if size < 0.0005:
        return "0 s"
    if size < 120:
        return f"{value:+.{3 if size < 1 else 2 if size < 10 else 1}f} s"
    return f"{value / 60:+.3g} min" if size < 7200 else f"{value / 3600:+.3g} h"


def alternatives(diagnosis: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Return (cause, what rules it out) of a diagnosis."""
    return [(str(item["cause"]), str(item["ruled_out_by"])) for item in diagnosis.get("ruled_out", ())]


def what(diagnosis: Mapping[str, Any]) -> str:
    """Return what a diagnosis concludes, in a phrase: `crash of etcd-2`."""
    return f"{diagnosis['kind']} of {', '.join(diagnosis.get('nodes') or ()) or 'no node'}"


def conclusion(data: Mapping[str, Any]) -> str | None:
    """Return what was injected beside what was concluded; None where nothing was injected."""
    injected, diagnosis = data.get("injected"), data.get("diagnosis")
    if not injected:
        return None
    said = what(diagnosis) if diagnosis else "nothing"
    where = ", ".join(injected["nodes"]) or "no node"
    return f"Injected: {injected['kind']} on {where}; diagnosed: {said}."
