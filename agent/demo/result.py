"""The `result` of `demo chaos`: what scripts read of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.demo.facts import Facts, since
from agent.demo.stages import DETECTION, DIAGNOSIS, HEALTH, RECOVERY, Stages
from agent.sessions.session import Session
from subjects.base import ClusterState
from tools.faults.catalogue import CATALOGUE
from tools.faults.outcome import FaultOutcome, load_result


def demo_result(session: Session, stages: Stages, facts: Facts, *, stopped: bool) -> dict[str, Any]:
    """Return the `result` of `demo chaos`; `stopped` is by the person, between two stages."""
    model, cluster = session.conversation.model, session.workbench.cluster
    ran = stages.result()
    interrupted = facts.interrupted or stopped
    why = "Demo interrupted" if interrupted else _why_not(ran, facts)
    return {
        "ok": not why,
        **({"error": why} if why else {}),
        "command": "demo chaos",
        "driver": model.driver,
        "model": model.name,
        "subject": cluster.subject.name if cluster else None,
        "runtime": cluster.nodes.name if cluster else None,
        "stages": ran,
        "fault": _fault(facts),
        "times": _times(facts),
        "detection": _detection(facts),
        "load": facts.outcome.as_result()["load"] if facts.outcome else load_result(),
        "diagnosis": facts.diagnosis,
        "restored": facts.restored,
        "interrupted": interrupted,
        "cluster": _state(facts, there=cluster is not None),
        "incident": facts.incident,
        "session": session.id,
    }


def _state(facts: Facts, *, there: bool) -> str:
    """Return how the last look found the cluster; one that could not be made says nothing of it."""
    if facts.snapshot is not None:
        return str(facts.snapshot.state)
    return str(ClusterState.UNKNOWN if there else ClusterState.DOWN)


def _why_not(ran: Sequence[Mapping[str, Any]], facts: Facts) -> str:
    """Say why it is no success; empty for one. Detection and diagnosis have fields of their own."""
    failed = next((s for s in ran if not s["ok"] and s["n"] not in (DETECTION, DIAGNOSIS)), None)
    if failed is not None:
        why = facts.failures.get(failed["n"], "")
        if failed["n"] == RECOVERY:
            why = _unrestored(facts.outcome) or why
        if failed["n"] == HEALTH and not why and facts.injection is not None:
            why = "the cluster was not healthy before the fault"
        return f"Stage {failed['n']} ({failed['name']}) did not succeed{f': {why}' if why else '.'}"
    return "" if facts.restored else f"Not restored: {_unrestored(facts.outcome) or 'nothing was healed'}"


def _unrestored(outcome: FaultOutcome | None) -> str:
    """Say what the heal left undone or unproven; empty if nothing, or if there was none."""
    if outcome is None:
        return ""
    found = [report.text for report in outcome.reports if not report.ok]
    found += [f"{check.name}: {check.text}" for check in outcome.recovery.checks if check.ok is False]
    if (check := outcome.writes) is not None and (check.lost or check.changed or check.unreadable):
        found.append(f"writes: {check.lost} lost, {check.changed} changed, {check.unreadable} unreadable")
    elif outcome.unproven:
        found.append(f"writes could not be read back: {outcome.observed.writes_not_measured}")
    return "; ".join(found)


def _fault(facts: Facts) -> dict[str, Any] | None:
    if facts.injection is None:
        return None
    record, roles = facts.injection.record, facts.injection.roles
    compared = facts.outcome.as_result()["prediction"]["compared"] if facts.outcome else []
    return {
        "kind": record.kind,
        "node": ", ".join(record.nodes) or None,
        "role": ", ".join(roles) or None,
        "prediction": facts.injection.prediction.text,
        "prediction_held": facts.outcome.prediction_held if facts.outcome else None,
        "compared": compared,
        "effect": facts.injection.effect,
        "diagnoses_that_are_right": list(CATALOGUE[record.kind].diagnoses),
    }


def _times(facts: Facts) -> dict[str, float | None]:
    injection, done, began = facts.injection, facts.outcome, facts.injected_at
    first = facts.signals[0].at if facts.signals else None
    return {
        "injected": None if began is None else 0.0,
        "effect_verified": since(began, injection.record.effect_at if injection else None),
        "first_signal": since(began, first),
        "detected": since(began, facts.detection.at if facts.detection else None),
        "diagnosed": since(began, facts.diagnosed_at),
        "healed": since(began, done.healed_at if done and done.healed else None),
        "recovered": since(began, done.recovery.healthy_at if done else None),
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
