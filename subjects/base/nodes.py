"""Seeing nodes: all that is needed to watch a cluster, to diagnose it and to report on it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from subjects.base.snapshot import ProcessView


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a node's log, as it was written: whoever shows it cleans it."""

    node: str
    text: str
    at: float | None = None
    """Wall time where the line carries one that could be read."""


EventKind = Literal["exit", "stopped", "continued", "start", "oom", "evicted", "probe_failed", "leaving"]
"""probe_failed: what runs the nodes ended this one because it did not answer its liveness probe.
leaving: what runs the nodes was told to end this one in order: a drain, a rollout, a delete."""


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """What the kernel or the engine reports of a node, as it happens."""

    node: str
    kind: EventKind
    at: float
    """Monotonic seconds, when we learned of it."""
    raw: str
    exit_code: int | None = None
    grace_s: float = 0.0
    """How long one that is leaving may take to go; 0 where nobody says."""


class Nodes(Protocol):
    """The nodes of a cluster where they run. Nothing here changes them."""

    @property
    def name(self) -> str:
        """Where they run: `process`, `docker`, `kubernetes` or `endpoints`."""
        ...

    async def inspect(self, node: str) -> ProcessView:
        """Ask the kernel or the engine about a node; `UNKNOWN` where nobody here can tell."""
        ...

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:
        """Return the last `limit` lines of a node's log, not older than wall time `since`.

        Unsupported, with the reason, where logs can't be read from here.
        """
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield what happens to nodes, as the kernel or engine notifies; never ends by itself."""
        ...

    async def aclose(self) -> None:
        """Stop watching. What runs goes on running."""
        ...


@runtime_checkable
class SeenThrough(Protocol):
    """Nodes that are seen through something which may stall by itself, such as an API server."""

    @property
    def stalled(self) -> str:
        """What is known not to answer on the way, a sentence without its full stop; empty for nothing."""
        ...

    async def in_sight(self) -> str:
        """Ask whether the way to the nodes answers now; return why not, in a sentence without its full stop.

        Empty where the nodes can be seen. Bounded to about a second.
        """
        ...
