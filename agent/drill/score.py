"""The score: one trial against its truth, and all of them in sum."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.drill.plan import DrillSettings, Trial
from tools.diagnosis.schema import Diagnosis


@dataclass(frozen=True, slots=True)
class Scored:
    """One trial as it went. None is `not measured`, or `does not apply`."""

    n: int
    fault: str
    kind: str
    nodes: tuple[str, ...]
    """Where it was really injected."""
    control: bool
    detected: bool
    detect_s: float | None
    """After the injection."""
    diagnose_s: float | None
    heal_s: float | None
    restored: bool
    diagnosed_kind: str | None
    diagnosed_nodes: tuple[str, ...]
    confidence: str | None
    verified: bool | None
    by: str | None
    node_right: bool
    kind_right: bool
    tokens: int | None = None
    cost_usd: float | None = None
    diagnosis: dict[str, Any] | None = None
    """The whole of it, as the `result` tells it."""
    problem: str = ""
    """What went wrong with the trial itself."""
    seconds: float | None = None
    """How long the trial took, from when the cluster was healthy."""

    @property
    def invalid(self) -> bool:
        """Whether it came to no diagnosis because something else failed: then it proves nothing of it."""
        return self.diagnosed_kind is None

    @property
    def false_alarm(self) -> bool:
        """Whether something was detected where nothing was wrong."""
        return self.control and self.detected

    @property
    def right(self) -> bool:
        """Whether node and kind are right."""
        return self.node_right and self.kind_right


def judge(truth: Trial, nodes: Sequence[str], found: Diagnosis | None) -> tuple[bool, bool]:
    """Return whether node and kind are right. Where nothing was wrong, the right node is none."""
    if found is None:
        return False, False
    kind_right = found.kind.value in truth.accepted
    expected = set() if found.kind.value == "none" and kind_right else set(nodes)
    return set(found.nodes) == expected, kind_right


def summary(trials: Sequence[Scored], settings: DrillSettings, by: str) -> dict[str, Any]:
    """Return the drill's `result`."""
    valid = [t for t in trials if not t.invalid]
    times = sorted(t.detect_s for t in trials if t.detect_s is not None and not t.control)
    tokens = [t.tokens for t in trials if t.tokens is not None]
    costs = [t.cost_usd for t in trials if t.cost_usd is not None]
    restored = bool(trials) and all(t.restored for t in trials)
    return {
        "type": "result",
        "ok": restored and len(valid) == settings.trials,
        "command": "drill",
        "seed": settings.seed,
        "faults": list(settings.faults),
        "diagnostician": by,
        "node_right": share(t.node_right for t in valid),
        "kind_right": share(t.kind_right for t in valid),
        "invalid": len(trials) - len(valid),
        "false_alarms": sum(t.false_alarm for t in trials),
        "missed": sum(not t.detected for t in valid if not t.control),
        "detection_p50_s": percentile(times, 0.50),
        "detection_p99_s": percentile(times, 0.99),
        "diagnosis_p50_s": percentile(sorted(t.diagnose_s for t in trials if t.diagnose_s is not None), 0.5),
        "heal_p50_s": percentile(sorted(t.heal_s for t in trials if t.heal_s is not None), 0.5),
        "confidence": calibration(trials),
        "by_fault": by_fault(trials),
        "restored": restored,
        "tokens": sum(tokens) if tokens else None,
        "cost_usd": round(sum(costs), 4) if costs else None,
        "trials": [{**asdict(t), "false_alarm": t.false_alarm} for t in trials],
    }


def share(rights: Iterable[bool]) -> float | None:
    """Return the share that is right; None of nothing."""
    values = list(rights)
    return round(sum(values) / len(values), 4) if values else None


def percentile(ordered: Sequence[float], q: float) -> float | None:
    """Return the smallest value with at least a share `q` of all at or below it; None of nothing."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(q * len(ordered)) - 1)], 4)


def calibration(trials: Sequence[Scored]) -> dict[str, dict[str, int]]:
    """Return, for each confidence, how many conclusions were right and wrong."""
    table: dict[str, dict[str, int]] = {}
    for trial in trials:
        if trial.confidence is not None:
            row = table.setdefault(trial.confidence, {"right": 0, "wrong": 0})
            row["right" if trial.right else "wrong"] += 1
    return table


def by_fault(trials: Sequence[Scored]) -> Mapping[str, dict[str, Any]]:
    """Return the score of each fault."""
    table: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(trial.fault for trial in trials):
        some = [trial for trial in trials if trial.fault == name]
        times = sorted(t.detect_s for t in some if t.detect_s is not None)
        table[name] = {
            "trials": len(some),
            "detected": sum(t.detected for t in some),
            "node_right": sum(t.node_right for t in some),
            "kind_right": sum(t.kind_right for t in some),
            "detection_p50_s": percentile(times, 0.5),
        }
    return table
