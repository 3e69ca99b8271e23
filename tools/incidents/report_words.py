"""How figures and names are written in reports, in Markdown and HTML alike."""

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

LOAD_COLUMNS = (
    ("ops_per_s", "Operations/s"),
    ("p50_ms", "p50 ms"),
    ("p99_ms", "p99 ms"),
)
"""Failed operations are told once, under the impact."""


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


def conclusion(data: Mapping[str, Any]) -> str | None:
    """Return what was injected beside what was concluded; None where nothing was injected."""
    injected, diagnosis = data.get("injected"), data.get("diagnosis")
    if not injected:
        return None
    said = "nothing"
    if diagnosis:
        nodes = ", ".join(diagnosis.get("nodes") or ()) or "no node"
        said = f"{diagnosis['kind']} of {nodes}"
    where = ", ".join(injected["nodes"]) or "no node"
    return f"Injected: {injected['kind']} on {where}; diagnosed: {said}."
