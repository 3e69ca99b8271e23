"""Rolling upgrades by somebody else: members that go and come back with another version, one after the other.

The first one is an incident like any other, until its version is seen. The next one that goes the same way is
expected back within a time: then it is told, and is no alarm. Who does not come back, who was killed, and
who goes while another one is away, is.
"""

import time
from dataclasses import dataclass, field

from subjects.base import ClusterSnapshot
from tools.detection.conditions import Conditions
from tools.detection.incident_tracker import IncidentTracker, OpenIncident
from tools.detection.maintenance import DOWN_S, Maintenance
from tools.events import Emit, Notice
from tools.observe.kinds import Weight
from tools.observe.signal import Signal

NEXT_S = 900.0
"""How long after a step the next one belongs to it: whoever upgrades checks the cluster in between."""

TIMES, LEAST_S, MOST_S = 2.0, 15.0, DOWN_S
"""How long a member may be away: so many times what the slowest step before took, within these bounds."""

GOES = frozenset({"refused", "reset"})
"""What somebody who is ended in order looks like from outside; that it was killed looks the same there."""

VIOLENT = frozenset({"killed", "failed", "oom", "stopped"})
"""What the kernel or the engine reports of no upgrade."""


@dataclass(slots=True)
class _Steps:
    """An upgrade under way."""

    version: str
    slowest_s: float
    at: float
    """Monotonic time of the last step."""
    incident: OpenIncident | None
    done: set[str] = field(default_factory=set)


class Rollout:
    """Follows the members' versions, and expects back who goes next."""

    def __init__(
        self, maintenance: Maintenance, incidents: IncidentTracker, conditions: Conditions, emit: Emit
    ) -> None:
        self._maintenance = maintenance
        self._incidents = incidents
        self._conditions = conditions
        self._emit = emit
        self._versions: dict[str, str] = {}
        self._steps: _Steps | None = None
        self._away: dict[str, float] = {}
        """Who was expected back last, and since when."""

    def read(self, snapshot: ClusterSnapshot) -> None:
        """Take the versions that a snapshot shows."""
        for node in snapshot.nodes:
            if not node.version:
                continue
            known = self._versions.get(node.name, node.version)
            self._versions[node.name] = node.version
            if known != node.version:
                self._stepped(node.name, node.version)

    def take(self, seen: Signal) -> None:
        """Expect a node back that goes as those before it did; no longer one that was ended by force."""
        if seen.node is None:
            return
        if seen.word in VIOLENT:
            if seen.node in self._away:
                self._maintenance.recall(seen.node)
        elif seen.kind in GOES and self._is_next(seen.node):
            self._expect(seen.node)

    def _stepped(self, node: str, version: str) -> None:
        now, incident = time.monotonic(), self._incidents.of(node)
        began = self._away.pop(node, incident.opened if incident else None)
        took_s = 0.0 if began is None else now - began
        steps = self._steps
        if steps is None or steps.version != version or now - steps.at > NEXT_S:
            self._steps = _Steps(version, took_s, now, incident, {node})
            return
        steps.done.add(node)
        steps.at, steps.slowest_s = now, max(steps.slowest_s, took_s)
        on = [name for name, each in self._versions.items() if each == version]
        text = f"rolling upgrade: {len(on)} of {len(self._versions)} members on {version}"
        self._emit(Notice(f"{text[0].upper()}{text[1:]}."))
        if (first := steps.incident or incident) is not None:
            self._incidents.call(first, text)

    def _is_next(self, node: str) -> bool:
        steps = self._steps
        if steps is None or time.monotonic() - steps.at > NEXT_S:
            return False
        if node in self._away or self._maintenance.planned_down(node):  # nobody is waited for twice
            return False
        if self._versions.get(node) in {None, steps.version} or self._incidents.of(node) is not None:
            return False
        # One at a time is what an upgrade looks like, and what the others can bear.
        return not any(
            held.node != node and (held.incident is not None or held.meaning.weight is Weight.CERTAIN)
            for held in self._conditions
        ) and not any(self._maintenance.planned_down(other) for other in self._away)

    def _expect(self, node: str) -> None:
        assert self._steps is not None  # noqa: S101 - it is the next of these steps
        steps = self._steps
        within_s = min(MOST_S, max(LEAST_S, TIMES * steps.slowest_s))
        others = ", ".join(sorted(steps.done))
        reason = f"as {others} did, which came back with {steps.version}"
        self._maintenance.leave(node, reason, within_s, is_down=True)
        self._away = {node: time.monotonic()}
        self._emit(
            Notice(
                f"{node} went down {reason}: it looks like the next step of a rolling upgrade. "
                f"No alarm if it is back within {within_s:.0f} s and was not killed."
            )
        )
