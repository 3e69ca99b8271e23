"""What a look at the whole cluster tells: each node in the eyes of kernel, peers and control plane."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from subjects.base import (
    SLOW_SCORE,
    ClusterSnapshot,
    Connection,
    ControlState,
    Health,
    Invariant,
    NodeView,
    ProcessState,
)
from tools.detection.board import Observation
from tools.detection.lines import CLIENT
from tools.detection.signals import Source

VIA = "look"
"""The line of what looks say beside the held connections."""

LEADER_SPANS_S = {"changes in 15 min": 900.0, "changes/min": 60.0}
"""In which span leader changes are counted, by the unit of the invariant's threshold."""

CONTROL_MOVED_S = 30.0
"""After a PD leader change healthy stores may look disconnected until their next heartbeat: the new leader
loads heartbeat times that may be minutes old."""

RESTART_S = 1.0
"""A start time that moved by less is the same start, reported with another rounding. Linux reckons it from
the boot, so that it moves with every step of that machine's clock, too."""

TERM_JUMP = 3
"""So many terms more between two looks: elections that fail one after another."""

STALLED_ENTRIES = 5
"""A leader that went so far while a follower stood still: more than a heartbeat's worth of writes."""


FOLLOWED = "leader_it_sees"
"""Under this name etcd's members say in `NodeView.details` whom they follow."""


@dataclass(frozen=True, slots=True)
class Well:
    """One side has nothing against a node in some respect."""

    source: Source
    node: str | None
    kinds: tuple[str, ...] = ()
    via: str | None = None


@dataclass(slots=True)
class Found:
    """What one look told."""

    bad: list[Observation] = field(default_factory=list)
    well: list[Well] = field(default_factory=list)


