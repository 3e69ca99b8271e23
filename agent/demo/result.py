"""The `result` of `demo chaos`: what scripts read of it."""

from typing import TYPE_CHECKING, Any

from agent.demo.facts import Facts, load_figures, prediction_held, since
from subjects.base import ClusterState
from tools.faults.catalogue import CATALOGUE

if TYPE_CHECKING:
    from agent.sessions.session import Session

STAGES = ("health", "load", "fault", "waiting", "detection", "diagnosis", "recovery")


def demo_result(session: "Session", facts: Facts) -> dict[str, Any]:
    """Return the `result` of `demo chaos`."""
    stages = [
        facts.stages.get(n, {"n": n, "name": name, "ok": False, "seconds": None})
        for n, name in enumerate(STAGES, start=1)
    ]
    model, cluster = session.conversation.model, session.workbench.cluster
    return {
        "ok": facts.restored
        and not facts.interrupted
        and all(s["ok"] for s in stages if s["n"] not in (5, 6)),
        "command": "demo chaos",
        "driver": model.driver,
        "model": model.name,
        "subject": cluster.subject.name if cluster else None,
        "runtime": cluster.nodes.name if cluster else None,
        "stages": stages,
        "fault": _fault(facts),
        "times": _times(facts),
        "detection": _detection(facts),
        "load": load_figures(facts),
        "diagnosis": facts.diagnosis,
        "restored": facts.restored,
        "interrupted": facts.interrupted,
        "cluster": str(facts.snapshot.state) if facts.snapshot else str(ClusterState.DOWN),
        "incident": facts.incident,
        "session": session.id,
    }


def _fault(facts: Facts) -> dict[str, Any] | None:
    if facts.injection is None:
        return None
    record, roles = facts.injection.record, facts.injection.roles
    return {
        "kind": record.kind,
        "node": ", ".join(record.nodes) or None,
        "role": ", ".join(roles) or None,
        "prediction": facts.injection.prediction.text,
        "prediction_held": prediction_held(facts),
        "effect": facts.injection.effect,
        "diagnoses_that_are_right": list(CATALOGUE[record.kind].diagnoses),
    }


def _times(facts: Facts) -> dict[str, float | None]:
    injection = facts.injection
    began, wall = facts.injected_at, injection.record.injected if injection else None
    first = facts.signals[0].at if facts.signals else None
    return {
        "injected": None if began is None else 0.0,
        "effect_verified": since(began, injection.record.effect_at if injection else None),
        "first_signal": since(began, first),
        "detected": since(began, facts.detection.at if facts.detection else None),
        "diagnosed": since(began, facts.diagnosed_at),
        "healed": since(wall, facts.healed_wall),
        "recovered": since(wall, facts.recovered_wall),
    }


def _detection(facts: Facts) -> dict[str, Any]:
    began = facts.injected_at
    return {
        "detected": facts.detection is not None,
        "seconds": since(began, facts.detection.at if facts.detection else None),
        "nodes": list(facts.detection.nodes) if facts.detection else [],
        "signals": [
            {
                "source": str(signal.source),
                "kind": signal.kind,
                "node": signal.node,
                "seconds": since(began, signal.at),
                "evidence": signal.evidence,
            }
            for signal in facts.signals[:30]
        ],
    }
