"""From signals to detections: what is proven, what follows from what, what repeats, what is over."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from subjects import clock
from tools.detection.conditions import Condition, Conditions, counts
from tools.detection.incident_tracker import LATE_S, IncidentTracker, OpenIncident
from tools.detection.maintenance import Maintenance
from tools.events import Emit
from tools.observe.kinds import Weight, meaning, signal
from tools.observe.ledger import Ledger
from tools.observe.limits import Limits
from tools.observe.signal import Again, Detection, Signal, Source

MAX_ALARM = 100
"""Characters of an alarm that a detection is called by."""

MAX_RAW = 500
"""Characters of what was seen that a signal keeps."""

FOLLOWS_S = 10.0
"""How long after a failure silence and unrest elsewhere are taken for its consequence: elections, retries."""

PATIENCE = 4
"""Misses more, at 250 ms each, for a node that may only wait for an ill leader: that one is named before,
or another leads by then (an election takes 0.7 to 1.8 s)."""

NEWS_S = 30.0
"""What comes so long after the last cause in its incident does not follow from that."""

SEVERITY = {"quorum": 3, "has_leader": 3, "data_intact": 3, "store_up": 2}
"""What is worse than the other invariants, and how much."""

TOGETHER_S = 2.0
"""Notes so recent (a leader changed) are told with the detection that they lead up to."""

UNMEASURED = "the load that showed it is over; whether clients are served as before was not measured"

EXPLAINS = frozenset({"version_changed", "member_removed", "member_replaced"})
"""Notes that say of a node in an incident what its trouble really was."""

DEATHS = frozenset({"exit", "oom", "evicted", "blocked", "refused", "reset", "restarted"})


class Correlator:
    """Takes signals from every side and makes conditions, detections and incidents of them."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        incidents: IncidentTracker,
        maintenance: Maintenance,
        limits: Limits,
        emit: Emit,
        detected: Callable[[Detection], None],
    ) -> None:
        self.conditions = Conditions()
        self.signals: deque[Signal] = deque(maxlen=2000)
        self.leader: str | None = None
        """Who leads, as the last snapshot had it; see `led_by`."""
        self._told_late: set[str] = set()
        """Nodes of whose process we learn late that it ended."""
        self._former: tuple[str, float] | None = None
        """Who led before, and until when."""
        self._ledger = ledger
        self._incidents = incidents
        self._maintenance = maintenance
        self._limits = limits
        self._emit = emit
        self._detected = detected
        self._notes: deque[Signal] = deque(maxlen=20)

    def take(self, seen: Signal) -> Condition | None:
        """Take what was seen; return the condition that it is, if it is one and is held."""
        if meaning(seen.kind).weight is Weight.ALL_CLEAR:
            self._clear(seen)
            return None
        if self._maintenance.covers(seen):
            return None
        if not counts(seen):
            self._note(seen)
            return None
        if self.conditions.stale(seen):
            return None
        # A second kind may end a first: of a node whose peers are all gone it is not said that one is.
        self.conditions.clear(seen)
        condition = self.conditions.get(seen)
        if condition is not None:
            condition.count += 1
            condition.last = max(condition.last, seen.shown_at)
            self._judge(condition)
            return condition
        condition = self.conditions.put(self._file(seen))
        # What is certain names it: who is dead is not called silent.
        for held in sorted(self.conditions.of(seen.node), key=_certain, reverse=True):
            self._judge(held)
        return condition

    def answered(self, node: str) -> None:
        """Count a healthy answer of a node in an incident: after some it counts as back."""
        incident = self._incidents.of(node)
        gone = any(held.signal.source is Source.PROCESS for held in self.conditions.of(node))
        if incident is not None and not gone:
            incident.of(node).answers += 1

    def started(self, node: str) -> None:
        """Note that the kernel or engine reported a start of the node's process."""
        self._maintenance.started(node)
        incident = self._incidents.of(node)
        if incident is not None:
            incident.of(node).started = True

    def told_late(self, nodes: Iterable[str]) -> None:
        """Note of which nodes' processes we learn late that they ended."""
        self._told_late.update(nodes)

    def led_by(self, leader: str) -> None:
        """Note who leads now."""
        if self.leader is not None and self.leader != leader:
            self._former = self.leader, time.monotonic()
        self.leader = leader

    def settle(self, members: Sequence[str]) -> None:
        """Close the incidents in which nothing is held any more; call it after each snapshot."""
        for incident in self._incidents:
            held = any(condition.incident == incident.id for condition in self.conditions)
            quiet = not held and not incident.end_due
            stayed = [node for node in incident.nodes if node in members]
            left = bool(incident.nodes) and not stayed
            text = incident.name if left else UNMEASURED if incident.unmeasured else ""
            if self._incidents.close_if_quiet(incident, quiet=quiet, text=text):
                for node in () if left else stayed or (None,):
                    self._file(signal("recovered", node, text or f"healthy for {incident.hold_s:.1f} s"))

    def forget_load(self, older_than: float) -> None:
        """Drop what windows of load up to monotonic `older_than` showed: that load is over."""
        for condition in self.conditions.expire(Source.CLIENT, older_than):
            if (incident := self._incidents.get(condition.incident)) is not None:
                incident.unmeasured = True

    def _clear(self, seen: Signal) -> None:
        for condition in self.conditions.clear(seen):
            if (incident := self._incidents.get(condition.incident)) is not None:
                incident.of(condition.node).over.add(condition.signal.key)

    def _judge(self, condition: Condition) -> None:
        """Decide now, except of silence: who else is silent in the same moment matters for it."""
        if condition.signal.kind == "silent":
            asyncio.get_running_loop().call_soon(self._decide, condition)
        else:
            self._decide(condition)

    def _decide(self, condition: Condition) -> None:
        if not self.conditions.holds(condition):
            return
        if condition.incident is not None and not condition.follows:
            return
        node = condition.node
        incident = self._incidents.of(node) if node else self._incidents.latest()
        if incident is not None and not self._is_news(incident, condition):
            if not self._is_again(incident, condition):
                self._join(incident, condition, follows=False)
            elif self._proven(condition):
                self._detect(condition, incident, repeats=True)
            return
        if not self._proven(condition):
            return
        if incident is not None:
            self._detect(condition, incident)
            return
        cause = self._cause_elsewhere(condition)
        if cause is not None:
            self._join(cause, condition, follows=True)
            return
        self._detect(condition)

    def _is_news(self, incident: OpenIncident, condition: Condition) -> bool:
        """Whether it is worse than what its incident is known for, and too late to follow from that.

        Somebody who lives with a node that has little space left must hear of its death days later.
        """
        if time.monotonic() - incident.caused < NEWS_S or _text(condition) in incident.troubles:
            return False
        if condition.node is None or condition.signal.source is Source.PROCESS:
            return True
        known = max((SEVERITY.get(name, 0) for name in incident.invariants), default=0)
        return SEVERITY.get(condition.meaning.invariant or "", 0) > known

    def _is_again(self, incident: OpenIncident, condition: Condition) -> bool:
        """Whether the node had come back since its last detection, so that this is another outage of it."""
        if condition.meaning.weight is Weight.WITNESS or (condition.node is None and incident.nodes):
            return False
        known = incident.outages.get(condition.node)
        return known is not None and known.count > 0 and known.back_from(condition.signal)

    def _proven(self, condition: Condition) -> bool:
        match condition.meaning.weight:
            case Weight.CERTAIN:
                return True
            case Weight.DOUBTFUL:
                waits = self._waits_for_leader(condition)
                if condition.node is not None and not waits and self.conditions.witnessed(condition):
                    return True
                needed = condition.meaning.needed + (PATIENCE if waits else 0)
                return condition.count >= needed and self._held_long_enough(condition)
            case Weight.WITNESS | Weight.NOTE | Weight.ALL_CLEAR:
                return False

    def _waits_for_leader(self, condition: Condition) -> bool:
        """Whether a node may only be without an answer because it needs one of a leader that is ill.

        Linearizable health fails everywhere when the leader does, also in words (`leader changed`), which are
        no second witness against the one that says them. A former leader is meant, if it led a moment ago.
        """
        if condition.signal.kind not in {"silent", "unhealthy"} or condition.node is None:
            return False
        suspects = [self.leader]
        if self._former is not None and time.monotonic() - self._former[1] < FOLLOWS_S:
            suspects.insert(0, self._former[0])
        ill = next((node for node in suspects if node is not None and self.conditions.of(node)), None)
        return ill is not None and ill != condition.node

    def _held_long_enough(self, condition: Condition) -> bool:
        """Whether the invariant gives it a time, and that has passed."""
        limit = self._limits.get(condition.meaning.invariant or "")
        if condition.signal.kind != "no_leader" or limit is None:
            return True
        return condition.last - condition.signal.at >= limit.threshold

    def _cause_elsewhere(self, condition: Condition) -> OpenIncident | None:
        """Return the incident that explains a doubtful condition of a node that is not in it."""
        incident = self._incidents.latest()
        if incident is None or condition.meaning.weight is Weight.CERTAIN:
            return None
        unrest = any(held.signal.kind in {"quorum_lost", "no_leader"} for held in self.conditions.of(None))
        recent = time.monotonic() - incident.caused < FOLLOWS_S
        return incident if recent or unrest else None

    def _join(self, incident: OpenIncident, condition: Condition, *, follows: bool) -> None:
        if condition.incident != incident.id:
            self._incidents.note(incident, condition.signal)
        if condition.signal.kind == "restarted":
            incident.of(condition.node).restart_due = False
        if condition.signal.source is Source.PROCESS:
            incident.of(condition.node).end_due = 0.0
        told = condition.signal.source is Source.PROCESS and condition.meaning.weight is not Weight.DOUBTFUL
        if told and not follows and incident.nodes[:1] == [condition.node]:
            self._incidents.call(incident, _text(condition), by_kernel=True)
        condition.incident, condition.follows = incident.id, follows

    def _detect(
        self, condition: Condition, known: OpenIncident | None = None, *, repeats: bool = False
    ) -> None:
        now = time.monotonic()
        nodes = (condition.node,) if condition.node else ()
        held = self.conditions.of(condition.node)
        notes = [note for note in self._notes if now - note.at < TOGETHER_S]
        signals = sorted([c.signal for c in held] + notes, key=lambda signal: signal.at)
        broken = tuple(dict.fromkeys(c.meaning.invariant for c in held if c.meaning.invariant))
        incident = self._incidents.take(nodes, broken, _text(condition), signals, known)
        outages = incident.of(condition.node)
        repeats = repeats or (known is None and outages.count > 0)  # an incident that was reopened
        again = outages.detect([c.signal.kind for c in held], repeats=repeats)
        told = condition.node not in self._told_late or any(c.signal.source is Source.PROCESS for c in held)
        outages.end_due = 0.0 if told else now + LATE_S
        text = _text(condition, again)
        if again is not None:
            self._incidents.call(incident, text)
        for each in held:
            each.incident, each.follows = incident.id, False
        made = Detection(
            text=text,
            nodes=nodes,
            incident=incident.id,
            signals=tuple(signals),
            invariants=broken,
            again=again,
        )
        self._detected(made)
        self._emit(made)

    def _note(self, seen: Signal) -> None:
        filed = self._file(seen)
        self._notes.append(filed)
        own = self._incidents.of(seen.node) if seen.node else None
        incident = own or self._incidents.latest()
        if incident is None:
            return
        self._incidents.note(incident, filed)
        if own is not None and seen.kind in EXPLAINS:
            self._incidents.call(own, f"{seen.node} {meaning(seen.kind).phrase}: {seen.raw[:MAX_ALARM]}")

    def _file(self, seen: Signal) -> Signal:
        """Put a signal in the ledger; return it as it was filed, with its wall time and its evidence."""
        wall = clock.wall(seen.at)
        where = f" ({seen.via})" if seen.via not in ("", seen.raw) else ""
        code = "" if seen.exit_code is None else f", exit code {seen.exit_code}"
        raw = f"{seen.node or 'cluster'} {seen.kind}{where}: {seen.raw[:MAX_RAW]}{code}"
        evidence = self._ledger.add(f"signal:{seen.source}", raw, node=seen.node, at=seen.at, wall=wall)
        filed = replace(seen, raw=evidence.text, wall=evidence.wall, evidence=evidence.id)
        self.signals.append(filed)
        self._emit(filed)
        return filed


def _certain(condition: Condition) -> bool:
    return condition.meaning.weight is Weight.CERTAIN


def _text(condition: Condition, again: Again | None = None) -> str:
    """Return what a condition is called by; the same trouble has the same words."""
    phrase, kind = condition.meaning.phrase, condition.signal.kind
    if kind == "alarm":
        phrase = f"{phrase}: {condition.signal.via[:MAX_ALARM]}"
    text = f"{condition.node} {phrase}" if condition.node else phrase
    if again is None:
        return text
    loop = "crash loop" if kind in DEATHS else "flapping"
    return f"{f'{loop}: ' if again.is_loop else ''}{text} ({again})"
