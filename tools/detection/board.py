"""The board: what is wrong now, in whose eyes. Views are kept side by side, never averaged."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.detection.policy import Rule, Weight, rule
from tools.detection.signals import Signal, Source


@dataclass(frozen=True, slots=True)
class Observation:
    """Something seen from one side, now. Repeated for as long as it is seen."""

    source: Source
    kind: str
    node: str | None
    raw: str
    at: float = field(default_factory=time.monotonic)
    """Monotonic seconds when we learned of it."""
    via: str = ""
    """Which of several lines from the same side: a port, or a neighbour."""
    exit_code: int | None = None
    as_of: float | None = None
    """Monotonic time of what it tells, where that is earlier: when the look began that told it."""

    @property
    def told(self) -> float:
        """The time that it is a snapshot of."""
        return self.at if self.as_of is None else self.as_of

    @property
    def key(self) -> "Key":
        """What it is the same as when it is seen again."""
        return (self.source, self.kind, self.node, self.via)


Key = tuple[Source, str, str | None, str]


@dataclass(slots=True)
class Condition:
    """An observation that holds: since when, and how often it was confirmed."""

    first: Observation
    signal: Signal
    rule: Rule
    count: int = 1
    last: float = 0.0
    """Monotonic time of the last snapshot that showed it."""
    case: str | None = None
    """The incident that it belongs to."""
    follows: bool = False
    """Whether it is taken for a consequence of that incident rather than for its cause."""

    @property
    def node(self) -> str | None:
        """The node it is about."""
        return self.first.node


class Board:
    """The conditions that hold at present."""

    def __init__(self) -> None:
        self._held: dict[Key, Condition] = {}
        self._cleared: dict[tuple[Source, str | None], float] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Condition]:
        return iter(list(self._held.values()))

    def holds(self, condition: Condition) -> bool:
        """Tell whether the condition is still there."""
        return self._held.get(condition.first.key) is condition

    def get(self, observation: Observation) -> Condition | None:
        """Return the condition that `observation` repeats."""
        return self._held.get(observation.key)

    def put(self, observation: Observation, signal: Signal) -> Condition:
        """Note a condition that was not there before."""
        condition = Condition(
            observation, signal, rule(observation.source, observation.kind), last=observation.told
        )
        self._held[observation.key] = condition
        return condition

    def of(self, node: str | None) -> list[Condition]:
        """Return what is held against one node (None: against the whole cluster), notes left out."""
        return [
            condition
            for condition in self._held.values()
            if condition.node == node and condition.rule.weight is not Weight.NOTE
        ]

    def witnessed(self, condition: Condition) -> bool:
        """Tell whether something else is held against that node, by another side or over another line.

        Silence over two lines of one node is two witnesses only while all other nodes answer: when many
        fall silent together, it is what they have in common that is slow.
        """
        shared = condition.first.kind == "silent" and any(
            other.first.kind == "silent" and other.node != condition.node for other in self._held.values()
        )
        return any(
            other.first.source is not condition.first.source
            or other.first.kind != condition.first.kind
            or (other.first.via != condition.first.via and not shared)
            for other in self.of(condition.node)
            if other is not condition
        )

    def stale(self, observation: Observation) -> bool:
        """Tell whether that side said `all well` about the node after `observation` was made."""
        return observation.told < self._cleared.get((observation.source, observation.node), 0.0)

    def clear(
        self,
        source: Source,
        node: str | None,
        *,
        kinds: tuple[str, ...] = (),
        via: str | None = None,
        seen: float | None = None,
    ) -> list[Condition]:
        """Drop what one side held (only `kinds`, only over `via`), seen well at `seen`; return what went.

        Something that was seen wrong after `seen` stays: a slow look must not clear what is newer.
        """
        at = time.monotonic() if seen is None else seen
        gone = [
            condition
            for condition in self._held.values()
            if condition.first.source is source
            and condition.node == node
            and (not kinds or condition.first.kind in kinds)
            and (via is None or condition.first.via == via)
            and condition.last <= at
        ]
        for condition in gone:
            del self._held[condition.first.key]
        if gone and not kinds and via is None:
            self._cleared[source, node] = at
        return gone

    def expire(self, source: Source, older_than: float) -> list[Condition]:
        """Drop what one side has not confirmed since monotonic `older_than`."""
        gone = [c for c in self._held.values() if c.first.source is source and c.last < older_than]
        for condition in gone:
            del self._held[condition.first.key]
        return gone

    def forget(self, node: str) -> None:
        """Drop all that is held against a node that is no member any more."""
        for condition in [c for c in self._held.values() if c.node == node]:
            del self._held[condition.first.key]
        for key in [key for key in self._cleared if key[1] == node]:
            del self._cleared[key]
