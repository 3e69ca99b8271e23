"""A prediction held only if the leader, the errors, the stall and the writes each came as predicted."""

from dataclasses import replace

import pytest

from tools.faults.comparison import Impact, compare, held
from tools.faults.guard import Prediction
from tools.faults.measured_heal import longest_stall
from tools.observe.figures import OperationFigures, Window, WriteCheck

FOLLOWER = Prediction(3, 2, 2, True, False, "go on", "", True, 3.0, "etcd-1")
LEADER = replace(FOLLOWER, leader_lost=True, writes="stall")
SLOW_LEADER = replace(FOLLOWER, votes_left=3, votes_lost=False, leader_may_move=True, writes="stall")
SLOW_STORE = replace(FOLLOWER, votes_left=3, votes_lost=False, felt_until_healed=True)
MAJORITY = replace(FOLLOWER, votes_left=1, quorum_held=False, writes="stop")
STORES = replace(MAJORITY, leader_votes=False)
KEPT = WriteCheck(acknowledged=3000, keys=900, lost=0, changed=0, indeterminate=2)
CALM = Impact("etcd-1", "etcd-1", 0.0, 0, 0.0, KEPT)
MOVED = replace(CALM, leader_under="etcd-2", leader_after="etcd-2")


@pytest.mark.parametrize(
    ("prediction", "observed", "wrong"),
    [
        (FOLLOWER, CALM, []),
        (FOLLOWER, MOVED, ["leader"]),
        (FOLLOWER, replace(CALM, leader_after="etcd-3"), ["leader"]),
        (FOLLOWER, replace(CALM, error_s=9.0, failed=102), ["errors"]),
        (FOLLOWER, replace(CALM, stall_s=4.0), ["stall"]),
        (FOLLOWER, replace(CALM, writes=replace(KEPT, lost=1)), ["writes"]),
        (LEADER, MOVED, []),
        (LEADER, CALM, ["leader"]),
        (LEADER, replace(MOVED, stall_s=5.0, error_s=7.0, failed=9), ["errors", "stall"]),
        (SLOW_LEADER, MOVED, []),
        (SLOW_LEADER, CALM, []),
        (SLOW_STORE, replace(CALM, error_s=9.0, failed=870), []),
        (SLOW_STORE, replace(CALM, stall_s=4.0), ["stall"]),
        (MAJORITY, replace(CALM, leader_under=None, error_s=9.0, failed=900, stall_s=9.0), []),
        (MAJORITY, replace(CALM, write_stall_s=0.0), ["errors", "stall"]),
        (STORES, replace(CALM, error_s=9.0, failed=900, stall_s=0.0, write_stall_s=8.0), []),  # reads go on
        (STORES, replace(CALM, error_s=9.0, failed=900, stall_s=0.0, write_stall_s=0.0), ["stall"]),
        (FOLLOWER, replace(CALM, write_stall_s=4.0), []),
        (STORES, replace(CALM, error_s=9.0, failed=900, stall_s=9.0), []),
        (STORES, replace(MOVED, error_s=9.0, failed=900, stall_s=9.0), ["leader"]),
    ],
)
def test_each_is_compared_by_itself(prediction: Prediction, observed: Impact, wrong: list[str]) -> None:
    compared = compare(prediction, observed)

    assert [each.what for each in compared if each.held is False] == wrong
    assert held(compared) is (not wrong)


@pytest.mark.parametrize("stall", [{"stall_s": 4.0}, {"write_stall_s": 1.0}])
def test_a_client_that_waits_longer_than_the_fault_lasted_proves_no_error(stall: dict[str, float]) -> None:
    errors = compare(MAJORITY, replace(CALM, leader_under=None, **stall))[1]  # type: ignore[arg-type]

    assert (errors.observed, errors.held) == ("none yet: operations were waiting", None)


def test_a_load_that_writes_nothing_proves_nothing_of_writes_that_stop() -> None:
    stall = compare(MAJORITY, replace(CALM, error_s=1.0, failed=9))[2]

    assert (stall.observed, stall.held) == ("not measured: nothing was written", None)


def test_a_leader_that_moved_is_named_with_the_one_before() -> None:
    assert compare(FOLLOWER, MOVED)[0].observed == "etcd-1 → etcd-2"
    assert compare(FOLLOWER, CALM)[0].observed == "etcd-1 led throughout"


def test_a_leader_that_moved_while_it_was_healed_led_not_throughout() -> None:
    late = replace(CALM, leader_after="etcd-3")

    assert compare(SLOW_LEADER, late)[0].observed == "etcd-1 → etcd-3"
    assert compare(LEADER, replace(late, leader_under="etcd-2"))[0].observed == "etcd-1 → etcd-2 → etcd-3"


def test_a_leader_that_was_replaced_while_it_was_healed_was_replaced() -> None:
    """As after a Ctrl-C right after the detection: its followers did not miss it yet when the heal began."""
    late = replace(CALM, leader_after="etcd-3", cut_short=True)

    assert (compare(LEADER, late)[0].observed, compare(LEADER, late)[0].held) == ("etcd-1 → etcd-3", True)
    assert compare(LEADER, replace(CALM, cut_short=True))[0].held is None


def test_a_leader_that_was_healed_before_an_election_proves_no_fail_over() -> None:
    """PD's lease is 5 s: a leader that is started again sooner leads on, and nobody else did."""
    healed_early = compare(LEADER, replace(CALM, leader_under=None))

    assert (healed_early[0].observed, healed_early[0].held) == (
        "etcd-1 led again after the heal, and nobody before it",
        None,
    )
    assert held(healed_early) is True


def test_a_stall_that_the_healing_ended_proves_no_fail_over() -> None:
    healed_early = replace(MOVED, stall_s=3.0, error_s=3.0, failed=90, cut_short=True)

    compared = {each.what: each.held for each in compare(LEADER, healed_early)}
    too_long = {each.what: each.held for each in compare(LEADER, replace(healed_early, stall_s=5.0))}

    assert (compared["errors"], compared["stall"]) == (None, None)
    assert held(compare(LEADER, healed_early)) is None
    assert too_long["stall"] is False


def test_what_was_not_measured_neither_held_nor_failed() -> None:
    compared = compare(FOLLOWER, Impact("etcd-1", "etcd-1", None, None, None, None, "no load was running"))

    assert held(compared) is None
    assert compared[-1].observed == "not measured: no load was running"


@pytest.mark.parametrize(
    ("kinds", "longest_s"),
    [
        ([{"read": (9, 0), "update": (0, 3)}] * 4, 4.0),  # reads go on
        ([{"read": (9, 0), "update": (1, 3)}] * 4, 0.0),
        ([{"read": (9, 0), "insert": (0, 1)}, {"read": (9, 0)}, {"insert": (1, 0)}], 1.0),  # none was due
        ([{"read": (9, 0)}] * 4, None),  # a load that writes nothing
        ([], None),
    ],
)
def test_how_long_nothing_was_written(
    kinds: list[dict[str, tuple[int, int]]], longest_s: float | None
) -> None:
    def figures(done: int, failed: int) -> OperationFigures:
        return OperationFigures(done, failed, 0, None, None, None, None)

    windows = [
        Window(
            n=n, wall=0.0, at=float(n), seconds=1.0, operations=9, errors=0, timeouts=0,
            by_kind={**{kind: figures(*each) for kind, each in made.items()}, "all": figures(9, 0)},
        )
        for n, made in enumerate(kinds)
    ]  # fmt: skip

    assert longest_stall(windows, writes=True) == longest_s
