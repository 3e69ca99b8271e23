"""What was predicted of a fault beside what was observed: leader, errors, stall and writes, one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.faults.guard import Prediction
from tools.observe.figures import WriteCheck

ERRORS_S = 3.0
"""How long clients of a lost node may see errors: the load's deadline of 2 s, and the second it ends in."""
STALL_S = 1.0
"""A stall is measured in whole seconds: one of them may have begun before the fault."""


@dataclass(frozen=True, slots=True)
class Impact:
    """What was seen from the injection until all was well again. None is `not measured`."""

    leader_under: str | None = None
    """Who led when the healing began; None where nobody did."""
    leader_after: str | None = None
    error_s: float | None = None
    """Seconds of load in which operations failed or timed out."""
    failed: int | None = None
    """Operations that failed or timed out."""
    stall_s: float | None = None
    """The longest run of whole seconds without one successful operation."""
    writes: WriteCheck | None = None
    writes_not_measured: str = ""
    """Why acknowledged writes were not read back."""
    cut_short: bool = False
    """Whether clients were not yet served again when the healing began: what they suffered ended by that."""
    write_stall_s: float | None = None
    """The longest run of whole seconds without a successful write; None also where none was asked for."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing that was predicted, and what came of it."""

    what: str
    """leader, errors, stall or writes."""
    predicted: str
    observed: str
    held: bool | None
    """None: it was not measured."""


def compare(prediction: Prediction, observed: Impact) -> tuple[Compared, ...]:
    """Return each prediction beside what was observed."""
    return (
        _leader(prediction, observed),
        _errors(prediction, observed),
        _stall(prediction, observed),
        _writes(observed),
    )


def held(compared: Sequence[Compared]) -> bool | None:
    """Say whether all that was measured came as predicted; None where what clients saw was not measured."""
    if any(each.held is False for each in compared):
        return False
    measured = {each.what for each in compared if each.held is not None}
    return True if {"errors", "stall"} <= measured else None


def _leader(prediction: Prediction, observed: Impact) -> Compared:
    before, under, after = prediction.leader, observed.leader_under, observed.leader_after
    if before is None:
        return Compared("leader", "not predicted", f"{after or 'no node'} leads", None)
    moved = any(leader not in {None, before} for leader in (under, after))
    path = [before, under or after or "no node", after or "no node"]
    changes = [each for n, each in enumerate(path) if not n or each != path[n - 1]]
    seen = " → ".join(changes) if len(changes) > 1 else f"{before} led throughout"
    if not prediction.quorum_held and prediction.leader_votes:
        return Compared("leader", "none until it is healed", seen if under else "none", under is None or None)
    if prediction.leader_lost and under is None and after == before:
        seen = f"{before} led again after the heal, and nobody before it"
        return Compared("leader", f"{before} is replaced", seen, None)
    if prediction.leader_lost:
        cut_short = not moved and observed.cut_short
        return Compared("leader", f"{before} is replaced", seen, None if cut_short else moved)
    if prediction.leader_may_move:
        return Compared("leader", f"{before} may be replaced", seen, True)
    return Compared("leader", f"{before} leads on", seen, not moved and after == before)


def _errors(prediction: Prediction, observed: Impact) -> Compared:
    bound, predicted = _bound(prediction, ERRORS_S)
    if observed.error_s is None or observed.failed is None:
        return Compared("errors", predicted, "not measured", None)
    seen = f"{observed.failed:,} failed in {observed.error_s:g} s" if observed.failed else "none"
    if prediction.felt_until_healed:
        return Compared("errors", "possible until it is healed", seen, True)
    if bound is None and not observed.failed and (observed.stall_s or observed.write_stall_s):
        return Compared("errors", predicted, "none yet: operations were waiting", None)
    as_predicted = observed.failed > 0 if bound is None else observed.error_s <= bound
    return _judged("errors", predicted, seen, as_predicted, prediction, observed)


def _stall(prediction: Prediction, observed: Impact) -> Compared:
    """A leader that lost its majority may serve reads until its lease is over (TiKV: 9 s), and no write."""
    bound, predicted = _bound(prediction, STALL_S)
    stall_s, of = observed.stall_s, "operation"
    if bound is None and observed.write_stall_s is not None:
        stall_s, of = observed.write_stall_s, "write"
    elif bound is None and stall_s == 0:
        return Compared("stall", predicted, "not measured: nothing was written", None)
    if stall_s is None:
        return Compared("stall", predicted, "not measured", None)
    seen = f"{stall_s:g} s without a successful {of}" if stall_s else "none"
    as_predicted = stall_s > 0 if bound is None else stall_s <= bound
    return _judged("stall", predicted, seen, as_predicted, prediction, observed)


def _judged(
    what: str, predicted: str, seen: str, as_predicted: bool, prediction: Prediction, observed: Impact
) -> Compared:
    """What the healing ended says nothing of the fail-over that was predicted."""
    if as_predicted and observed.cut_short and prediction.writes == "stall":
        return Compared(what, predicted, f"{seen}, cut short by the heal", None)
    return Compared(what, predicted, seen, as_predicted)


def _bound(prediction: Prediction, at_least_s: float) -> tuple[float | None, str]:
    """How long it may last, and that in words; None: until it is healed."""
    if prediction.writes == "stop":
        return None, "until it is healed"
    bound = at_least_s + (prediction.stall_s if prediction.writes == "stall" else 0.0)
    return bound, f"at most {bound:g} s"


def _writes(observed: Impact) -> Compared:
    check, predicted = observed.writes, "no acknowledged write lost"
    if check is None:
        why = f": {observed.writes_not_measured}" if observed.writes_not_measured else ""
        return Compared("writes", predicted, f"not measured{why}", None)
    bad = check.lost + check.changed
    seen = f"{bad} lost or changed of {check.acknowledged:,} acknowledged"
    if check.unreadable:
        return Compared(
            "writes", predicted, f"{seen}; {check.unreadable} keys unreadable", False if bad else None
        )
    return Compared("writes", predicted, seen, bad == 0)
