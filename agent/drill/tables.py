"""A drill's result as rows, for terminals and pages: controls as controls, totals, recovery and losses."""

from typing import Any

from agent.drill.score import percentile

FAULT_COLUMNS = (
    "fault",
    "trials",
    "detected",
    "node right",
    "kind right",
    "detected after (p50)",
    "recovered after (p50)",
)
TRIAL_COLUMNS = ("n", "fault", "on", "detected after", "diagnosis", "verdict", "recovered after", "took")


def fault_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row a fault, its times being medians, and one in sum."""
    trials = result["trials"]
    rows = []
    for name, row in result["by_fault"].items():
        some = [trial for trial in trials if trial["fault"] == name]
        detect_s = None if some[0]["control"] else row["detection_p50_s"]
        healed = sorted(trial["heal_s"] for trial in some if trial["heal_s"] is not None)
        rows.append(_fault_row(name, some, _detected(some), detect_s, percentile(healed, 0.5)))
    due = [trial for trial in trials if not trial["control"]]
    detected = f"{sum(trial['detected'] for trial in due)}/{len(due)}"
    in_sum = _fault_row("all", trials, detected, result["detection_p50_s"], result["heal_p50_s"])
    return [*rows, in_sum]


def _fault_row(
    name: str, trials: list[dict[str, Any]], detected: str, detect_s: float | None, heal_s: float | None
) -> tuple[str, ...]:
    of = len(trials)
    right = (sum(trial[f"{what}_right"] for trial in trials) for what in ("node", "kind"))
    return (name, str(of), detected, *(f"{n}/{of}" for n in right), seconds(detect_s), seconds(heal_s))


def trial_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row a trial."""
    return [
        (
            str(trial["n"]),
            trial["fault"],
            ", ".join(trial["nodes"]) or "–",
            _alarm(trial),
            " ".join((trial["diagnosed_kind"] or "none made", "+".join(trial["diagnosed_nodes"]))).strip(),
            verdict(trial),
            seconds(trial["heal_s"]),
            seconds(trial["seconds"]),
        )
        for trial in result["trials"]
    ]


def totals(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the drill in sum."""
    load = result["load"] or {}
    lost = load.get("acknowledged_writes_lost")
    written = load.get("acknowledged_writes")
    rows = [
        ("node right", share(result["node_right"])),
        ("kind right", share(result["kind_right"])),
        ("missed", str(result["missed"])),
        ("false alarms", str(result["false_alarms"])),
        ("detected after", _range(result["detection_p50_s"], result["detection_p99_s"])),
        ("restored", "every trial" if result["restored"] else "NOT every trial"),
        ("acknowledged writes lost", "not measured" if lost is None else f"{lost:,} of {written:,}"),
        ("took", f"{result['seconds']:.0f} s"),
    ]
    if result["invalid"]:
        rows.append(("without a diagnosis", str(result["invalid"])))
    if result["tokens"] is not None:
        cost = "" if result["cost_usd"] is None else f", {result['cost_usd']:.2f} USD"
        rows.append(("tokens", f"{result['tokens']:,}{cost}"))
    return rows


def verdict(trial: dict[str, Any]) -> str:
    """Return how a trial ended, in a word or two."""
    if trial["false_alarm"]:
        return "FALSE ALARM"
    if trial["diagnosed_kind"] is None:
        return "no diagnosis"
    if trial["node_right"] and trial["kind_right"]:
        return "right"
    wrong = [name for name in ("node", "kind") if not trial[f"{name}_right"]]
    return f"wrong {' and '.join(wrong)}"


def _alarm(trial: dict[str, Any]) -> str:
    if trial["control"]:
        return "false alarm" if trial["detected"] else "silent, as due"
    return seconds(trial["detect_s"]) if trial["detected"] else "MISSED"


def _detected(some: list[dict[str, Any]]) -> str:
    """Return of a fault how often it was detected; of a control how often nothing was, as is due."""
    found = sum(trial["detected"] for trial in some)
    if not some[0]["control"]:
        return f"{found}/{len(some)}"
    return "control: silent" if not found else f"control: {found} FALSE"


def seconds(value: float | None) -> str:
    """Return a time to the millisecond below a second, else to the tenth; a dash for none."""
    if value is None:
        return "–"
    return f"{value:.3f} s" if value < 1 else f"{value:.1f} s"


def share(value: float | None) -> str:
    """Return a share as a percentage; a dash for none."""
    return "–" if value is None else f"{100 * value:.0f} %"


def _range(p50: float | None, p99: float | None) -> str:
    return "–" if p50 is None else f"{seconds(p50)} (p50), {seconds(p99)} (p99)"
