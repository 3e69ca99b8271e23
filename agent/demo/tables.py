"""What a person is shown at the end of a demo."""

from collections.abc import Iterator

from agent.demo.facts import Facts, prediction_held
from tools.events import Table
from tools.load.figures import LoadFigures, WriteCheck
from tools.load.spans import NOT_MEASURED

_DASH = "–"


def tables(facts: Facts) -> Iterator[Table]:
    """Yield what a person is shown at the end: clients' figures, and the truth beside the diagnosis."""
    if facts.before is not None:
        spans = (("before", facts.before), ("during", facts.during), ("after", facts.after))
        yield Table(
            "What clients felt",
            ("", "operations/s", "p50", "p99", "errors"),
            tuple((name, *_row(figures or NOT_MEASURED)) for name, figures in spans),
        )
    if facts.injection is not None:
        record, found = facts.injection.record, facts.diagnosis or {}
        told = (str(found.get("kind", _DASH)), str(found.get("node") or _DASH))
        yield Table(
            "What was injected, and what was concluded without knowing it",
            ("", "kind", "node"),
            (
                ("injected", record.kind, ", ".join(record.nodes) or _DASH),
                (f"concluded ({found.get('by', 'nobody')})", *told),
            ),
        )
        lost = "not measured" if facts.writes is None else _writes(facts.writes)
        held = {True: "held", False: "did not hold", None: "not measured"}[prediction_held(facts)]
        yield Table(
            "Restored" if facts.restored else "NOT restored",
            ("", ""),
            (
                ("healed", "yes" if facts.healed else "no"),
                ("recovered", "yes, and stayed well for 3 s" if facts.recovered else "no"),
                ("acknowledged writes", lost),
                ("prediction", held),
            ),
        )


def _row(figures: LoadFigures) -> tuple[str, str, str, str]:
    def shown(value: float | None, unit: str) -> str:
        return _DASH if value is None else f"{value:.0f}{unit}" if value >= 100 else f"{value:.1f}{unit}"

    errors = _DASH if figures.errors is None else str(figures.errors)
    return shown(figures.ops_per_s, ""), shown(figures.p50_ms, " ms"), shown(figures.p99_ms, " ms"), errors


def _writes(check: WriteCheck) -> str:
    bad = check.lost + check.changed
    text = f"{check.acknowledged} acknowledged, {bad} lost or changed"
    return f"{text}, {check.unreadable} keys unreadable" if check.unreadable else text
