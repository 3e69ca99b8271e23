"""Rolling upgrades by somebody else: members restarted with another version, one at a time.

The first restart is an incident like any other. Once that member is back with another version, the next one
that goes down alone is announced instead, and has a limited time to come back. It alarms at once if it was
killed, if nobody knows how it ended, if it is back with its old version, or if another member or the quorum
is lost meanwhile.
"""

import time
from dataclasses import dataclass, field

from subjects.base import ClusterSnapshot
from tools.detection.conditions import Conditions
from tools.detection.incident_tracker import IncidentTracker, OpenIncident
from tools.detection.maintenance import DOWN_S, LOSSES, Maintenance
from tools.events import Emit, Notice
from tools.observe.signal import Detection, Signal

NEXT_S = 900.0
"""How long after one restart the next still belongs to the same upgrade: people check the cluster between."""

TIMES, LEAST_S, MOST_S = 2.0, 15.0, DOWN_S
"""How long a member may be down: this many times the slowest restart so far, within these bounds."""

GOES = frozenset({"refused", "reset"})
"""What a graceful shutdown looks like over the network. A kill looks the same there."""

UNPLANNED = frozenset({"killed", "failed", "oom", "evicted", "blocked", "stopped", "exit"})
"""What the kernel or the engine does not report of a graceful shutdown; a bare exit may be anything."""


@dataclass(slots=True)
class _Upgrade:
    """An upgrade in progress."""

    version: str
    slowest_s: float
    at: float
    """Monotonic time when a member was last seen with the new version for the first time."""
    incident: OpenIncident | None
    done: set[str] = field(default_factory=set)


class Rollout:
    """Follows the members' versions, and keeps the next expected restart from raising an alarm."""

    def __init__(
        self, maintenance: Maintenance, incidents: IncidentTracker, conditions: Conditions, emit: Emit
    ) -> None:
        self._maintenance = maintenance
        self._incidents = incidents
        self._conditions = conditions
        self._emit = emit
        self._versions: dict[str, str] = {}
        """The last known version of each member."""
        self._upgrade: _Upgrade | None = None
        self._away: dict[str, float] = {}
        """The member that was last expected back, and the monotonic time when it went down."""
        self._as_before: set[str] = set()
        """Of those, who is back with the version that it had before, by the last snapshot."""

    def read(self, snapshot: ClusterSnapshot, began: float) -> None:
        """Take the versions that a snapshot shows; it began at monotonic `began`."""
        self._as_before.clear()
        for left in self._versions.keys() - {node.name for node in snapshot.nodes}:
            del self._versions[left]
        for node in snapshot.nodes:
            if not node.version:
                continue
            known = self._versions.get(node.name, node.version)
            self._versions[node.name] = node.version
            if known != node.version:
                self._upgraded(node.name, node.version)
            elif self._away.get(node.name, began) < began:
                self._as_before.add(node.name)

    def take(self, seen: Signal) -> None:
        """Expect a member back that went down as the next of an upgrade, until it turns out otherwise."""
        if seen.node is None:
            return
        if seen.word in UNPLANNED:
            if seen.node in self._away:
                self._maintenance.recall(seen.node)
        elif seen.kind == "restarted" and seen.node in self._as_before:  # it crashed, and was started again
            self._maintenance.recall(seen.node)
        elif seen.kind in GOES and (upgrade := self._next_of(seen.node)) is not None:
            self._expect(seen.node, upgrade)

    def detected(self, made: Detection) -> None:
        """Expect nobody back any more once another member or the quorum is lost."""
        if LOSSES.intersection(made.invariants):
            for node in self._away.keys() - set(made.nodes):
                self._maintenance.recall(node)

    def _upgraded(self, node: str, version: str) -> None:
        now, incident = time.monotonic(), self._incidents.of(node)
        began = self._away.pop(node, incident.opened if incident else None)
        took_s = 0.0 if began is None else now - began
        upgrade = self._upgrade
        if upgrade is None or upgrade.version != version or now - upgrade.at > NEXT_S:
            self._upgrade = _Upgrade(version, took_s, now, incident, {node})
            return
        upgrade.done.add(node)
        upgrade.at, upgrade.slowest_s = now, max(upgrade.slowest_s, took_s)
        on = [name for name, each in self._versions.items() if each == version]
        text = f"rolling upgrade: {len(on)} of {len(self._versions)} members on {version}"
        self._emit(Notice(f"{text[0].upper()}{text[1:]}."))
        if (first := upgrade.incident or incident) is not None:
            self._incidents.call(first, text)

    def _next_of(self, node: str) -> _Upgrade | None:
        """Return the upgrade whose next step is that this node goes down, if there is one."""
        upgrade = self._upgrade
        if upgrade is None or time.monotonic() - upgrade.at > NEXT_S:
            return None
        if node in self._away or self._maintenance.planned_down(node):  # a second outage of it is an alarm
            return None
        if self._versions.get(node) in {None, upgrade.version} or self._incidents.of(node) is not None:
            return None
        # Upgrades take one member at a time, and the quorum can only spare one.
        others_down = any(
            held.node != node and (held.incident is not None or held.meaning.invariant in LOSSES)
            for held in self._conditions
        ) or any(self._maintenance.planned_down(other) for other in self._away)
        return None if others_down else upgrade

    def _expect(self, node: str, upgrade: _Upgrade) -> None:
        within_s = min(MOST_S, max(LEAST_S, TIMES * upgrade.slowest_s))
        reason = f"as {', '.join(sorted(upgrade.done))} did, which came back with {upgrade.version}"
        self._maintenance.leave(node, reason, within_s, is_down=True)
        self._away = {node: time.monotonic()}
        self._emit(
            Notice(
                f"{node} went down {reason}: it looks like the next step of a rolling upgrade. "
                f"No alarm if it is back within {within_s:.0f} s, unless it was killed or another is lost."
            )
        )
