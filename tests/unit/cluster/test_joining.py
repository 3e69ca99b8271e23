"""A member that was added and has not joined yet: a voter counts from then on, and is named."""

import pytest

from subjects.base import (
    NOT_PROBED,
    ClusterSnapshot,
    ClusterState,
    Membership,
    NodeView,
    ProcessState,
    ProcessView,
    Quorum,
    Role,
    Unseen,
    UnseenReason,
)
from tools.observe.limits import limits_of
from tools.observe.snapshot_diff import SnapshotDiff


def snapshot(membership: Membership, unseen: Unseen | None) -> ClusterSnapshot:
    node = NodeView(
        name="m3",
        role=Role.UNKNOWN,
        address="",
        process=ProcessView(ProcessState.UNKNOWN),
        client=NOT_PROBED,
        itself=NOT_PROBED,
        membership=membership,
        unseen=unseen,
    )
    return ClusterSnapshot(0.0, 0.0, (node,), None, None, Quorum(1, 0), ClusterState.UNKNOWN)


def kinds(diff: SnapshotDiff, seen: ClusterSnapshot) -> list[str]:
    return [each.kind for each in diff.read(seen, 1.0) if each.node == "m3"]


@pytest.mark.parametrize(("membership", "times"), [(Membership.VOTER, 1), (Membership.LEARNER, 0)])
def test_a_voter_that_never_joined_is_told_once(membership: Membership, times: int) -> None:
    diff = SnapshotDiff(limits_of(()))
    waits = snapshot(membership, Unseen(UnseenReason.NEVER_STARTED, "m3 was added and has never joined"))

    assert [kinds(diff, waits).count("never_started") for _ in range(3)] == [times, 0, 0]


def test_one_that_waits_again_is_told_again() -> None:
    diff = SnapshotDiff(limits_of(()))
    waits = snapshot(
        Membership.VOTER, Unseen(UnseenReason.NEVER_STARTED, "m3 was added and has never joined")
    )

    told = [
        kinds(diff, each).count("never_started") for each in (waits, snapshot(Membership.VOTER, None), waits)
    ]

    assert told == [1, 0, 1]
