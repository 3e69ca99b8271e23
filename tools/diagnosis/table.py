"""The decision table: which disagreement of views means what, row by row, for every database alike.

Each node is held against the rows from the top; the first that fits is taken. A row fits when every
side in `when` shows one of its words and no side in `unless` shows one of its own. The order matters
and is part of the knowledge: a dead process also refuses connections and loses its peers, so what the
kernel says comes before what the network says. A process killed for want of memory was also killed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.diagnosis.facts import Fact, Side, Views
from tools.diagnosis.schema import Kind

Words = Mapping[Side, tuple[str, ...]]

DEAD = ("killed", "oom", "failed")
LOST = ("lost_by_all", "lost_by_some")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what must be seen, what must not, what it means and why."""

    name: str
    kind: Kind
    when: Words
    reason: str
    """Completes the sentence `NODE …`."""
    unless: Words = field(default_factory=dict)
    weight: int | None = None
    """In place of its kind's, where this row is surer than others of the kind."""

    def fits(self, views: Views) -> bool:
        """Whether the node's views are those of this row."""
        met = all(views.words(side) & set(words) for side, words in self.when.items())
        return met and not self.excluded(views)

    def excluded(self, views: Views) -> bool:
        """Whether something was seen that speaks against this row."""
        return any(views.words(side) & set(words) for side, words in self.unless.items())

    def firm(self, views: Views) -> bool:
        """Whether every side that makes it fit has a fact that can be counted on."""
        return all(
            any(fact.firm for fact in views.facts if fact.side == side and fact.word in words)
            for side, words in self.when.items()
        )

    def matched(self, views: Views) -> tuple[Fact, ...]:
        """Return the facts that made the row fit, one for each side."""
        found = (views.first(side, words) for side, words in self.when.items())
        return tuple(fact for fact in found if fact is not None)


TABLE: tuple[Row, ...] = (
    Row(
        "disk full",
        Kind.DISK_FULL,
        when={"disk": ("full",)},
        reason="could not write: the operating system or the database refused for want of space",
    ),
    Row(
        "restarted on purpose",
        Kind.PLANNED_RESTART,
        when={"restart": ("graceful",)},
        unless={"process": DEAD},
        reason="was asked to stop and shut down in good order; a crash leaves no such lines",
    ),
    Row(
        "gave up, and could not write why",
        Kind.DISK_FULL,
        when={"process": ("failed",), "disk": ("mute",)},
        reason="ended by its own decision, and not even the reason could be written to its log",
    ),
    Row(
        "killed for want of memory",
        Kind.CRASH,
        when={"process": ("oom",)},
        reason="was killed by the kernel or the engine because memory ran out",
    ),
    Row(
        "killed",
        Kind.CRASH,
        when={"process": ("killed",)},
        reason="was killed: SIGKILL comes from outside the process and leaves it no last word",
    ),
    Row(
        "gave up",
        Kind.CRASH,
        when={"process": ("failed",)},
        reason="ended by its own decision (a panic or a fatal error): its last log lines say why",
    ),
    Row(
        "stopped and not started again",
        Kind.PLANNED_RESTART,
        when={"process": ("ended",)},
        reason="ended with exit code 0 or by SIGTERM: somebody asked it to stop",
    ),
    Row(
        "ended, and nobody could tell how",
        Kind.CRASH,
        when={"process": ("exited",)},
        reason="lost its process, and its log tells of no request to stop",
    ),
    Row(
        "frozen",
        Kind.PAUSE,
        when={"process": ("paused",)},
        reason="stands still: its process exists, holds its ports and does nothing",
    ),
    Row(
        "told to serve no more",
        Kind.PAUSE,
        when={"process": ("withdrawn",), "connection": ("refused", "reset", "silent")},
        reason="runs and calls itself healthy, and serves nobody: its log says that its server was paused",
    ),
    Row(
        "restarted unseen",
        Kind.CRASH,
        when={"restart": ("restarted",)},
        reason="runs with a later start time than before, and shut down in no good order",
    ),
    Row(
        "refuses, and nobody sees its process",
        Kind.CRASH,
        when={"process": ("unknown",), "connection": ("refused",)},
        reason="has nothing that listens on its port any more",
    ),
    Row(
        "kept from the processor",
        Kind.OVERLOAD,
        when={"cpu": ("starved",), "process": ("running",)},
        reason="gets next to no processor time, other than its neighbours: whatever it does takes long",
        weight=5,
    ),
    Row(
        "cut off from its peers",
        Kind.PARTITION,
        when={"peers": ("lost_by_all",), "process": ("running",)},
        reason="runs, yet no peer holds a connection to it: the way between them is cut",
    ),
    Row(
        "cut off from clients",
        Kind.PARTITION,
        when={"connection": ("silent", "reset", "refused"), "self": ("healthy",)},
        unless={"connection": ("slow",)},
        reason="runs and calls itself healthy, yet clients don't get through to it: their way is cut",
    ),
    Row(
        "new connections are lost",
        Kind.PARTITION,
        when={"connection": ("lossy",), "process": ("running", "unknown")},
        unless={"self": ("unhealthy",), "host": ("late", "none")},
        reason="answers who is connected to it, and not all who connect anew: they get lost on the way in",
    ),
    Row(
        "without the leader that the others have",
        Kind.PARTITION,
        when={"control": ("alone",), "process": ("running",)},
        unless={"connection": ("slow",), "self": ("slow",)},
        reason="runs but can no longer find the leader that the others follow: their way to it is cut",
    ),
    Row(
        "cut off from some peers",
        Kind.PARTITION,
        when={"peers": ("lost_by_some",), "process": ("running",), "self": ("unhealthy", "silent")},
        reason="runs and is not well, and a peer has lost it: part of the way between them is cut",
    ),
    Row(
        "slow disk",
        Kind.SLOW_DISK,
        when={"disk": ("slow",)},
        reason="waits for its disk: its own writes take long before any network is involved",
    ),
    Row(
        "slow way to clients",
        Kind.NETWORK_DELAY,
        when={"connection": ("slow",), "host": ("quick",)},
        reason="answers at once on its own host, and late on the way that clients take",
    ),
    Row(
        "slow way to peers",
        Kind.NETWORK_DELAY,
        when={"self": ("slow", "silent"), "host": ("quick",), "connection": ("accepted",)},
        reason="answers at once what it knows alone, and late what it must ask its peers for",
    ),
    Row(
        "silent, and nobody sees its process",
        Kind.UNKNOWN,
        when={"process": ("unknown",), "connection": ("silent",)},
        reason="does not answer; frozen, cut off and overloaded look alike from here",
    ),
    Row(
        "overloaded",
        Kind.OVERLOAD,
        when={"host": ("late", "none"), "process": ("running",)},
        reason="runs and is connected, yet takes too long to answer even what it knows alone, where it runs",
    ),
)


def row_of(views: Views) -> Row | None:
    """Return the first row that fits; None when nothing does."""
    return next((row for row in TABLE if row.fits(views)), None)
