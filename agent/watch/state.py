"""What a watch knows at a moment, for those who scrape it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from agent.events import NodeState

NODE_STATES: tuple[str, ...] = get_args(NodeState)
CLUSTER_STATES = ("healthy", "degraded", "down", "unknown")

STALLED_S = 15.0
"""Watching has stopped when no look has ended for so long: five times the pause between two."""


@dataclass(frozen=True, slots=True)
class WatchState:
    """What is known at the moment of a scrape."""

    state: str
    """One of CLUSTER_STATES."""
    nodes: Mapping[str, str]
    """A node → one of NODE_STATES."""
    invariants: Mapping[str, bool]
    """An invariant → whether it is broken."""
    open_incidents: int
    probes_answered: int
    snapshot_age_s: float | None
    """Since the last look that succeeded; None before the first."""
    looked_s: float | None
    """Since the last look ended, be it without success; None before the first."""

    @property
    def watching(self) -> bool:
        """Whether looks go on."""
        return self.looked_s is not None and self.looked_s < STALLED_S
