"""From what the members said to one snapshot: who votes, who leads, what clients can do.

The truth is what clients can do: votes are those of voters that follow a leader, never a member's `/health`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from subjects.base import (
    NOT_PROBED,
    Alarm,
    Connection,
    Membership,
    Metric,
    NodeView,
    Probe,
    ProcessState,
    ProcessView,
    Quorum,
    Role,
    Scalar,
    Serving,
    Unseen,
    UnseenReason,
)
from subjects.etcd.status import Status

_ALARM = re.compile(r"(?:memberID:(?P<member>\d{1,20})\s+)?alarm:(?P<kind>[A-Z]+)")
ELECTION_S = 3.0
"""An election is over by then: twice the longest usual one (1.8 s measured)."""

_GONE = frozenset({ProcessState.EXITED, ProcessState.PAUSED})


@dataclass(frozen=True, slots=True)
class Asked:
    """What one member said at one time, or why it could not be asked."""

    status: Status | None = None
    unseen: Unseen | None = None
    health: Probe = NOT_PROBED
    reach: Probe = NOT_PROBED
    metrics: tuple[Metric, ...] | None = None
    read: bool = False
    """Whether it answered a linearizable read, which takes a majority."""

    @property
    def answered(self) -> bool:
        """Whether the member itself said anything."""
        return self.status is not None or Connection.ACCEPTED in (
            self.health.connection,
            self.reach.connection,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of all members at one time."""

    asked: Mapping[str, Asked]
    """By node name."""
    processes: Mapping[str, ProcessView]
    memberships: Mapping[str, Membership]
    names: Mapping[str, str]
    """Member id → node name."""
    leaderless_s: Mapping[str, float]
    """Of members that answer and have no leader: for how long."""

    def gone(self, name: str) -> bool:
        """Whether the kernel or the engine says that it is dead or frozen."""
        return self.processes[name].state in _GONE

    def refuses(self, name: str) -> bool:
        """Whether nothing listens where the member should."""
        unseen = self.asked[name].unseen
        return unseen is not None and unseen.reason is UnseenReason.REFUSED


def leader_of(known: Known) -> tuple[str | None, int | None]:
    """Return leader and term as the member with the highest term sees them: others may be behind.

    A leader that is gone may still be believed in until the election times out, and is none.
    """
    statuses = [asked.status for asked in known.asked.values() if asked.status is not None]
    if not statuses:
        return None, None
    latest = max(statuses, key=lambda status: (status.term or 0, status.leader is not None))
    leader = known.names.get(latest.leader or "")
    if leader is None or leader not in known.asked or known.gone(leader) or known.refuses(leader):
        return None, latest.term
    return leader, latest.term


def peers_of(name: str, known: Known) -> dict[str, bool]:
    """Return, of every other member that answered, whether it holds a connection to `name`."""
    ids = {node: member for member, node in known.names.items()}
    member = ids.get(name)
    said: dict[str, bool] = {}
    for other, asked in known.asked.items():
        if other == name or asked.metrics is None:
            continue
        for metric in asked.metrics:
            if metric.name == "etcd_network_active_peers" and metric.labels.get("Remote") == member:
                said[other] = metric.value > 0
    return said


def votes(name: str, leader: str | None, peers: Mapping[str, bool], known: Known) -> bool | None:
    """Tell whether a member is a voter that follows a leader; None where that can't be found out."""
    asked = known.asked[name]
    if known.memberships[name] is Membership.LEARNER or known.gone(name):
        return False
    if asked.status is not None:
        # An election's moment without a leader is no lost vote.
        return asked.status.has_leader or (None if known.leaderless_s.get(name, 0.0) < ELECTION_S else False)
    if asked.unseen is None:
        return None
    if asked.unseen.reason in {UnseenReason.NEVER_STARTED, UnseenReason.FOREIGN}:
        return False
    if name == leader:
        return True  # who is followed is there, whatever keeps us from seeing it
    lost = bool(peers) and not any(peers.values())
    if asked.unseen.ours or asked.unseen.reason is UnseenReason.EXPIRED:
        return False if lost else None
    # Nobody listens, or nobody answers: connections that peers still hold may be those of a frozen process.
    return False if lost or asked.unseen.reason is UnseenReason.REFUSED else None


def quorum_of(cast: Mapping[str, bool | None], known: Known) -> Quorum:
    """Count the votes. A linearizable read that was answered proves a majority, whoever we can see."""
    voters = {name: vote for name, vote in cast.items() if known.memberships[name] is not Membership.LEARNER}
    return Quorum(
        voters=len(voters),
        up=sum(vote is True for vote in voters.values()),
        unknown=sum(vote is None for vote in voters.values()),
        proven=any(asked.read for asked in known.asked.values()),
    )


