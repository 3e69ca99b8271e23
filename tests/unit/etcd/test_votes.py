"""Who has a vote, who leads, and what clients can do: by what members report, else unknown."""

from dataclasses import replace

import pytest

from subjects.base import (
    Alarm,
    Connection,
    Health,
    Membership,
    Metric,
    Probe,
    ProcessState,
    ProcessView,
    Unseen,
    UnseenReason,
)
from subjects.etcd.status import Status
from subjects.etcd.views import ELECTION_S, Asked, Known, leader_of, peers_of, quorum_of, serving_of, votes

NAMES = {"1": "m0", "2": "m1", "3": "m2"}


def status(member: str, leader: str | None = "1", term: int = 2) -> Status:
    return Status(member, "3.5.1", leader, leader is not None, term=term, raft_index=9, applied_index=9)


def well(member: str, *lost: str) -> Asked:
    links = tuple(
        Metric("etcd_network_active_peers", {"Remote": other}, 0.0 if other in lost else 1.0)
        for other in NAMES
        if other != member
    )
    up = Probe(Connection.ACCEPTED, Health.HEALTHY)
    return Asked(status(member), None, up, up, links, read=True)


def unseen(reason: UnseenReason) -> Asked:
    return Asked(unseen=Unseen(reason, "why"))


def known(
    *asked: Asked, leaderless_s: float = 0.0, memberships: dict[str, Membership] | None = None
) -> Known:
    names = [f"m{n}" for n in range(len(asked))]
    return Known(
        dict(zip(names, asked, strict=True)),
        dict.fromkeys(names, ProcessView(ProcessState.UNKNOWN)),
        {name: (memberships or {}).get(name, Membership.VOTER) for name in names},
        NAMES,
        dict.fromkeys(names, leaderless_s),
    )


def cast(now: Known) -> dict[str, bool | None]:
    leader, _ = leader_of(now)
    return {name: votes(name, leader, peers_of(name, now), now) for name in now.asked}


@pytest.mark.parametrize(
    ("reason", "vote"),
    [
        (UnseenReason.REFUSED, False),
        (UnseenReason.SILENT, None),
        (UnseenReason.NEVER_STARTED, False),
        (UnseenReason.FOREIGN, False),
        (UnseenReason.DENIED, None),
        (UnseenReason.UNTRUSTED, None),
        (UnseenReason.EXPIRED, None),
        (UnseenReason.NOT_SPOKEN, None),
        (UnseenReason.BAD_ADDRESS, None),
        (UnseenReason.OTHER, None),
    ],
)
def test_who_could_not_be_looked_at_is_down_only_where_that_was_seen(
    reason: UnseenReason, vote: bool | None
) -> None:
    now = known(well("1"), well("2"), unseen(reason))

    assert cast(now)["m2"] is vote


def test_who_is_followed_has_a_vote_though_we_cannot_see_it() -> None:
    now = known(unseen(UnseenReason.DENIED), well("2"), well("3"))

    assert leader_of(now)[0] == "m0"
    assert cast(now) == {"m0": True, "m1": True, "m2": True}


def test_a_silent_member_that_all_its_peers_lost_has_no_vote() -> None:
    now = known(well("1", "3"), well("2", "3"), unseen(UnseenReason.SILENT))

    assert cast(now)["m2"] is False


def test_a_leader_that_refuses_is_none_however_long_it_is_believed_in() -> None:
    now = known(unseen(UnseenReason.REFUSED), well("2"), well("3"))

    assert leader_of(now)[0] is None


@pytest.mark.parametrize(("leaderless_s", "lost"), [(ELECTION_S / 2, False), (ELECTION_S, True)])
def test_an_election_is_no_lost_quorum_until_it_must_be_over(leaderless_s: float, lost: bool) -> None:
    alone = Asked(status("1", None), None, Probe(Connection.ACCEPTED), Probe(Connection.ACCEPTED))
    now = known(alone, replace(alone, status=status("2", None)), alone, leaderless_s=leaderless_s)
    quorum = quorum_of(cast(now), now)

    assert (quorum.held, quorum.lost) == (False, lost)


def test_a_linearizable_read_proves_a_majority_whoever_we_can_see() -> None:
    now = known(well("1"), unseen(UnseenReason.BAD_ADDRESS), unseen(UnseenReason.BAD_ADDRESS))
    quorum = quorum_of(cast(now), now)

    assert (quorum.up, quorum.unknown, quorum.held, quorum.lost) == (1, 2, True, False)


def test_a_learner_has_no_vote_and_takes_none_away() -> None:
    now = known(well("1"), well("2"), unseen(UnseenReason.REFUSED), memberships={"m2": Membership.LEARNER})
    quorum = quorum_of(cast(now), now)

    assert (quorum.voters, quorum.up, quorum.held) == (2, 2, True)


@pytest.mark.parametrize("kind", ["NOSPACE", "CORRUPT"])
def test_an_alarm_stops_writes_and_nothing_else(kind: str) -> None:
    now = known(well("1"), well("2"), well("3"))
    quorum = quorum_of(cast(now), now)
    serving = serving_of(quorum, "m0", (Alarm(kind, "m1"),), now)

    assert (quorum.up, quorum.held) == (3, True)
    assert (serving.writes, serving.reads) == (False, True)


def test_without_a_majority_clients_neither_write_nor_read() -> None:
    alone = Asked(status("1", None), None, Probe(Connection.ACCEPTED), Probe(Connection.ACCEPTED))
    now = known(alone, unseen(UnseenReason.REFUSED), unseen(UnseenReason.REFUSED))
    quorum = quorum_of(cast(now), now)
    serving = serving_of(quorum, None, (), now)

    assert quorum.lost
    assert (serving.writes, serving.reads) == (False, False)
