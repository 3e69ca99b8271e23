"""The conditions that hold: what is wrong now, in whose eyes. Views are kept side by side, never averaged."""

from collections.abc import Iterator
from dataclasses import dataclass

from tools.observe.kinds import Meaning, Weight, meaning
from tools.observe.signal import Key, Signal, Source

EDGE = "edge_lost"


@dataclass(slots=True)
class Condition:
    """A signal that holds: since when, and how often it was confirmed."""

    signal: Signal
    """The first of its kind, as it was filed."""
    meaning: Meaning
    count: int = 1
    last: float = 0.0
    """Monotonic time of the last snapshot that showed it."""
    incident: str | None = None
    """The incident that it belongs to."""
    follows: bool = False
    """Whether it is taken for a consequence of that incident rather than for its cause."""

    @property
    def node(self) -> str | None:
        """The node it is about."""
        return self.signal.node


class Conditions:
    """Everything that is held against nodes, or against the whole cluster, at present."""

    def __init__(self) -> None:
        self._held: dict[Key, Condition] = {}
        self._of: dict[str | None, dict[Key, Condition]] = {}
        """The same by node: of a large outage every good answer asks for those of its node."""
        self._cleared: dict[Key, float] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Condition]:
        return iter(list(self._held.values()))

    def holds(self, condition: Condition) -> bool:
        """Whether the condition is still there."""
        return self._held.get(condition.signal.key) is condition

    def get(self, signal: Signal) -> Condition | None:
        """Return the condition that `signal` repeats."""
        return self._held.get(signal.key)

    def put(self, signal: Signal) -> Condition:
        """Keep a condition that was not there before."""
        condition = Condition(signal, meaning(signal.kind), last=signal.shown_at)
        self._held[signal.key] = self._of.setdefault(signal.node, {})[signal.key] = condition
        return condition

    def of(self, node: str | None) -> list[Condition]:
        """Return what is held against one node (None: against the whole cluster)."""
        return list(self._of.get(node, {}).values())

    def witnessed(self, condition: Condition) -> bool:
        """Whether something else is held against that node, by another side or over another line.

        A lost edge is about two nodes: which of them is ill no other view of one can tell, nor is it a
        witness of that view.

        Silence over two lines of one node is two witnesses only while all other nodes answer: when many
        fall silent together, it is what they have in common that is slow.
        """
        mine = condition.signal
        if mine.kind == EDGE:
            return False
        shared = mine.kind == "silent" and any(
            other.signal.kind == "silent" and other.node != condition.node for other in self._held.values()
        )
        return any(
            other.signal.source is not mine.source
            or other.signal.kind != mine.kind
            or (other.signal.via != mine.via and not shared)
            for other in self.of(condition.node)
            if other is not condition and other.signal.kind != EDGE
        )

    def stale(self, signal: Signal) -> bool:
        """Whether the same was seen to be over after `signal` was."""
        return signal.shown_at < self._cleared.get(signal.key, 0.0)

    def clear(self, seen: Signal) -> list[Condition]:
        """Drop what `seen` ends, over its own line if it has one; return what went.

        Something that was seen wrong after `seen` stays: a slow snapshot must not clear what is newer.
        """
        ends = meaning(seen.kind).clears
        if not ends:
            return []
        gone = [
            condition
            for key, condition in self._of.get(seen.node, {}).items()
            if key[1] in ends
            and key[0] is seen.source
            and (not seen.via or key[3] == seen.via)
            and condition.last <= seen.shown_at
        ]
        for condition in gone:
            self._drop(condition)
            self._cleared[condition.signal.key] = seen.shown_at
        return gone

    def expire(self, source: Source, older_than: float) -> list[Condition]:
        """Drop what one side has not confirmed since monotonic `older_than`; return it."""
        gone = [each for key, each in self._held.items() if key[0] is source and each.last < older_than]
        for condition in gone:
            self._drop(condition)
        return gone

    def forget(self, node: str) -> None:
        """Drop all that is held against a node that is no member any more."""
        for condition in self.of(node):
            self._drop(condition)
        for key in [key for key in self._cleared if key[2] == node]:
            del self._cleared[key]

    def _drop(self, condition: Condition) -> None:
        del self._held[condition.signal.key], self._of[condition.node][condition.signal.key]


def counts(signal: Signal) -> bool:
    """Whether such a signal is held as a condition, rather than only noted."""
    return meaning(signal.kind).weight not in {Weight.NOTE, Weight.ALL_CLEAR}
