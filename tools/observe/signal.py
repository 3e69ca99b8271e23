"""A signal: one thing seen from one side at one time; and a detection, which is made of signals."""

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from tools.events import Event


class Source(StrEnum):
    """Who reports a signal."""

    PROCESS = "process"
    """The kernel or the container engine."""
    CONNECTION = "connection"
    """A connection of ours to the node."""
    SELF = "self"
    """The node's own answer."""
    PEERS = "peers"
    CONTROL = "control"
    """The control plane: PD, or raft's own state in etcd."""
    CLIENT = "client"
    """The load generator."""
    LOG = "log"
    """The node's own log."""
    MONITOR = "monitor"
    """What became of an incident, as the monitor holds it."""
    DIAGNOSIS = "diagnosis"
    HEAL = "heal"
    """What somebody did to end an incident."""


WHO = {
    Source.PROCESS: "kernel",
    Source.CONNECTION: "connection",
    Source.SELF: "node itself",
    Source.PEERS: "peers",
    Source.CONTROL: "control plane",
    Source.CLIENT: "client",
}
"""What people are told a signal's source is. With containers `kernel` is the engine."""

HEALTH_PORT = "health port"
CLIENT_PORT = "client port"
"""The two lines to a node, as `Signal.via` has them."""

Key = tuple[Source, str, str | None, str]


@dataclass(frozen=True, slots=True)
class Signal(Event):
    """One thing seen from one side at one time. `tools.observe.kinds` says what each kind means."""

    type: ClassVar[str] = "signal"
    source: Source
    kind: str
    node: str | None
    """None for what concerns the whole cluster."""
    raw: str
    """What was seen, as it was; filed signals are cleaned of control sequences and bounded."""
    at: float = field(default_factory=time.monotonic)
    """Monotonic seconds (one clock for all processes of a machine) when it was seen."""
    wall: float = 0.0
    """Seconds since the epoch; 0 until it is filed."""
    evidence: str | None = None
    """Its id in the ledger."""
    exit_code: int | None = None
    """Of an exit: as shells write it, 128 + signal. None where nobody could tell."""
    via: str = ""
    """Which of several lines from the same side: a port, an alarm."""
    as_of: float | None = None
    """Monotonic time of what it shows, where that is earlier: when the snapshot that showed it began."""
    seconds: float | None = None
    """After what it is shown beside, an injection say; None where there is nothing of the kind."""

    @property
    def shown_at(self) -> float:
        """The monotonic time that it is a snapshot of."""
        return self.at if self.as_of is None else self.as_of

    @property
    def key(self) -> Key:
        """What it has in common with the same seen again."""
        return (self.source, self.kind, self.node, self.via)

    @property
    def word(self) -> str:
        """The kind, an exit told apart by how the process ended, a silence by what stayed unanswered."""
        if self.kind == "exit":
            return ended(self.exit_code)
        if self.kind in {"silent", "unreachable"} and self.via == HEALTH_PORT:
            return "health_silent"
        return "silent" if self.kind == "unreachable" else self.kind

    def as_json(self, zero: float | None = None) -> dict[str, Any]:
        """Return it as results and reports have it; `zero` is the wall time that seconds count from."""
        return {
            "seconds": self.seconds if zero is None else round(self.wall - zero, 3),
            "source": str(self.source),
            "kind": self.kind,
            "node": self.node,
            "text": self.raw,
            "evidence": self.evidence,
        }


def ended(exit_code: int | None) -> str:
    """Return how a process ended, in a word: killed, ended (on request), failed (by itself), or only exit."""
    match exit_code:
        case None:
            return "exit"
        case 137:
            return "killed"
        case 0 | 130 | 143:
            return "ended"
        case _:
            return "failed"


LOOP = 3
"""So often in one incident it is no coincidence: a loop, or flapping."""


@dataclass(frozen=True, slots=True)
class Again:
    """That a detection repeats an earlier one of its incident."""

    count: int
    """How many times, this one included."""
    seconds: float
    """From the first to this one."""

    @property
    def is_loop(self) -> bool:
        """Whether it comes back too often for a coincidence."""
        return self.count >= LOOP

    def __str__(self) -> str:
        ending = {1: "st", 2: "nd", 3: "rd"}.get(
            self.count % 10 if self.count % 100 not in {11, 12, 13} else 0
        )
        return f"{self.count}{ending or 'th'} time in {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True)
class Detection(Event):
    """One cause, made of the signals that belong to it. Later signals of it are in the incident."""

    type: ClassVar[str] = "detection"
    text: str
    nodes: tuple[str, ...]
    incident: str
    """The id of the incident that it opened or belongs to."""
    seconds: float | None = None
    """After the injection, where there was one and the host could tell afterwards."""
    signals: tuple[Signal, ...] = ()
    invariants: tuple[str, ...] = ()
    """The names of the invariants that it breaks."""
    at: float = field(default_factory=time.monotonic)
    """Monotonic seconds when it was made."""
    wall: float = field(default_factory=time.time)
    again: Again | None = None
    """Set where the same happened before in this incident."""
