"""What a person is shown at the end of a demo."""

from collections.abc import Iterator

from agent.demo.facts import Facts
from tools.events import Table
from tools.faults.recovery import HOLD_S
from tools.observe.figures import LoadFigures

_DASH = "–"
_HELD = {True: "as predicted", False: "NOT as predicted", None: "not measured"}


def tables(facts: Facts) -> Iterator[Table]:
    """Yield what a person is shown at the end: clients' figures, the diagnosis, the verdict."""
    done = facts.outcome
    if done is not None and done.before.ops_per_s is not None:
        spans = (("before", done.before), ("during", done.during), ("after", done.after))
        yield Table(
            "What clients saw",
            ("", "operations/s", "p50", "p99", "errors"),
            tuple((name, *_row(figures)) for name, figures in spans),
        )
    if facts.injection is None:
        return
    record, found = facts.injection.record, facts.diagnosis or {}
    nodes = found.get("nodes") or [found.get("node") or _DASH]
    diagnosed = (str(found.get("kind", _DASH)), ", ".join(nodes))
    yield Table(
        "Injected, and diagnosed without knowing it",
        ("", "kind", "node"),
        (
            ("injected", record.kind, ", ".join(record.nodes) or _DASH),
            (f"diagnosed by {found.get('by', 'nobody')}", *diagnosed),
        ),
    )
    if done is None:
        return
    yield Table(
        "Predicted, and observed",
        ("", "predicted", "observed", ""),
        tuple((each.what, each.predicted, each.observed, _HELD[each.held]) for each in done.compared),
    )
    yield Table(
        "Restored" if facts.restored else "NOT restored",
        ("", ""),
        (
            ("healed", "yes" if done.healed else "no"),
            ("recovered", f"yes, and healthy for {HOLD_S:g} s" if done.recovery.ok else "no"),
            ("prediction", _HELD[done.prediction_held]),
        ),
    )


def _row(figures: LoadFigures) -> tuple[str, str, str, str]:
    def shown(value: float | None, unit: str) -> str:
        return _DASH if value is None else f"{value:.0f}{unit}" if value >= 100 else f"{value:.1f}{unit}"

    errors = _DASH if figures.errors is None else str(figures.errors)
    return shown(figures.ops_per_s, ""), shown(figures.p50_ms, " ms"), shown(figures.p99_ms, " ms"), errors
