"""diagnose, by the rules, on real etcd: while it lasts, when it is over, and when nothing was."""

import pytest

from tests.unit.diagnosis.conftest import Bench
from tools.events import Diagnosed
from tools.faults.measured_heal import file_injected


async def test_where_nothing_was_nothing_is_found(on_etcd: Bench) -> None:
    """First: later ones of this file leave their marks in the logs of the cluster that they share."""
    outcome = await on_etcd.do("diagnose")
    found = outcome.data["diagnosis"]

    assert (found["kind"], found["nodes"], outcome.data["incident"]) == ("none", [], None)
    assert found["verified"]


@pytest.mark.slow
async def test_a_killed_store_is_named_now_and_after_it_was_restarted(on_etcd: Bench) -> None:
    workbench = on_etcd.workbench
    await on_etcd.do("store_kill", target="etcd-2")
    detected = await on_etcd.do("wait_for_detection", timeout_s=60)

    found = (await on_etcd.do("diagnose")).data["diagnosis"]

    assert (found["kind"], found["nodes"], found["confidence"]) == ("crash", ["etcd-2"], "high")
    assert found["verified"]
    for cited in found["evidence"]:
        evidence = workbench.ledger.get(cited["id"])
        assert evidence is not None
        assert cited["quote"] in evidence.text
    kept = workbench.incidents.get(detected.data["incident"])
    assert kept.diagnosis == found
    assert set(kept.figures["evidence"]) == {cited["id"] for cited in found["evidence"]}
    assert [event.diagnosis for event in on_etcd.told if isinstance(event, Diagnosed)] == [found]

    await on_etcd.do("store_restart")
    later = (await on_etcd.do("diagnose", incident=detected.data["incident"])).data["diagnosis"]

    assert (later["kind"], later["nodes"]) == ("crash", ["etcd-2"])


@pytest.mark.slow
async def test_a_pause_that_is_over_is_told_from_what_was_recorded(on_etcd: Bench) -> None:
    await on_etcd.do("fault_inject", kind="pause", target="etcd-3")
    await on_etcd.do("wait_for_detection", timeout_s=60)
    await on_etcd.do("fault_heal")

    found = (await on_etcd.do("diagnose")).data["diagnosis"]

    assert (found["kind"], found["nodes"], found["verified"]) == ("pause", ["etcd-3"], True)


async def test_an_incident_that_there_is_not(on_etcd: Bench) -> None:
    outcome = await on_etcd.dispatcher.run("call", "diagnose", {"incident": "20200101-000000-abcd"})

    assert not outcome.ok
    assert "incident_list" in outcome.text


async def test_the_session_cannot_submit_a_diagnosis_of_its_own(on_etcd: Bench) -> None:
    other = {"cause": "a", "ruled_out_by": "b"}
    arguments = {
        "observation": "o", "root_cause": "r", "kind": "none", "confidence": "low", "evidence": [],
        "alternatives": [other, other], "would_change": "w",
    }  # fmt: skip
    outcome = await on_etcd.dispatcher.run("call", "submit_diagnosis", arguments)

    assert not outcome.ok


async def test_a_fault_that_is_healed_without_measuring_stands_in_its_incident(on_etcd: Bench) -> None:
    workbench = on_etcd.workbench
    await on_etcd.do("fault_inject", kind="pause", target="follower")
    await on_etcd.do("wait_for_detection", timeout_s=60)

    file_injected(workbench, await workbench.faults.restore())

    (incident,) = workbench.incidents.list(5)
    assert incident.figures["injected"]["kind"] == "pause"
    assert incident.figures["injected"]["nodes"] == list(incident.nodes)
