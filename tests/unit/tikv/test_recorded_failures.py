"""TiKV's failures as a real PD told of them: recorded, and diagnosed by who is given its endpoint alone."""

import json
from pathlib import Path

import pytest

from subjects.access import Access
from subjects.base import ClusterState, ControlState
from subjects.clusters import attach
from tests.unit.tikv.recording import Look
from tools.diagnosis.base import case_of
from tools.diagnosis.rules import RulesDiagnostician
from tools.diagnosis.schema import Kind
from tools.observe.ledger import Ledger

RECORDED = json.loads(Path(__file__).with_name("recorded").joinpath("failures_v8_1.json").read_text())
HEALTHY, DEGRADED, DOWN = ClusterState.HEALTHY, ClusterState.DEGRADED, ClusterState.DOWN


@pytest.mark.parametrize(
    ("name", "state", "led", "kind", "problem"),
    [
        ("all is well", HEALTHY, True, Kind.NONE, ""),
        ("a store killed", DEGRADED, True, Kind.CRASH, "clients get no answer"),
        ("a store killed, known to PD", DEGRADED, True, Kind.CRASH, "PD holds it for Disconnected"),
        ("a store paused", DEGRADED, True, Kind.PAUSE, "clients get no answer"),
        ("a store paused, known to PD", DEGRADED, True, Kind.PAUSE, "PD holds it for Disconnected"),
        ("two of three stores killed", DOWN, True, Kind.QUORUM_LOSS, "1 of 3 replicas can be up"),
        ("the leading PD killed", DEGRADED, False, Kind.CRASH, "PD has no leader"),
        ("another PD leads", DEGRADED, True, Kind.CRASH, "clients get no answer"),
        ("two of three PDs killed", DEGRADED, False, Kind.QUORUM_LOSS, "1 of 3 PDs run"),
    ],
)
async def test_a_look_and_its_diagnosis(
    name: str, state: ClusterState, kind: Kind, problem: str, *, led: bool
) -> None:
    well, look = (Look(**RECORDED["looks"][each]) for each in ("all is well", name))
    with well.replayed():
        cluster = await attach("tikv", [look.endpoint], Access())
    try:
        with look.replayed():
            snapshot = await cluster.subject.observe()
            found = await RulesDiagnostician().examine(case_of([]), cluster, tuple, Ledger())
    finally:
        await cluster.aclose()

    assert snapshot.state is state, snapshot.problems
    assert (snapshot.leader is not None) == led
    assert problem in "; ".join(snapshot.problems)
    stores = [node for node in snapshot.nodes if node.name in look.victims and node.name.startswith("tikv")]
    if "known to PD" in name:
        assert [node.control for node in stores] == [ControlState.DISCONNECTED]
    assert (found.kind, sorted(found.nodes)) == (kind, sorted(look.victims)), found
    assert found.verified, found.problems
    if kind is Kind.PAUSE:
        assert "accepts connections and answers none" in found.root_cause
    # From outside, none of these can be told for sure.
    assert (found.confidence.value == "high") == (kind is Kind.NONE)
