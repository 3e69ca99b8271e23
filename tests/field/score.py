"""The score of the catalogue.

Right counts one, "unknown, because …" half; wrong with high confidence is two failures.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.field.case import Verdict

POINTS = {"right": 1.0, "unknown": 0.5}
FAILURES = {"wrong_high": 2}
LEFT_OUT = ("not_here", "not_made")


def score(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the score as one JSON object."""
    counted = [each for each in verdicts if each.outcome not in LEFT_OUT]
    total = sum(FAILURES.get(each.outcome, 1) for each in counted)
    points = sum(POINTS.get(each.outcome, 0.0) for each in counted)
    return {
        "cases": len(counted),
        "score": round(points / total, 4) if total else None,
        **dict(sorted(Counter(each.outcome for each in verdicts).items())),
        "verdicts": [each.as_json() for each in verdicts],
    }


def table(verdicts: Sequence[Verdict]) -> str:
    """Return one line a case, the failures with what was missed."""
    lines = []
    for each in sorted(verdicts, key=lambda verdict: (verdict.case.module, verdict.case.name)):
        detected = "" if each.detected_s is None else f"{each.detected_s:6.2f} s"
        missed = "; ".join(each.missed)
        lines.append(
            f"{each.outcome:<10} {each.case.module:<11} {each.case.name:<34} {detected:>8}  {missed}"
        )
    return "\n".join(lines)
