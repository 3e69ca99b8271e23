"""Alerts made of incidents: names, labels that stay, annotations that follow, and when they end."""

from dataclasses import replace

import pytest

from agent.watch import alerts
from agent.watch.alerts import FIRING_FOR_S, AlertBook
from tools.incidents.record import Incident, utc
from tools.observe.incident import State
from tools.observe.kinds import KINDS

OPENED = 1_000_000.0
DEAD = Incident(
    id="20260412-153012-7f3a",
    cluster="etcd × process",
    state=State.OPEN,
    opened=OPENED,
    text="etcd-2: process killed",
    nodes=("etcd-2",),
    invariants=("store_up",),
)
DIAGNOSIS = {
    "observation": "etcd-2 was killed with SIGKILL (exit 137)",
    "root_cause": "a kill from outside",
    "kind": "crash",
    "confidence": "high",
    "evidence": [{"id": "E7", "claim": "…", "quote": "…"}, {"id": "E9", "claim": "…", "quote": "…"}],
    "suggested_actions": ["start etcd-2 again"],
}


@pytest.fixture
def book() -> AlertBook:
    return AlertBook("prod")


def test_an_alert_has_the_name_of_what_is_broken_and_no_label_without_end(book: AlertBook) -> None:
    book.take(DEAD)

    (alert,) = book.current()
    assert alert.labels == {
        "alertname": "OperatorNodeDown",
        "cluster": "prod",
        "node": "etcd-2",
        "severity": "warning",
        "source": "operator",
    }


def test_every_invariant_that_a_signal_may_break_has_an_alert_of_its_own() -> None:
    breakable = {each.invariant for each in KINDS.values() if each.invariant is not None}

    assert breakable <= alerts.NAMES.keys()


def test_what_is_found_out_later_is_annotated_and_the_labels_stay(book: AlertBook) -> None:
    book.take(DEAD)
    book.take(replace(DEAD, nodes=("etcd-1", "etcd-2"), text="two members are down", diagnosis=DIAGNOSIS))

    (alert,) = book.current()
    assert alert.labels["node"] == "etcd-2"
    assert alert.annotations == {
        "summary": "two members are down",
        "nodes": "etcd-1, etcd-2",
        "incident": DEAD.id,
        "description": "etcd-2 was killed with SIGKILL (exit 137)",
        "diagnosis": "a kill from outside",
        "kind": "crash",
        "confidence": "high",
        "evidence": "E7, E9",
        "suggested_actions": "start etcd-2 again",
    }


def test_each_broken_invariant_fires_on_its_own(book: AlertBook) -> None:
    book.take(replace(DEAD, invariants=("store_up", "quorum")))

    fired = {alert.labels["alertname"]: alert.labels.get("node") for alert in book.current()}
    assert fired == {"OperatorNodeDown": "etcd-2", "OperatorQuorumLost": None}


def test_a_recovery_resolves_and_an_end_of_the_watch_does_not(book: AlertBook) -> None:
    book.take(replace(DEAD, state=State.RECOVERED, recovered=OPENED + 9.0))
    (resolved,) = book.current()
    book.take(replace(DEAD, state=State.UNWATCHED))
    (unwatched,) = book.current()

    assert resolved.as_json(OPENED + 60.0)["endsAt"] == utc(OPENED + 9.0)
    assert unwatched.as_json(OPENED + 60.0)["endsAt"] == utc(OPENED + 60.0 + FIRING_FOR_S)


def test_the_same_trouble_in_a_new_incident_is_the_same_alert_firing_once(book: AlertBook) -> None:
    book.take(replace(DEAD, state=State.RECOVERED, recovered=OPENED + 9.0))
    book.take(replace(DEAD, id="20260412-160000-0001", opened=OPENED + 1800.0))

    (alert,) = book.current()
    assert (alert.ended, alert.starts) == (None, OPENED + 1800.0)


def test_resolved_alerts_are_forgotten(book: AlertBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "RESOLVED_FOR_S", -1.0)
    for n in range(50):
        book.take(replace(DEAD, id=str(n), state=State.RECOVERED, recovered=OPENED + 9.0))

    assert book.current() == ()
