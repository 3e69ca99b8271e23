"""Two drills side by side: is the difference more than chance?

Shares of right answers are compared by exact tests: McNemar's where both runs had the same trials (then
only those count in which they differ), else Fisher's. Times are compared by a permutation test of their
mean difference. A p-value says how often chance alone would make at least such a difference.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import comb
from typing import Any

ALPHA = 0.05
"""Below it a difference is called more than chance; with so many measures compared, still only a hint."""

SHUFFLES = 10_000
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of two runs."""

    measure: str
    a: float | None
    b: float | None
    p: float | None
    """None where there is too little to compare."""
    test: str

    @property
    def verdict(self) -> str:
        """What it means, in words."""
        if self.p is None:
            return "too little to compare"
        return "more than chance" if self.p < ALPHA else "may be chance"


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Compare two results of drills; `a` and `b` are their JSON."""
    paired = _same_trials(a["trials"], b["trials"])
    found = [
        _shares("node_right", a["trials"], b["trials"], paired=paired),
        _shares("kind_right", a["trials"], b["trials"], paired=paired),
        _times("detect_s", a["trials"], b["trials"]),
        _times("diagnose_s", a["trials"], b["trials"]),
        _times("heal_s", a["trials"], b["trials"]),
    ]
    return {
        "type": "result",
        "ok": True,
        "command": "drill compare",
        "paired": paired,
        "alpha": ALPHA,
        "a": {"diagnostician": a.get("diagnostician"), "seed": a.get("seed"), "trials": len(a["trials"])},
        "b": {"diagnostician": b.get("diagnostician"), "seed": b.get("seed"), "trials": len(b["trials"])},
        "differences": [{**asdict(each), "verdict": each.verdict} for each in found],
    }


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p-value, given how often only one of the two was right."""
    n = only_a + only_b
    if n == 0:
        return 1.0
    tail = sum(comb(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, float(2 * tail / 2**n))


def fisher(right_a: int, n_a: int, right_b: int, n_b: int) -> float:
    """Return the exact two-sided p-value for two shares: the sum over all tables at most as likely."""
    right, total = right_a + right_b, n_a + n_b

    def ways(k: int) -> int:
        return comb(n_a, k) * comb(n_b, right - k)

    seen = ways(right_a)
    possible = range(max(0, right - n_b), min(n_a, right) + 1)
    return sum(w for k in possible if (w := ways(k)) <= seen) / comb(total, right)


def permutation(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how often shuffling which run a time belongs to makes at least such a difference of means."""
    together = [*a, *b]
    seen = abs(sum(a) / len(a) - sum(b) / len(b))
    if seen <= _SLACK:
        return 1.0  # every shuffle makes as much of a difference
    chance = random.Random(0)  # noqa: S311 - the same data must give the same answer
    hits = 0
    for _ in range(SHUFFLES):
        chance.shuffle(together)
        one, other = together[: len(a)], together[len(a) :]
        hits += abs(sum(one) / len(one) - sum(other) / len(other)) >= seen - _SLACK
    # The order that was seen counts as one of the shuffles, so that p is never nought.
    return (hits + 1) / (SHUFFLES + 1)


def _same_trials(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> bool:
    def key(trial: Mapping[str, Any]) -> tuple[Any, ...]:
        return trial["n"], trial["fault"], trial["kind"]

    return [key(t) for t in a] == [key(t) for t in b]


def _shares(
    name: str, a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], *, paired: bool
) -> Difference:
    if not a or not b:
        return Difference(name, None, None, None, "none")
    right_a, right_b = sum(t[name] for t in a), sum(t[name] for t in b)
    if paired:
        only_a = sum(x[name] and not y[name] for x, y in zip(a, b, strict=True))
        only_b = sum(y[name] and not x[name] for x, y in zip(a, b, strict=True))
        p, test = mcnemar(only_a, only_b), "McNemar, exact"
    else:
        p, test = fisher(right_a, len(a), right_b, len(b)), "Fisher, exact"
    return Difference(name, round(right_a / len(a), 4), round(right_b / len(b), 4), round(p, 4), test)


def _times(name: str, a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> Difference:
    times_a = [t[name] for t in a if t[name] is not None and not t["control"]]
    times_b = [t[name] for t in b if t[name] is not None and not t["control"]]
    a_mean, b_mean = _mean(times_a), _mean(times_b)
    if len(times_a) < 2 or len(times_b) < 2:
        return Difference(name, a_mean, b_mean, None, "none")
    p = permutation(times_a, times_b)
    return Difference(name, a_mean, b_mean, round(p, 4), f"permutation of means, {SHUFFLES:,} shuffles")


def _mean(times: Sequence[float]) -> float | None:
    return round(sum(times) / len(times), 4) if times else None
