"""The protocol of a place where nodes run, and the primitives that faults are made of there."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from subjects.base.snapshot import Identity, ProcessView

STOP_TIMEOUT_S = 10.0
"""How long a graceful stop may take before it is done by force; the engine's own default."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a node's log, as it was written: whoever shows it cleans it."""

    node: str
    text: str
    at: float | None = None
    """Wall time where the line carries one that could be read."""


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """The kernel's or the engine's word that something happened to a node, as it happens."""

    node: str
    kind: Literal["exit", "stopped", "continued", "start", "oom"]
    at: float
    """Monotonic seconds, when we learned of it."""
    raw: str
    exit_code: int | None = None


class Scope(StrEnum):
    """Which traffic of a node a network fault touches."""

    PEERS = "peers"
    CLIENTS = "clients"
    BOTH = "both"


class Direction(StrEnum):
    """Seen from the node: what comes in, what goes out, or both."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class LinkRule:
    """One rule of the cluster's network. A network without rules passes everything."""

    node: str
    effect: Literal["cut", "delay", "loss", "rate", "reset"]
    """cut: nothing passes. delay: each piece comes `value` ms later. loss: `value` (0 to 1) of new
    connections get no answer. rate: `value` bytes/s. reset: connections are reset as they come."""
    value: float = 0.0
    scope: Scope = Scope.BOTH
    direction: Direction = Direction.BOTH


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether a runtime can do something here, and why not."""

    available: bool
    reason: str
    """How it is done, or what keeps it from being done."""


class Primitive(StrEnum):
    """What a runtime may be able to do to its nodes. Faults are made of these."""

    KILL = "kill"
    PAUSE = "pause"
    NETWORK_CUT = "network_cut"
    NETWORK_ONE_WAY = "network_one_way"
    NETWORK_SCOPE = "network_scope"
    NETWORK_SHAPE = "network_shape"
    DISK_LIMIT = "disk_limit"
    CPU_LIMIT = "cpu_limit"
    RESTART = "restart"
    CLOCK = "clock"


class Runtime(Protocol):
    """Where nodes run. Free of anything that would not survive a move to Kubernetes."""

    @property
    def name(self) -> str:
        """`process`, `docker` or `attach`."""
        ...

    @property
    def owned(self) -> bool:
        """Whether the nodes are ours to act on; an attached cluster's are not."""
        ...

    def capabilities(self) -> Mapping[Primitive, Capability]:
        """Say which primitives work here, every one with its reason."""
        ...

    async def up(self) -> None:
        """Start all nodes that do not run; returns when their processes do, not when they are healthy."""
        ...

    async def down(self) -> None:
        """Stop everything that `up` started and delete its data. Safe to call again."""
        ...

    async def inspect(self, node: str) -> ProcessView:
        """Ask the kernel or the engine about a node."""
        ...

    async def start(self, node: str) -> None:
        """Start a node that does not run, on its own data; does nothing for one that does.

        StaleTarget when somebody else has started it without our knowledge; it is ours from then on.
        """
        ...

    async def stop(self, node: str) -> None:
        """Stop a node gracefully (SIGTERM), and by force after STOP_TIMEOUT_S."""
        ...

    async def kill(self, node: str, identity: Identity) -> None:
        """SIGKILL, only if the node still is `identity`; StaleTarget if it isn't."""
        ...

    async def pause(self, node: str, identity: Identity) -> None:
        """Freeze the node where it stands; StaleTarget if it isn't `identity` any more."""
        ...

    async def resume(self, node: str, identity: Identity) -> None:
        """Let a paused node go on; does nothing for one that isn't paused. StaleTarget as for `pause`."""
        ...

    async def network(self) -> tuple[LinkRule, ...]:
        """Return the rules in force."""
        ...

    async def set_network(self, rules: Sequence[LinkRule]) -> None:
        """Put exactly these rules in force, in place of the present ones; returns once they are."""
        ...

    async def limits(self, node: str) -> Mapping[str, float | None]:
        """Return the limits in force: `disk_bytes` (largest file), `cpu_share` (cores); None is unlimited."""
        ...

    async def set_limit(self, node: str, identity: Identity, name: str, value: float | None) -> None:
        """Set one of `limits`, live. StaleTarget as for `pause`."""
        ...

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:
        """Return the last `limit` lines of a node's log, not older than wall time `since`."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield what happens to nodes, as the kernel or engine notifies; never ends by itself."""
        ...

    async def aclose(self) -> None:
        """Stop watching. What runs goes on running."""
        ...
