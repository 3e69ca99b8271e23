"""Facts: what was seen of a node from one side, in one word, with the evidence that says so.

The rules decide over words alone, so that they read as a table and are the same for every database.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Side = Literal[
    "process", "cpu", "connection", "self", "host", "peers", "control", "client", "disk", "restart"
]

SIDES: Mapping[Side, tuple[str, ...]] = {
    "process": (
        "running",
        "killed",
        "oom",
        "failed",
        "ended",
        "exited",
        "paused",
        "withdrawn",
        "resumed",
        "unknown",
    ),
    "cpu": ("starved",),
    "connection": ("accepted", "slow", "lossy", "refused", "reset", "silent", "unknown"),
    "self": ("healthy", "unhealthy", "slow", "silent", "unknown"),
    "host": ("quick", "late", "none"),
    "peers": ("connected", "lost_by_some", "lost_by_all", "slow", "unknown"),
    "control": (
        "up",
        "leads",
        "alone",
        "disconnected",
        "down",
        "lagging",
        "no_leader",
        "leader_changed",
        "quorum_lost",
        "unknown",
    ),
    "client": ("fine", "errors", "stall", "slow", "unknown"),
    "disk": ("fine", "full", "mute", "slow", "unknown"),
    "restart": ("graceful", "restarted", "unknown"),
}
"""Each side and the words it has.

cpu: starved is a process kept from the processors, other than its neighbours. connection is the port that
clients use. self is the node's word on its health, for which it may have to
ask others; host is what it answers alone, asked where it runs. connection: lossy is a port that answers who
is connected, and not, or not all, who come anew. process: killed is by SIGKILL, failed is by
its own decision (a panic, a fatal error), ended is at somebody's request (exit code 0 or SIGTERM), exited
where nobody could tell; withdrawn is one that runs and was told to serve no more. control: alone is a node
that knows no leader while the others follow one. disk: mute is a process that gave up and could not even
write why."""

WELL = frozenset(
    {"running", "resumed", "accepted", "healthy", "connected", "up", "leads", "fine", "quick", "unknown"}
)
"""Words that tell of nothing wrong."""

FIRM: frozenset[Side] = frozenset({"process", "restart", "disk"})
"""Sides whose word is the kernel's or was written by the node itself: once said, it is so. One answer that
did not come is not: on a busy machine that happens to healthy nodes."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One word about one node from one side."""

    side: Side
    word: str
    node: str | None
    """None for what concerns the whole cluster."""
    evidence: str
    quote: str
    wall: float = 0.0
    """Seconds since the epoch, when it was seen."""
    now: bool = False
    """Seen by the look that the diagnosis itself made, several times over; else recorded earlier."""

    @property
    def firm(self) -> bool:
        """Whether it can be counted on: it holds now, or it is not of a kind that a busy moment feigns."""
        return self.now or self.side in FIRM or not self.abnormal

    @property
    def abnormal(self) -> bool:
        """Whether it tells of something wrong."""
        return self.word not in WELL


@dataclass(frozen=True, slots=True)
class Views:
    """One node as all sides saw it, during the incident and now."""

    node: str
    facts: tuple[Fact, ...] = field(default_factory=tuple)

    def words(self, side: Side) -> frozenset[str]:
        """Return everything that was seen from `side`."""
        return frozenset(fact.word for fact in self.facts if fact.side == side)

    def first(self, side: Side, words: Iterable[str]) -> Fact | None:
        """Return the earliest fact from `side` that says one of `words`."""
        wanted = frozenset(words)
        found = [fact for fact in self.facts if fact.side == side and fact.word in wanted]
        return min(found, key=lambda fact: fact.wall) if found else None

    @property
    def abnormal(self) -> tuple[Fact, ...]:
        """The facts about this node that tell of something wrong, earliest first, one for each word."""
        seen: dict[tuple[str, str], Fact] = {}
        for fact in sorted(self.facts, key=lambda fact: fact.wall):
            if fact.abnormal and fact.node == self.node:
                seen.setdefault((fact.side, fact.word), fact)
        return tuple(seen.values())


def views_of(facts: Iterable[Fact], nodes: Iterable[str]) -> tuple[Views, ...]:
    """Return the views of each node: what concerns the whole cluster belongs to every one."""
    known = tuple(facts)
    return tuple(Views(node, tuple(f for f in known if f.node in {node, None})) for node in nodes)
