"""From observations to detections: what is proven, what follows from what, what is over."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from subjects.base import Invariant
from tools.detection.board import Board, Condition, Observation
from tools.detection.cases import Case, Cases
from tools.detection.looks import Well
from tools.detection.maintenance import Maintenance
from tools.detection.policy import Weight, rule
from tools.detection.signals import Detection, Signal, Source
from tools.events import Detected, Emit, SignalSeen
from tools.observe.foreign_text import clean
from tools.observe.ledger import Ledger

MAX_ALARM = 100
"""Characters of an alarm that a detection is called by."""

MAX_RAW = 500
"""Characters of an observation that a signal keeps."""

FOLLOWS_S = 10.0
"""How long after a failure silence and unrest elsewhere are taken for its consequence: elections, retries."""

PATIENCE = 4
"""Misses more, at 250 ms each, for a node that may only wait for an ill leader: that one is named before,
or another leads by then (an election takes 0.7 to 1.8 s)."""

NEWS_S = 30.0
"""What comes so long after the last cause in its incident does not follow from that."""

SEVERITY = {"quorum": 3, "has_leader": 3, "store_up": 2}
"""What is worse than the other invariants, and how much."""

TOGETHER_S = 2.0
"""Notes so recent (a leader changed) are told with the detection that they lead up to."""


class Correlator:
    """Takes observations from every side and makes signals, detections and incidents of them."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        cases: Cases,
        maintenance: Maintenance,
        invariants: Mapping[str, Invariant],
        emit: Emit,
        detected: Callable[[Detection], None],
    ) -> None:
        self.board = Board()
        self.signals: deque[Signal] = deque(maxlen=2000)
        self.leader: str | None = None
        """Who leads, as the last look had it; see `led_by`."""
        self._former: tuple[str, float] | None = None
        """Who led before, and until when."""
        self._ledger = ledger
        self._cases = cases
        self._maintenance = maintenance
        self._invariants = invariants
        self._emit = emit
        self._detected = detected
        self._notes: deque[Signal] = deque(maxlen=20)
        self._made = 0

    def bad(self, observation: Observation) -> Condition | None:
        """Take something that was seen wrong; return the condition it is on the board, if it is on it."""
        if self._maintenance.covers(observation):
            return None
        if rule(observation.source, observation.kind).weight is Weight.NOTE:
            self._note(observation)
            return None
        if self.board.stale(observation):
            return None
        condition = self.board.get(observation)
        if condition is not None:
            condition.count += 1
            condition.last = max(condition.last, observation.told)
            self._judge(condition)
            return condition
        condition = self.board.put(observation, self._signal(observation))
        for held in self.board.of(observation.node):
            self._judge(held)
        return condition

    def well(self, what: Well, seen: float) -> None:
        """Take that one side has nothing against a node, as of monotonic `seen`."""
        self.board.clear(what.source, what.node, kinds=what.kinds, via=what.via, seen=seen)

    def led_by(self, leader: str) -> None:
        """Note who leads now."""
        if self.leader is not None and self.leader != leader:
            self._former = self.leader, time.monotonic()
        self.leader = leader

    def settle(self) -> None:
        """Close the cases in which nothing is held any more; call it after each look."""
        for case in self._cases:
            quiet = not any(condition.case == case.id for condition in self.board)
            if self._cases.close_if_quiet(case, quiet=quiet):
                self._tell_recovery(case)

    def _judge(self, condition: Condition) -> None:
        """Decide now, except of silence: who else is silent in the same moment matters for it."""
        if condition.first.kind == "silent":
            asyncio.get_running_loop().call_soon(self._decide, condition)
        else:
            self._decide(condition)

    def _decide(self, condition: Condition) -> None:
        if not self.board.holds(condition):
            return
        if condition.case is not None and not condition.follows:
            return
        case = self._cases.of(condition.node) if condition.node else self._cases.latest()
        if case is not None and not self._is_news(case, condition):
            self._join(case, condition, follows=False)
            return
        if not self._proven(condition):
            return
        if case is not None:
            self._detect(condition, case)
            return
        cause = self._cause_elsewhere(condition)
        if cause is not None:
            self._join(cause, condition, follows=True)
            return
        self._detect(condition)

    def _is_news(self, case: Case, condition: Condition) -> bool:
        """Tell whether it is worse than what its incident is known for, and too late to follow from that.

        Somebody who lives with a node that has little space left must hear of its death days later.
        """
        if time.monotonic() - case.caused < NEWS_S or _text(condition) in case.texts:
            return False
        if condition.node is None or condition.first.source is Source.PROCESS:
            return True
        known = max((SEVERITY.get(name, 0) for name in case.invariants), default=0)
        return SEVERITY.get(condition.rule.invariant or "", 0) > known

    def _proven(self, condition: Condition) -> bool:
        match condition.rule.weight:
            case Weight.CERTAIN:
                return True
            case Weight.DOUBTFUL:
                waits = self._waits_for_leader(condition)
                if condition.node is not None and not waits and self.board.witnessed(condition):
                    return True
                needed = condition.rule.needed + (PATIENCE if waits else 0)
                return condition.count >= needed and self._held_long_enough(condition)
            case Weight.WITNESS | Weight.NOTE:
                return False

    def _waits_for_leader(self, condition: Condition) -> bool:
        """Tell whether a node may only be without an answer because it needs one of a leader that is ill.

        Linearizable health fails everywhere when the leader does, also in words (`leader changed`), which are
        no second witness against the one that says them. A former leader is meant, if it led a moment ago.
        """
        if condition.first.kind not in {"silent", "unhealthy"} or condition.node is None:
            return False
        suspects = [self.leader]
        if self._former is not None and time.monotonic() - self._former[1] < FOLLOWS_S:
            suspects.insert(0, self._former[0])
        ill = next((node for node in suspects if node is not None and self.board.of(node)), None)
        return ill is not None and ill != condition.node

    def _held_long_enough(self, condition: Condition) -> bool:
        """Tell whether the invariant gives it a time, and that has passed."""
        invariant = self._invariants.get(condition.rule.invariant or "")
        if condition.first.kind != "no_leader" or invariant is None:
            return True
        return condition.last - condition.first.at >= invariant.threshold

    def _cause_elsewhere(self, condition: Condition) -> Case | None:
        """Return the case that explains a doubtful condition of a node that is not in it."""
        case = self._cases.latest()
        if case is None or condition.rule.weight is Weight.CERTAIN:
            return None
        unrest = any(held.first.kind in {"quorum_lost", "no_leader"} for held in self.board.of(None))
        recent = time.monotonic() - case.caused < FOLLOWS_S
        return case if recent or unrest else None

    def _join(self, case: Case, condition: Condition, *, follows: bool) -> None:
        if condition.case != case.id:
            self._cases.note(case, condition.signal)
        if condition.node is not None and condition.first.source is Source.PROCESS and not follows:
            self._cases.call(case, condition.node, _text(condition))
        condition.case, condition.follows = case.id, follows

    def _detect(self, condition: Condition, known: Case | None = None) -> None:
        now = time.monotonic()
        nodes = (condition.node,) if condition.node else ()
        held = self.board.of(condition.node)
        notes = [note for note in self._notes if now - note.at < TOGETHER_S]
        signals = sorted([c.signal for c in held] + notes, key=lambda signal: signal.at)
        broken = tuple(dict.fromkeys(c.rule.invariant for c in held if c.rule.invariant))
        text = _text(condition)
        case = self._cases.take(nodes, broken, text, signals, known)
        for each in held:
            each.case, each.follows = case.id, False
        self._made += 1
        detection = Detection(
            id=f"D{self._made}",
            at=time.monotonic(),
            wall=time.time(),
            nodes=nodes,
            invariants=broken,
            text=text,
            signals=tuple(signals),
            incident=case.id,
        )
        self._detected(detection)
        self._emit(Detected(text, nodes, case.id, signals=tuple(_seen(signal) for signal in signals)))

    def _note(self, observation: Observation) -> None:
        signal = self._signal(observation)
        self._notes.append(signal)
        case = self._cases.latest()
        if case is not None:
            self._cases.note(case, signal)

    def _signal(self, observation: Observation) -> Signal:
        now, wall = time.monotonic(), time.time()
        signal = Signal(
            source=observation.source,
            kind=observation.kind,
            node=observation.node,
            at=observation.at,
            wall=wall - (now - observation.at),
            raw="",
            exit_code=observation.exit_code,
            via=observation.via,
        )
        where = f" ({observation.via})" if observation.via not in ("", observation.raw) else ""
        code = "" if observation.exit_code is None else f", exit code {observation.exit_code}"
        raw = f"{observation.node or 'cluster'} {observation.kind}{where}: {observation.raw[:MAX_RAW]}{code}"
        evidence = self._ledger.add(
            f"signal:{signal.source}", raw, node=signal.node, at=signal.at, wall=signal.wall
        )
        signal = replace(signal, raw=evidence.text, evidence=evidence.id)
        self.signals.append(signal)
        self._emit(_seen(signal))
        return signal

    def _tell_recovery(self, case: Case) -> None:
        for node in case.nodes or (None,):
            raw = f"all views well again since {case.hold_s:.1f} s"
            self._signal(Observation(Source.SELF, "recovered", node, raw))


def _text(condition: Condition) -> str:
    phrase = condition.rule.phrase
    if condition.first.kind == "alarm":
        phrase = f"{phrase}: {clean(condition.first.raw)[:MAX_ALARM]}"
    return f"{condition.node} {phrase}" if condition.node else phrase


def _seen(signal: Signal) -> SignalSeen:
    return SignalSeen(signal.source.value, signal.kind, signal.node, signal.raw, signal.evidence)
