"""A node that is away by somebody's plan is no alarm; what that does not explain is one."""

import time

import pytest

from tools.detection import maintenance
from tools.detection.maintenance import Maintenance
from tools.observe.kinds import signal
from tools.observe.signal import CLIENT_PORT, HEALTH_PORT


def test_a_node_that_leaves_twice_before_it_is_back_is_covered_only_until_it_is_back() -> None:
    planned = Maintenance()
    planned.leave("n2", "pod n2 is being deleted")
    planned.leave("n2", "pod n2 is being deleted")
    planned.started("n2")
    planned.healthy("n2")

    assert not planned.covers(signal("refused", "n2", "refused"))


def test_who_was_started_in_a_window_is_covered_until_its_new_process_has_answered() -> None:
    """A connection to the old one may break later than that: a proxy on the way tells of it when it can."""
    planned = Maintenance()
    with planned.window(["n2"], "restart asked for", lambda _: False):
        planned.started("n2")

    assert planned.covers(signal("reset", "n2", "the held connection was reset"))
    planned.healthy("n2")
    assert not planned.covers(signal("reset", "n2", "the held connection was reset"))


def test_a_look_that_began_before_a_node_was_back_is_read_as_of_then() -> None:
    planned = Maintenance()
    with planned.window(["n2"], "restart asked for", lambda _: True):
        pass
    began = time.monotonic()
    planned.healthy("n2")

    assert planned.covers(signal("reset", "n2", "its client port", as_of=began))
    assert not planned.covers(signal("reset", "n2", "its client port", as_of=time.monotonic()))


@pytest.mark.parametrize(
    ("kind", "node", "covered_s"),
    [
        ("edge_lost", "n2", maintenance.FOUND_S),
        ("edge_lost", "n3", maintenance.TAIL_S),
        ("peer_lost", "n2", maintenance.TAIL_S),
    ],
)
def test_one_peer_may_look_for_who_is_back_elsewhere_for_a_while(
    kind: str, node: str, covered_s: float
) -> None:
    planned = Maintenance()
    planned.leave("n2", "pod n2 is being deleted")
    planned.started("n2")
    planned.healthy("n2")
    back = time.monotonic()

    soon, later = (signal(kind, node, "1 of 2", at=back + covered_s + off) for off in (-0.1, 0.1))
    assert (planned.covers(soon), planned.covers(later)) == (True, False)


def test_only_who_was_taken_for_the_next_of_an_upgrade_is_recalled() -> None:
    planned = Maintenance()
    planned.leave("n2", "pod n2 is being deleted")
    planned.recall("n2")

    assert planned.covers(signal("exit", "n2", "killed after its grace period", exit_code=137))


@pytest.mark.parametrize(
    ("kind", "node", "via", "covered_s"),
    [
        ("silent", "n3", CLIENT_PORT, maintenance.TAIL_S),
        ("unreachable", "n3", CLIENT_PORT, maintenance.TAIL_S),
        ("quorum_lost", None, "", maintenance.TAIL_S),
        ("silent", "n3", HEALTH_PORT, maintenance.LED_AGAIN_S),
        ("unhealthy", "n3", HEALTH_PORT, maintenance.LED_AGAIN_S),
    ],
)
def test_while_a_node_is_away_no_other_may_be_lost_unnoticed(
    kind: str, node: str | None, via: str, covered_s: float
) -> None:
    planned = Maintenance()
    planned.leave("n2", "pod n2 is being deleted")
    went = time.monotonic()
    assert planned.covers(signal("refused", "n2", "refused", at=went))

    in_the_election = signal(kind, node, "x", via=via, at=went + covered_s - 0.1)
    later = signal(kind, node, "x", via=via, at=went + covered_s + 0.1)
    assert (planned.covers(in_the_election), planned.covers(later)) == (True, False)


def test_what_clients_feel_of_a_node_that_is_away_is_covered_for_as_long() -> None:
    planned = Maintenance()
    planned.leave("n2", "pod n2 is being deleted")
    went = time.monotonic()
    planned.covers(signal("refused", "n2", "refused", at=went))

    assert planned.covers(signal("errors", None, "5%", at=went + 60.0))
    assert planned.covers(signal("silent", "n2", "still away", at=went + 60.0))


def test_a_pod_that_takes_hours_to_go_may_be_away_as_long_as_any_other_and_explains_nobody_elses_loss() -> (
    None
):
    """TiKV gives its leaders away before it goes: TiDB Operator v2 grants it 65535 s."""
    planned, hour = Maintenance(), 3600.0
    planned.leave("n2", "pod n2 is being deleted", grace_s=18 * hour)
    began = time.monotonic()

    elsewhere = planned.covers(signal("silent", "n3", "silent", via=CLIENT_PORT, at=began + hour))
    gone = planned.covers(signal("exit", "n2", "Completed", exit_code=0, at=began + hour))
    until = planned._down["n2"] - (began + hour)

    assert (elsewhere, gone) == (False, True)
    assert until == pytest.approx(maintenance.LEAVE_S)
