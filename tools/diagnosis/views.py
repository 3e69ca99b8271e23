"""Views: one node as all sides saw it, in signals, during the incident and now."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tools.observe.kinds import abnormal
from tools.observe.signal import Signal, Source

FIRM = frozenset({Source.PROCESS, Source.LOG})
"""Sides whose word is the kernel's or was written by the node itself: once said, it is so. One answer that
did not come is not: on a busy machine that happens to healthy nodes."""

REPORTED = frozenset({"reported_running", "not_oom"})
"""What is said of a process by who does not see it: that nothing was heard of its end."""

FIRM_KINDS = frozenset(
    {
        "restarted",
        "expired",
        "foreign",
        "late_port",
        "low_space",
        "near_quota",
        "no_space",
        "corrupt",
        "version_changed",
        "member_replaced",
        "member_removed",
    }
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A signal as a diagnosis has it."""

    signal: Signal
    now: bool
    """Seen by the look that the diagnosis itself made, several times over; else recorded earlier."""

    @property
    def word(self) -> str:
        """What the decision table reads."""
        return self.signal.word

    @property
    def firm(self) -> bool:
        """Whether it can be counted on: it holds now, or it is not of a kind that a busy moment feigns."""
        kind = self.signal.kind
        return self.now or self.signal.source in FIRM or kind in FIRM_KINDS or not abnormal(kind)

    @property
    def abnormal(self) -> bool:
        """Whether it tells of something wrong."""
        return abnormal(self.signal.kind)


@dataclass(frozen=True, slots=True)
class Views:
    """One node as all sides saw it, earliest first."""

    node: str
    seen: tuple[Seen, ...]

    def has(self, words: Collection[str]) -> bool:
        """Whether anything that was seen is one of `words`."""
        return any(each.word in words for each in self.seen)

    def of(self, words: Collection[str]) -> tuple[Seen, ...]:
        """Return what was seen of `words`."""
        return tuple(each for each in self.seen if each.word in words)

    @property
    def outside(self) -> bool:
        """Whether nobody here sees the node's process: it runs on a machine that we don't.

        Who learns late of an end does not see that it runs, and sees an end once that is told.
        """
        return all(each.signal.source is not Source.PROCESS or each.word in REPORTED for each in self.seen)

    @property
    def abnormal(self) -> tuple[Seen, ...]:
        """What was seen of this node that is wrong, one for each word."""
        first: dict[str, Seen] = {}
        for each in self.seen:
            if each.abnormal:
                first.setdefault(each.word, each)
        return tuple(first.values())


def views_of(seen: Iterable[Seen], nodes: Sequence[str]) -> tuple[Views, ...]:
    """Return the views of each node."""
    known = sorted(seen, key=lambda each: each.signal.wall)
    return tuple(Views(node, tuple(each for each in known if each.signal.node == node)) for node in nodes)