def serving_of(quorum: Quorum, leader: str | None, alarms: tuple[Alarm, ...], known: Known) -> Serving:
    """Say what clients can do, by what takes what."""
    answered = any(asked.status is not None for asked in known.asked.values())
    reads = True if quorum.proven else False if quorum.lost or (answered and leader is None) else None
    refused = any(alarm.kind in {"NOSPACE", "CORRUPT"} for alarm in alarms)
    return Serving(writes=False if refused or reads is False else reads, reads=reads)


def role_of(name: str, leader: str | None, known: Known) -> Role:
    """Return what a member is; a leader that we can't see is known by who follows it."""
    status = known.asked[name].status
    if known.memberships[name] is Membership.LEARNER:
        return Role.LEARNER
    if name == leader:
        return Role.LEADER
    return Role.UNKNOWN if status is None else Role.FOLLOWER


def alarms_of(known: Known) -> tuple[Alarm, ...]:
    """Return the alarms in force, each once, with the node that raised it."""
    statuses = [asked.status for asked in known.asked.values() if asked.status is not None]
    errors = [error for status in statuses for error in status.errors or ()]
    found = [alarm for error in errors if (alarm := read_alarm(error, known.names)) is not None]
    return tuple({(alarm.kind, alarm.node): alarm for alarm in found}.values())


def read_alarm(error: str, names: Mapping[str, str]) -> Alarm | None:
    """Return the alarm that one of a status's `errors` tells of; None where it tells of something else.

    etcd writes `memberID:10501334649042878790 alarm:NOSPACE `, the id in decimal
    (api/etcdserverpb, AlarmMember.String), beside sentences such as `etcdserver: no leader`.
    """
    found = _ALARM.search(error)
    if found is None:
        return None
    member = f"{int(found['member']):x}" if found["member"] else ""
    return Alarm(found["kind"], names.get(member, member or None), error.strip())


def details_of(status: Status | None, names: Mapping[str, str]) -> dict[str, Scalar]:
    """Return what only etcd has."""
    if status is None:
        return {}
    details: dict[str, Scalar] = {"leader_it_sees": names.get(status.leader) if status.leader else None}
    if status.has_leader and status.leader is None:
        del details["leader_it_sees"]  # its metrics say that it has a leader, not which
    if status.quota_bytes is not None:
        details["quota_bytes"] = status.quota_bytes
    if status.in_use_bytes is not None:
        details["in_use_bytes"] = status.in_use_bytes
    return details


DEFRAGMENTATIONS = "etcd_disk_backend_defrag_duration_seconds_count"
"""How often the member was defragmented since it started."""
DEFRAGMENTING = "etcd_disk_defrag_inflight"
"""1 while it is (3.4 and later)."""


QUOTA = "etcd_server_quota_backend_bytes"
"""What 3.6 has in its status, too."""


def _counted(metrics: tuple[Metric, ...] | None) -> dict[str, Scalar]:
    count, quota = metric(metrics, DEFRAGMENTATIONS), metric(metrics, QUOTA)
    details: dict[str, Scalar] = {} if count is None else {"defragmentations": int(count)}
    return details if quota is None else {**details, "quota_bytes": int(quota)}


def metric(metrics: tuple[Metric, ...] | None, name: str) -> float | None:
    """Return the value of a metric that has one; None where it was not read."""
    return next((each.value for each in metrics or () if each.name == name), None)


def view_of(
    name: str,
    address: str,
    leader: str | None,
    known: Known,
    seen_at: float | None,
) -> NodeView:
    """Return one member as everyone sees it."""
    asked, status = known.asked[name], known.asked[name].status
    peers = peers_of(name, known)
    top = max((each.status.raft_index or 0 for each in known.asked.values() if each.status), default=0)
    applied = status.applied_index if status else None
    ids = {node: member for member, node in known.names.items()}
    return NodeView(
        name=name,
        role=role_of(name, leader, known),
        address=address,
        process=known.processes[name],
        client=asked.reach,
        itself=asked.health,
        peers=peers,
        member_id=status.member_id if status else ids.get(name),
        membership=known.memberships[name],
        votes=votes(name, leader, peers, known),
        unseen=asked.unseen,
        seen_at=seen_at,
        started_at=metric(asked.metrics, "process_start_time_seconds"),
        version=status.version if status else None,
        term=status.term if status else None,
        raft_index=status.raft_index if status else None,
        lag=max(0, top - applied) if top and applied is not None else None,
        db_bytes=status.db_bytes if status else None,
        details={**_counted(asked.metrics), **details_of(status, known.names)},
    )
