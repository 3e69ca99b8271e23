"""What a snapshot shows, beside the one before: each node in the eyes of kernel, peers and control plane.

The one translator from snapshots to signals. The monitor gives it one snapshot after another; the diagnosis
gives it the one that it made itself.
"""

import time
from collections import deque
from collections.abc import Collection, Iterator

from subjects.base import (
    SLOW_SCORE,
    ClusterSnapshot,
    Connection,
    ControlState,
    Health,
    Membership,
    NodeView,
    ProcessState,
    ProcessView,
    Role,
    UnseenReason,
)
from tools.observe.kinds import signal
from tools.observe.limits import Limits, leader_span_s, over
from tools.observe.signal import CLIENT_PORT, Signal

VIA = "snapshot"
"""The line of what snapshots show of a node's own word, beside the held connections."""

CONTROL_MOVED_S = 30.0
"""After a PD leader change healthy stores may look disconnected until their next heartbeat: the new leader
loads heartbeat times that may be minutes old."""

RESTART_S = 1.0
"""A start time that moved by less is the same start, reported with another rounding. Linux reckons it from
the boot, so that it moves with every step of that machine's clock, too."""

TERM_JUMP = 3
"""So many terms more between two snapshots: elections that fail one after another."""

STALLED_ENTRIES = 5
"""A leader that went so far while a follower stood still: more than a heartbeat's worth of writes."""

FOLLOWED = "leader_it_sees"
"""Under this name etcd's members say in `NodeView.details` which leader they follow."""

UNSEEN_KINDS = {
    UnseenReason.FOREIGN: "foreign",
    UnseenReason.EXPIRED: "expired",
    UnseenReason.UNREACHED: "unreached",
}
"""Why a node could not be looked at, where that is an incident of its own."""

ALARM_KINDS = {"NOSPACE": "no_space", "CORRUPT": "corrupt"}


