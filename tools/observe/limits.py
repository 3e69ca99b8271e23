"""The thresholds in force: those of the subject's invariants, in one place for all who judge by them."""

from collections.abc import Iterable, Mapping

from subjects.base import Invariant

Limits = Mapping[str, Invariant]

LEADER_SPANS_S = {"changes in 15 min": 900.0, "changes/min": 60.0}
"""In which span leader changes are counted, by the unit of the invariant's threshold."""


def limits_of(invariants: Iterable[Invariant]) -> Limits:
    """Return the invariants by their names."""
    return {invariant.name: invariant for invariant in invariants}


def over(limits: Limits, name: str, value: float | None) -> bool | None:
    """Whether `value` is beyond the threshold of that invariant; None where either is not known."""
    invariant = limits.get(name)
    return None if invariant is None or value is None else value > invariant.threshold


def leader_span_s(limits: Limits) -> float:
    """Return over how many seconds leader changes are counted."""
    invariant = limits.get("leader_stable")
    return 900.0 if invariant is None else LEADER_SPANS_S.get(invariant.unit, 900.0)
