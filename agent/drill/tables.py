"""A drill's result as rows, for terminals and pages: controls as controls, totals, recovery and losses."""

from typing import Any

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
    rows = []
    for name, row in result["by_fault"].items():
        some = [trial for trial in result["trials"] if trial["fault"] == name]
        rows.append(
            (
                name,
                str(row["trials"]),
                _detected(some),
                f"{row['node_right']}/{row['trials']}",
                f"{row['kind_right']}/{row['trials']}",
                seconds(None if some[0]["control"] else row["detection_p50_s"]),
                seconds(_median([trial["heal_s"] for trial in some])),
            )
        )
    trials = result["trials"]
    due = [trial for trial in trials if not trial["control"]]
    return [
        *rows,
        (
            "all",
            str(len(trials)),
            f"{sum(t['detected'] for t in due)}/{len(due)}",
            f"{sum(t['node_right'] for t in trials)}/{len(trials)}",
            f"{sum(t['kind_right'] for t in trials)}/{len(trials)}",
            seconds(result["detection_p50_s"]),
            seconds(result["heal_p50_s"]),
        ),
    ]


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
        ("node right", _share(result["node_right"])),
        ("kind right", _share(result["kind_right"])),
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


def _median(values: list[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[(len(known) - 1) // 2] if known else None


def seconds(value: float | None) -> str:
    """Return a time to the millisecond below a second, else to the tenth; a dash for none."""
    if value is None:
        return "–"
    return f"{value:.3f} s" if value < 1 else f"{value:.1f} s"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _range(p50: float | None, p99: float | None) -> str:
    return "–" if p50 is None else f"{seconds(p50)} (p50), {seconds(p99)} (p99)"
