"""Seeing nodes: all that is needed to watch a cluster, to diagnose it and to report on it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

from subjects.base.snapshot import ProcessView


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a node's log, as it was written: whoever shows it cleans it."""

    node: str
    text: str
    at: float | None = None
    """Wall time where the line carries one that could be read."""


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """What the kernel or the engine reports of a node, as it happens."""

    node: str
    kind: Literal["exit", "stopped", "continued", "start", "oom"]
    at: float
    """Monotonic seconds, when we learned of it."""
    raw: str
    exit_code: int | None = None


class Nodes(Protocol):
    """The nodes of a cluster where they run. Nothing here changes them."""

    @property
    def name(self) -> str:
        """Where they run: `process`, `docker` or `endpoints`."""
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
