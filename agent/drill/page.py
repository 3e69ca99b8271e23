"""A drill, or two compared, as one HTML page: no script, nothing loaded."""

from html import escape
from typing import Any

from agent.drill.tables import FAULT_COLUMNS, TRIAL_COLUMNS, fault_rows, seconds, share, totals, trial_rows
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
    return [_difference_row(each) for each in result["differences"]]


def _difference_row(each: dict[str, Any]) -> tuple[str, ...]:
    measure = str(each["measure"])
    figure = seconds if measure.endswith("_s") else share
    return (
        _MEASURES.get(measure, measure.replace("_", " ")),
        figure(each["a"]),
        figure(each["b"]),
        "–" if each["p"] is None else f"{each['p']:.3f}",
        "the same" if each["a"] == each["b"] is not None else str(each["verdict"]),
        "–" if each["test"] == "none" else str(each["test"]),
    )


def _wrong(result: dict[str, Any]) -> str:
    """Return the trials that were diagnosed wrong, with what was concluded."""
    parts = []
    for trial in result["trials"]:
        why = trial["problem"]
        if not (why or (trial["node_right"] and trial["kind_right"])):
            why = str((trial["diagnosis"] or {}).get("root_cause", "no diagnosis"))
        if why:
            parts.append(f"<p>Trial {trial['n']}, {escape(trial['fault'])}: {escape(why)}</p>")
    return "".join(parts)
