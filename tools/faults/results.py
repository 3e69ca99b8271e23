"""The results of the fault tools, as the model and programs read them."""

from collections.abc import Sequence
from dataclasses import asdict

from tools.faults.healing import HealReport
from tools.faults.recovery import Recovery
from tools.faults.service import Injection


def injection(done: Injection) -> dict[str, object]:
    """Return an injection: what, where, what was predicted, and what was seen of it."""
    record = done.record
    took_s = None
    if record.effect_at is not None and record.injected_at is not None:
        took_s = round(record.effect_at - record.injected_at, 3)
    return {
        "fault": record.id,
        "kind": record.kind,
        "nodes": list(record.nodes),
        "node": record.nodes[0] if len(record.nodes) == 1 else None,
        "role": done.roles[0] if len(done.roles) == 1 else list(done.roles),
        "prediction": done.prediction.text,
        "leader_before": done.prediction.leader,
        "quorum_stands": done.prediction.quorum_held,
        "writes_expected_to": done.prediction.writes,
        "verified": done.effect is not None,
        "effect": done.effect,
        "effect_verified_s": took_s,
        "heals_itself_after_s": record.ttl_s,
    }


def heals(reports: Sequence[HealReport]) -> list[dict[str, object]]:
    """Return what became of each fault."""
    return [asdict(report) for report in reports]


def recovery(found: Recovery, healed_at: float) -> dict[str, object]:
    """Return what was checked after a heal that ended at monotonic time `healed_at`."""
    back_s = None if found.healthy_at is None else round(max(0.0, found.healthy_at - healed_at), 2)
    return {
        "recovered": found.ok,
        "healthy_after_s": back_s,
        "checks": [asdict(check) for check in found.checks],
    }
