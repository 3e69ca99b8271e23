"""A drill, or two compared, as one HTML page: no script, nothing loaded."""

from html import escape
from typing import Any

from agent.drill.tables import FAULT_COLUMNS, TRIAL_COLUMNS, fault_rows, seconds, totals, trial_rows
from tools.incidents.report_html import escaped, page, table


def drill_page(result: dict[str, Any]) -> str:
    """Return the page of a drill's `result`."""
    return page(
        f"Drill of {result['cluster']}, seed {result['seed']}",
        f"{len(result['trials'])} trials, diagnosed by {result['diagnostician']}",
        [
            ("totals", "Totals", table("The whole drill", (), escaped(totals(result)))),
            ("faults", "By fault", table("Each fault", FAULT_COLUMNS, escaped(fault_rows(result)))),
            ("trials", "Trials", table("Each trial", TRIAL_COLUMNS, escaped(trial_rows(result)))),
            ("wrong", "What was wrong", _wrong(result)),
        ],
        "Times count from the injection, those of trials from their own beginning.",
    )


def comparison_page(result: dict[str, Any], a: dict[str, Any], b: dict[str, Any]) -> str:
    """Return the page of two drills compared (agent.drill.compare), and of each by fault."""
    columns = ("measure", "A", "B", "p", "verdict", "test")
    return page(
        "Two drills compared",
        "The same trials in both" if result["paired"] else "Different trials",
        [
            ("differences", "Differences", table("Measures", columns, escaped(difference_rows(result)))),
            ("a", compared(result, "a"), table("A by fault", FAULT_COLUMNS, escaped(fault_rows(a)))),
            ("b", compared(result, "b"), table("B by fault", FAULT_COLUMNS, escaped(fault_rows(b)))),
        ],
        f"A difference is called more than chance where p is below {result['alpha']}.",
    )


def compared(result: dict[str, Any], name: str) -> str:
    """Return which drill one of the two is: `A: seed 7, 20 trials, diagnosed by rules`."""
    run = result[name]
    return f"{name.upper()}: seed {run['seed']}, {run['trials']} trials, diagnosed by {run['diagnostician']}"


_MEASURES = {
    "detect_s": "detected after (mean)",
    "diagnose_s": "diagnosed after (mean)",
    "heal_s": "recovered after (mean)",
}


def difference_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the differences as rows: shares as percentages, times with their unit."""
    return [
        (
            _MEASURES.get(str(each["measure"]), str(each["measure"]).replace("_", " ")),
            _figure(each["measure"], each["a"]),
            _figure(each["measure"], each["b"]),
            "–" if each["p"] is None else f"{each['p']:.3f}",
            "the same" if each["a"] == each["b"] is not None else str(each["verdict"]),
            "–" if each["test"] == "none" else str(each["test"]),
        )
        for each in result["differences"]
    ]


def _figure(measure: str, value: float | None) -> str:
    if value is None:
        return "–"
    return seconds(value) if measure.endswith("_s") else f"{value:.0%}".replace("%", " %")


def _wrong(result: dict[str, Any]) -> str:
    """Return the trials that were diagnosed wrong, with what was concluded."""
    parts = []
    for trial in result["trials"]:
        if trial["problem"]:
            parts.append(f"<p>Trial {trial['n']}, {escape(trial['fault'])}: {escape(trial['problem'])}</p>")
        elif not (trial["node_right"] and trial["kind_right"]):
            cause = (trial["diagnosis"] or {}).get("root_cause", "no diagnosis")
            parts.append(f"<p>Trial {trial['n']}, {escape(trial['fault'])}: {escape(str(cause))}</p>")
    return "".join(parts)
