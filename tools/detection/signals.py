"""What the monitor sees: signals, and the detections that it makes of them."""

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """Whose word a signal is."""

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


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing seen from one side at one time."""

    source: Source
    kind: str
    """exit, stopped, oom, refused, reset, silent, unhealthy, restarted, peer_lost, lagging, no_leader,
    leader_changed, quorum_lost, alarm, disconnected, errors, stall, slow, recovered, …"""
    node: str | None
    """None for what concerns the whole cluster."""
    at: float
    """Monotonic seconds (CLOCK_MONOTONIC, one clock for all processes of a machine)."""
    wall: float
    """Seconds since the epoch."""
    raw: str
    """The observation as it was, control sequences removed, bounded."""
    evidence: str | None = None
    """Its id in the ledger."""
    exit_code: int | None = None
    via: str = ""
    """Which of several lines to the node it came over (`tools.detection.lines`)."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One cause, made of the signals that belong to it."""

    id: str
    at: float
    """Monotonic seconds when it was made."""
    wall: float
    nodes: tuple[str, ...]
    invariants: tuple[str, ...]
    """The names of the invariants that it breaks."""
    text: str
    signals: tuple[Signal, ...]
    """What it was made of; later signals of the same cause are in the incident."""
    incident: str
    """The id of the incident that it opened."""