class Looks:
    """Compares each snapshot with the one before."""

    def __init__(self, invariants: Mapping[str, Invariant]) -> None:
        self._limits = invariants
        self._before: ClusterSnapshot | None = None
        self._before_by_name: dict[str, NodeView] = {}
        self._now: dict[str, NodeView] = {}
        self._leader: str | None = None
        self._leader_changes: deque[float] = deque(maxlen=100)
        self._leader_moved = float("-inf")
        self._started: dict[str, float] = {}
        self._looked: dict[str, float] = {}
        self._first_looked: dict[str, float] = {}
        """When each node was seen first since it started."""

    def forget(self, node: str) -> None:
        """Drop what is known of a node that is no member any more."""
        self._started.pop(node, None)
        self._first_looked.pop(node, None)

    def compare(self, snapshot: ClusterSnapshot, at: float, *, calm: bool, client_port: bool) -> Found:
        """Read a snapshot whose look began at monotonic `at`.

        `calm`: no incident and no planned act is under way, so that a leader change counts.
        `client_port`: whether the look's own word on client ports is wanted (no held connection has it).
        """
        found = Found()
        self._now = {node.name: node for node in snapshot.nodes}
        if self._leader is not None and snapshot.leader not in {None, self._leader}:
            self._leader_moved = at  # before the nodes are read: what a new leader says of them is doubtful
        for node in snapshot.nodes:
            for part in (self._process(node, at), self._itself(node, at), self._peers(node, at)):
                _sort(found, part)
            _sort(found, self._progress(snapshot, node, at))
            _sort(found, self._control(node, at))
            if client_port:
                _sort(found, _client_port(node, at))
        _sort(found, self._cluster(snapshot, at, calm=calm))
        _sort(found, self._members(at))
        self._before, self._before_by_name = snapshot, self._now
        return found

    def _process(self, node: NodeView, at: float) -> "Iterator[Observation | Well]":
        view = node.process
        if view.state is ProcessState.RUNNING:
            yield Well(Source.PROCESS, node.name)
        elif view.state is ProcessState.PAUSED:
            yield Observation(
                Source.PROCESS, "stopped", node.name, view.raw or "process is stopped", as_of=at
            )
        elif view.state is ProcessState.EXITED:
            kind = "oom" if view.oom_killed else "exit"
            raw = view.raw or "process is gone"
            yield Observation(Source.PROCESS, kind, node.name, raw, as_of=at, exit_code=view.exit_code)

    def _itself(self, node: NodeView, at: float) -> "Iterator[Observation | Well]":
        if node.itself.health is Health.UNHEALTHY:
            yield Observation(Source.SELF, "unhealthy", node.name, node.itself.raw, via=VIA, as_of=at)
        elif node.itself.health is Health.HEALTHY:
            yield Well(Source.SELF, node.name, ("unhealthy",), VIA)
        if node.started_at is not None:
            yield from self._start(node, node.started_at, at)
        yield from self._disk(node, at)
        yield from self._slow_disk(node, at)
        before = self._before_by_name.get(node.name)
        if before and before.version and node.version and before.version != node.version:
            raw = f"version {before.version} became {node.version}"
            yield Observation(Source.SELF, "version_changed", node.name, raw, via=VIA, as_of=at)

    def _start(self, node: NodeView, started: float, at: float) -> "Iterator[Observation | Well]":
        known, looked = self._started.get(node.name), self._looked.get(node.name, at)
        first = self._first_looked.setdefault(node.name, at)
        self._started[node.name], self._looked[node.name] = started, at
        # Who was seen alive from `first` to `looked` and restarted since, started at least that much later.
        if known is None or started - known < max(RESTART_S, looked - first - RESTART_S):
            yield Well(Source.SELF, node.name, ("restarted",), VIA)
            return
        self._first_looked[node.name] = at
        raw = f"started at {_utc(started)}, where it was {_utc(known)}"
        # What is seen is as old as the start, however late the look: a planned one is covered by its window.
        # The node's clock may be another one than ours; that it was between the two looks is certain.
        began = time.monotonic() - (time.time() - started)
        as_of = min(at, max(began, looked))
        yield Observation(Source.SELF, "restarted", node.name, raw, via=VIA, as_of=as_of)

    def _disk(self, node: NodeView, at: float) -> "Iterator[Observation | Well]":
        limit = self._limits["disk_space"]
        quota = node.details.get("quota_bytes")
        if limit.unit == "share" and node.db_bytes is not None and isinstance(quota, int | float) and quota:
            low, raw = node.db_bytes / quota > limit.threshold, f"{node.db_bytes} of {quota} bytes used"
        elif limit.unit == "bytes" and node.disk_free_bytes is not None:
            low, raw = node.disk_free_bytes < limit.threshold, f"{node.disk_free_bytes} bytes free"
        else:
            return
        if low:
            yield Observation(Source.SELF, "low_space", node.name, raw, via=VIA, as_of=at)
        else:
            yield Well(Source.SELF, node.name, ("low_space",), VIA)

    def _slow_disk(self, node: NodeView, at: float) -> "Iterator[Observation | Well]":
        score = node.details.get("slow_score")
        if not isinstance(score, int):
            return
        if score >= SLOW_SCORE:
            raw = f"slow score {score} of 100 by its own measure of its disk"
            yield Observation(Source.SELF, "slow_disk", node.name, raw, via=VIA, as_of=at)
        else:
            yield Well(Source.SELF, node.name, ("slow_disk",), VIA)

    def _peers(self, node: NodeView, at: float) -> "Iterator[Observation | Well]":
        if not node.peers:
            return
        lost = sorted(peer for peer, holds in node.peers.items() if not holds)
        raw = f"{', '.join(lost)} of {', '.join(sorted(node.peers))} hold no connection to {node.name}"
        # One peer's word is about the edge between the two: which end is ill only a second peer can tell.
        told = len(node.peers) > 1 or len(self._now) == 2
        if told and len(lost) * 2 > len(node.peers):
            yield Observation(Source.PEERS, "peer_lost", node.name, raw, as_of=at)
            yield Well(Source.PEERS, node.name, ("edge_lost",))
        elif lost:
            yield Observation(Source.PEERS, "edge_lost", node.name, raw, as_of=at)
            yield Well(Source.PEERS, node.name, ("peer_lost",))
        else:
            yield Well(Source.PEERS, node.name, ("peer_lost", "edge_lost"))

    def _progress(
        self, snapshot: ClusterSnapshot, node: NodeView, at: float
    ) -> "Iterator[Observation | Well]":
        limit = self._limits["replication_caught_up"].threshold
        if node.lag is not None and node.lag > limit:
            raw = f"{node.lag} entries behind the leader"
            yield Observation(Source.PEERS, "lagging", node.name, raw, as_of=at)
        elif node.lag is not None:
            yield Well(Source.PEERS, node.name, ("lagging",))
        went, leader_went = self._went(node.name), self._went(snapshot.leader)
        if went is None or leader_went is None or node.name == snapshot.leader:
            return
        if went == 0 and leader_went >= STALLED_ENTRIES:
            raw = f"at entry {node.raft_index} still, while the leader went {leader_went} further"
            yield Observation(Source.PEERS, "stalled", node.name, raw, as_of=at)
        elif went > 0:
            yield Well(Source.PEERS, node.name, ("stalled",))

    def _control(self, node: NodeView, at: float) -> "Iterator[Observation | Well]":
        match node.control:
            case ControlState.UP:
                yield Well(Source.CONTROL, node.name)
            case ControlState.DISCONNECTED | ControlState.DOWN | ControlState.OFFLINE:
                age = "" if node.heartbeat_age_s is None else f", heartbeat {node.heartbeat_age_s:.1f} s old"
                moved = at - self._leader_moved < CONTROL_MOVED_S
                kind = "disconnected_unsure" if moved else "disconnected"
                yield Observation(Source.CONTROL, kind, node.name, f"{node.control.value}{age}", as_of=at)
            case ControlState.UNKNOWN:
                return

    def _cluster(self, snapshot: ClusterSnapshot, at: float, *, calm: bool) -> "Iterator[Observation | Well]":
        if not any(map(_answers, snapshot.nodes)):
            yield Observation(Source.CONTROL, "unseen", None, "no node answers for itself", as_of=at)
            return  # who does not answer does not say either that there is no leader
        yield Well(Source.CONTROL, None, ("unseen",))
        if snapshot.quorum.held:
            yield Well(Source.CONTROL, None, ("quorum_lost",))
        elif snapshot.quorum.lost:
            raw = f"{snapshot.quorum.up} of {snapshot.quorum.voters} up, {snapshot.quorum.needed} needed"
            yield Observation(Source.CONTROL, "quorum_lost", None, raw, as_of=at)
        if snapshot.leader is None:
            # A leader that only answers late is still followed: those who follow it know better.
            if not any(node.details.get(FOLLOWED) for node in snapshot.nodes):
                raw = f"no leader, term {snapshot.term}"
                yield Observation(Source.CONTROL, "no_leader", None, raw, as_of=at)
        else:
            yield Well(Source.CONTROL, None, ("no_leader",))
            yield from self._leadership(snapshot, snapshot.leader, at, calm=calm)
        before = self._before
        if before and before.term and snapshot.term and snapshot.term - before.term >= TERM_JUMP:
            raw = f"term {before.term} became {snapshot.term}"
            yield Observation(Source.CONTROL, "term_jumped", None, raw, as_of=at)
        for alarm in map(str, snapshot.alarms):
            yield Observation(Source.CONTROL, "alarm", None, alarm, via=alarm, as_of=at)
        if not snapshot.alarms:
            yield Well(Source.CONTROL, None, ("alarm",))

    def _leadership(
        self, snapshot: ClusterSnapshot, leader: str, at: float, *, calm: bool
    ) -> "Iterator[Observation | Well]":
        known, self._leader = self._leader, leader
        if known is not None and known != leader:
            if calm:
                self._leader_changes.append(at)
            raw = f"{known} handed over to {leader} in term {snapshot.term}"
            yield Observation(Source.CONTROL, "leader_changed", None, raw, as_of=at)
        limit = self._limits["leader_stable"]
        while self._leader_changes and at - self._leader_changes[0] > LEADER_SPANS_S.get(limit.unit, 900.0):
            self._leader_changes.popleft()
        if len(self._leader_changes) > limit.threshold:
            raw = f"{len(self._leader_changes)} {limit.unit}, where {limit.threshold:g} are usual"
            yield Observation(Source.CONTROL, "unstable", None, raw, as_of=at)
        else:
            yield Well(Source.CONTROL, None, ("unstable",))

    def _members(self, at: float) -> "Iterator[Observation | Well]":
        if self._before is None:
            return
        now, before = set(self._now), set(self._before_by_name)
        for name in sorted(now - before):
            yield Observation(Source.CONTROL, "member_added", name, f"{name} is a member now", as_of=at)
        for name in sorted(before - now):
            yield Observation(
                Source.CONTROL, "member_removed", name, f"{name} is no member any more", as_of=at
            )

    def _went(self, name: str | None) -> int | None:
        """Return by how many entries a node's log grew since the last look; None where that is unknown."""
        now, before = self._now.get(name or ""), self._before_by_name.get(name or "")
        if now is None or before is None or now.raft_index is None or before.raft_index is None:
            return None
        return now.raft_index - before.raft_index


def _answers(node: NodeView) -> bool:
    """Whether the node said anything of itself: how it is, or how far its log has come."""
    return node.term is not None or node.itself.health is not Health.UNKNOWN


def _client_port(node: NodeView, at: float) -> "Iterator[Observation | Well]":
    via = CLIENT
    match node.client.connection:
        case Connection.REFUSED | Connection.RESET | Connection.SILENT:
            kind = node.client.connection.value
            yield Observation(Source.CONNECTION, kind, node.name, node.client.raw, via=via, as_of=at)
        case Connection.ACCEPTED:
            yield Well(Source.CONNECTION, node.name, via=via)
        case Connection.UNKNOWN:
            return


def _sort(found: Found, parts: "Iterator[Observation | Well]") -> None:
    for part in parts:
        if isinstance(part, Well):
            found.well.append(part)
        else:
            found.bad.append(part)


def _utc(wall: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(wall)) + f".{int(wall % 1 * 1000):03d}Z"