class SnapshotDiff:
    """Reads snapshots; remembers of each node what the next one is compared with."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._before: ClusterSnapshot | None = None
        self._nodes_before: dict[str, NodeView] = {}
        self._now: dict[str, NodeView] = {}
        self._leader: str | None = None
        self._leader_changes: deque[float] = deque(maxlen=100)
        self._leader_moved = float("-inf")
        self._started: dict[str, float] = {}
        self._looked: dict[str, float] = {}
        self._first_looked: dict[str, float] = {}
        """When each node was seen first since it started."""
        self._versions: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        """Version and member id of each node, as it last reported them."""

    def forget(self, node: str) -> None:
        """Drop what is known of a node that is no member any more, but for the id that it had.

        It may come back under its old name, and is another member then.
        """
        for known in (self._started, self._looked, self._first_looked):
            known.pop(node, None)
        self._versions.pop(node, None)

    def read(
        self,
        snapshot: ClusterSnapshot,
        at: float,
        *,
        held: Collection[str] = (),
        excused: Collection[str] = (),
    ) -> Iterator[Signal]:
        """Yield what a snapshot that began at monotonic `at` shows.

        `held`: nodes to whose client port a connection is held, which tells of it sooner.
        `excused`: nodes whose loss of the lead is explained by something else, so that it does not count.
        """
        self._now = {node.name: node for node in snapshot.nodes}
        for former in snapshot.left:  # who comes back under a name of before is compared with who had it
            self._ids.setdefault(former.name, former.member_id)
        if self._leader is not None and snapshot.leader not in {None, self._leader}:
            self._leader_moved = at  # before the nodes are read: what a new leader says of them is doubtful
        for node in snapshot.nodes:
            yield from self._process(node, at)
            yield from self._itself(node, at)
            yield from _unseen(node, at)
            yield from self._joining(node, at)
            yield from self._peers(node, at)
            yield from self._progress(snapshot, node, at)
            yield from self._control(snapshot, node, at)
            if node.name not in held:
                yield from _client_port(node, at)
        yield from self._cluster(snapshot, at, excused)
        yield from self._members(at)
        self._before, self._nodes_before = snapshot, self._now

    def _process(self, node: NodeView, at: float) -> Iterator[Signal]:
        view = node.process
        match view.state:
            case ProcessState.RUNNING:
                raw = view.raw or "process runs"
                if view.delayed:
                    yield signal("reported_running", node.name, raw, as_of=at)
                # A node that answers for itself runs, however late the report that says so; whether it is
                # the process of before, that report does not tell yet.
                if not view.delayed or _reports(node):
                    yield signal("running", node.name, raw, as_of=at)
                if view.networked is not None:
                    yield signal("in_network" if view.networked else "no_network", node.name, raw, as_of=at)
            case ProcessState.PAUSED:
                yield signal("stopped", node.name, view.raw or "process is stopped", as_of=at)
            case ProcessState.EXITED:
                kind = end_of(view)
                raw = view.raw or "process is gone"
                yield signal(kind, node.name, raw, as_of=at, exit_code=view.exit_code)
            case ProcessState.UNKNOWN:
                return

    def _itself(self, node: NodeView, at: float) -> Iterator[Signal]:
        if node.itself.health is Health.UNHEALTHY:
            yield signal("unhealthy", node.name, node.itself.raw, via=VIA, as_of=at)
        elif node.itself.health is Health.HEALTHY:
            yield signal("healthy", node.name, node.itself.raw or "healthy", via=VIA, as_of=at)
        if node.started_at is not None:
            yield self._start(node, node.started_at, at)
        yield from self._disk(node, at)
        score = node.details.get("slow_score")
        if isinstance(score, int):
            kind = "slow_disk" if score >= SLOW_SCORE else "quick_disk"
            raw = f"slow score {score} of 100 by its own measure of its disk"
            yield signal(kind, node.name, raw, via=VIA, as_of=at)
        yield from self._identity(node, at)
        done, before = node.details.get("defragmentations"), self._nodes_before.get(node.name)
        known = before.details.get("defragmentations") if before else None
        if isinstance(done, int) and isinstance(known, int) and done > known:
            yield signal("defragmenting", node.name, f"{done - known} defragmentations more", as_of=at)

    def _identity(self, node: NodeView, at: float) -> Iterator[Signal]:
        """Yield what changed since the node last reported it, however long it was away in between."""
        if node.version:
            known = self._versions.get(node.name, node.version)
            self._versions[node.name] = node.version
            if known != node.version:
                raw = f"version {known} became {node.version}"
                yield signal("version_changed", node.name, raw, as_of=at)
        if node.member_id:
            known = self._ids.get(node.name, node.member_id)
            self._ids[node.name] = node.member_id
            if known != node.member_id:
                raw = f"member id {known} became {node.member_id}: another member under the same name"
                yield signal("member_replaced", node.name, raw, as_of=at)

    def _start(self, node: NodeView, started: float, at: float) -> Signal:
        known, looked = self._started.get(node.name), self._looked.get(node.name, at)
        first = self._first_looked.setdefault(node.name, at)
        self._started[node.name], self._looked[node.name] = started, at
        # Who was seen alive from `first` to `looked` and restarted since, started at least that much later.
        if known is None or started - known < max(RESTART_S, looked - first - RESTART_S):
            return signal("same_start", node.name, f"started at {_utc(started)}", via=VIA, as_of=at)
        self._first_looked[node.name] = at
        raw = f"started at {_utc(started)}, where it was {_utc(known)}"
        # It is as old as the start, however late the snapshot: a planned one is covered by its window.
        # The node's clock may be another one than ours; that it was between the two snapshots is certain.
        began = time.monotonic() - (time.time() - started)
        return signal("restarted", node.name, raw, via=VIA, as_of=min(at, max(began, looked)))

    def _joining(self, node: NodeView, at: float) -> Iterator[Signal]:
        """Say once of a voter that it was added and has not joined: it counts from then on."""
        before = self._nodes_before.get(node.name)
        if node.membership is Membership.VOTER and _waits(node) and not (before and _waits(before)):
            text = node.unseen.text if node.unseen else ""
            yield signal("never_started", node.name, text, as_of=at)

    def _disk(self, node: NodeView, at: float) -> Iterator[Signal]:
        limit = self._limits.get("disk_space")
        quota = node.details.get("quota_bytes")
        if limit is None:
            return
        if node.db_bytes is not None and isinstance(quota, int | float) and quota:
            near = node.db_bytes / quota > limit.threshold
            raw = f"its database has {node.db_bytes} of the {quota:.0f} bytes that are its quota"
            yield signal("near_quota" if near else "room", node.name, raw, via=VIA, as_of=at)
        if limit.unit == "bytes" and node.disk_free_bytes is not None:
            low = node.disk_free_bytes < limit.threshold
            raw = f"{node.disk_free_bytes} bytes free"
            yield signal("low_space" if low else "room", node.name, raw, via=VIA, as_of=at)

    def _peers(self, node: NodeView, at: float) -> Iterator[Signal]:
        if not node.peers:
            if len(self._now) == 1:  # the others were removed: it has lost nobody
                yield signal("connected", node.name, "it is the only member", as_of=at)
            return
        lost = sorted(peer for peer, holds in node.peers.items() if not holds)
        told = f"{len(lost)} of {len(node.peers)} peers lost connection to {node.name}"
        raw = f"{told}: {', '.join(lost)}" if lost else f"all {len(node.peers)} peers are connected to it"
        # One peer's word is about the edge between the two: which end is ill only a second peer can tell.
        telling = len(node.peers) > 1 or len(self._now) == 2
        if telling and len(lost) * 2 > len(node.peers):
            yield signal("peer_lost", node.name, raw, as_of=at)
        else:
            yield signal("edge_lost" if lost else "connected", node.name, raw, as_of=at)

    def _progress(self, snapshot: ClusterSnapshot, node: NodeView, at: float) -> Iterator[Signal]:
        behind = over(self._limits, "replication_caught_up", node.lag)
        if behind is not None:
            raw = f"{node.lag} entries behind the leader"
            yield signal("lagging" if behind else "caught_up", node.name, raw, as_of=at)
        went, leader_went = self._went(node.name), self._went(snapshot.leader)
        if node.name == snapshot.leader:
            yield signal("advancing", node.name, "it leads", as_of=at)
        elif node.lag == 0:  # also where nothing is written, so that nobody goes further
            yield signal("advancing", node.name, "at the leader's last entry", as_of=at)
        elif went is not None and went > 0:
            yield signal("advancing", node.name, f"{went} entries further", as_of=at)
        elif went == 0 and leader_went is not None and leader_went >= STALLED_ENTRIES:
            raw = f"at entry {node.raft_index} still, while the leader went {leader_went} further"
            yield signal("stalled", node.name, raw, as_of=at)

    def _control(self, snapshot: ClusterSnapshot, node: NodeView, at: float) -> Iterator[Signal]:
        detail = f"role {node.role.value}, term {node.term}, raft index {node.raft_index}, lag {node.lag}"
        if snapshot.leader is not None and FOLLOWED in node.details:
            if node.details[FOLLOWED] is None:
                raw = f"{detail}; it has no leader, the others follow {snapshot.leader}"
                yield signal("leaderless", node.name, raw, as_of=at)
            else:
                kind = "leads" if node.role is Role.LEADER else "follows"
                yield signal(kind, node.name, detail, as_of=at)
        elif node.role is Role.LEADER:
            yield signal("leads", node.name, detail, as_of=at)
        match node.control:
            case ControlState.UP:
                yield signal("up", node.name, "up", as_of=at)
            case ControlState.OFFLINE:
                if (before := self._nodes_before.get(node.name)) and before.control is not node.control:
                    raw = "offline: it serves until its regions are elsewhere"
                    yield signal("leaving", node.name, raw, as_of=at)
            case ControlState.DISCONNECTED | ControlState.DOWN:
                age = "" if node.heartbeat_age_s is None else f", heartbeat {node.heartbeat_age_s:.1f} s old"
                moved = at - self._leader_moved < CONTROL_MOVED_S
                kind = "disconnected_unsure" if moved else "disconnected"
                yield signal(kind, node.name, f"{node.control.value}{age}", as_of=at)
            case ControlState.UNKNOWN:
                return

    def _cluster(self, snapshot: ClusterSnapshot, at: float, excused: Collection[str]) -> Iterator[Signal]:
        if not any(map(_reports, snapshot.nodes)):
            yield signal("unseen", None, "no node answers for itself", as_of=at)
            return  # who does not answer does not say either that there is no leader
        yield signal("seen", None, f"cluster {snapshot.state.value}", as_of=at)
        quorum = snapshot.quorum
        raw = f"{quorum.up} of {quorum.voters} voters up, {quorum.needed} needed"
        if quorum.held or quorum.lost:  # neither is that nobody can tell
            yield signal("quorum_held" if quorum.held else "quorum_lost", None, raw, as_of=at)
        if snapshot.leader is not None:
            raw = f"{snapshot.leader} leads" + ("" if snapshot.term is None else f" in term {snapshot.term}")
            yield signal("led", None, raw, as_of=at)
            yield from self._leadership(snapshot, snapshot.leader, at, excused)
        elif not any(node.details.get(FOLLOWED) for node in snapshot.nodes):
            # A leader that only answers late is still followed: those who follow it know better.
            yield signal("no_leader", None, f"no leader, term {snapshot.term}", as_of=at)
        before = self._before
        if before and before.term and snapshot.term and snapshot.term - before.term >= TERM_JUMP:
            yield signal("term_jumped", None, f"term {before.term} became {snapshot.term}", as_of=at)
        if snapshot.replication is not None and snapshot.replication.leaderless is not None:
            count = snapshot.replication.leaderless
            raw = f"{count} of {snapshot.replication.regions} regions have no leader"
            yield signal("regions_leaderless" if count else "regions_led", None, raw, as_of=at)
        yield from self._alarms(snapshot, at)

    def _alarms(self, snapshot: ClusterSnapshot, at: float) -> Iterator[Signal]:
        for alarm in snapshot.alarms:
            kind = ALARM_KINDS.get(alarm.kind, "alarm")
            yield signal(kind, alarm.node, alarm.raw or str(alarm), via=alarm.kind, as_of=at)
        if not snapshot.alarms_known:
            return
        if not snapshot.alarms:
            yield signal("no_alarm", None, "no alarm", as_of=at)
        for node in {*self._now} - {alarm.node for alarm in snapshot.alarms}:
            yield signal("no_alarm", node, "no alarm", as_of=at)

    def _leadership(
        self, snapshot: ClusterSnapshot, leader: str, at: float, excused: Collection[str]
    ) -> Iterator[Signal]:
        known, self._leader = self._leader, leader
        if known is not None and known != leader:
            if known not in excused:
                self._leader_changes.append(at)
            raw = f"{leader} elected leader, was {known} (term {snapshot.term})"
            yield signal("leader_changed", known, raw, as_of=at)
        while self._leader_changes and at - self._leader_changes[0] > leader_span_s(self._limits):
            self._leader_changes.popleft()
        count = len(self._leader_changes)
        unit = self._limits["leader_stable"].unit if "leader_stable" in self._limits else "changes"
        unstable = over(self._limits, "leader_stable", count)
        yield signal("unstable" if unstable else "steady_leader", None, f"{count} {unit}", as_of=at)

    def _members(self, at: float) -> Iterator[Signal]:
        if self._before is None:
            return
        now, before = set(self._now), set(self._nodes_before)
        for name in sorted(now - before):
            yield signal("member_added", name, f"{name} is a member now", as_of=at)
        for name in sorted(before - now):
            yield signal("member_removed", name, "the others do not list it any more", as_of=at)

    def _went(self, name: str | None) -> int | None:
        """Return by how many entries a node's log grew since the last snapshot; None if unknown."""
        now, before = self._now.get(name or ""), self._nodes_before.get(name or "")
        if now is None or before is None or now.raft_index is None or before.raft_index is None:
            return None
        return now.raft_index - before.raft_index


def end_of(view: ProcessView) -> str:
    """Return the kind of signal that the end of a process is, by what is known of it."""
    if view.blocked:
        return "blocked"
    return "oom" if view.oom_killed else "evicted" if view.evicted else "exit"


def _reports(node: NodeView) -> bool:
    """Whether the node said anything of itself: how it is, or how far its log has come."""
    return node.term is not None or node.itself.health is not Health.UNKNOWN


def _waits(node: NodeView) -> bool:
    return node.unseen is not None and node.unseen.reason is UnseenReason.NEVER_STARTED


def _unseen(node: NodeView, at: float) -> Iterator[Signal]:
    if node.unseen is None:
        yield signal("verified", node.name, "it could be looked at", via=VIA, as_of=at)
        yield signal("own_cluster", node.name, "it could be looked at", via=VIA, as_of=at)
    elif (kind := UNSEEN_KINDS.get(node.unseen.reason)) is not None:
        yield signal(kind, node.name, node.unseen.text, via=VIA, as_of=at)


def _client_port(node: NodeView, at: float) -> Iterator[Signal]:
    match node.client.connection:
        case Connection.REFUSED | Connection.RESET | Connection.SILENT:
            kind = node.client.connection.value
            yield signal(kind, node.name, node.client.raw, via=CLIENT_PORT, as_of=at)
        case Connection.ACCEPTED:
            yield signal("answers", node.name, node.client.raw or "answers", via=CLIENT_PORT, as_of=at)
        case Connection.UNKNOWN:
            return


def _utc(wall: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(wall)) + f".{int(wall % 1 * 1000):03d}Z"
