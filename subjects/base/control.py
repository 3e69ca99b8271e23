"""Acting on nodes: small protocols, each optional, that faults and heals are made of.

A control implements those that make sense where its nodes run. What can be done follows from what it
implements and from what it finds out there (`Control.capabilities`); `Cluster.capability` puts both together.
Everything that an act leaves behind is kept where another process finds it: the healer undoes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from subjects.base.snapshot import Identity


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
    """Whether something can be done here, and how, or why not."""

    available: bool
    reason: str


def can(reason: str) -> Capability:
    """Say that something can be done, and how."""
    return Capability(available=True, reason=reason)


def cannot(reason: str) -> Capability:
    """Say that something cannot be done, and why."""
    return Capability(available=False, reason=reason)


class Primitive(StrEnum):
    """What can be done to nodes, as finely as it differs from one place to another."""

    KILL = "kill"
    PAUSE = "pause"
    NETWORK_CUT = "network_cut"
    NETWORK_ONE_WAY = "network_one_way"
    NETWORK_SCOPE = "network_scope"
    NETWORK_SHAPE = "network_shape"
    """Delays and limits."""
    NETWORK_LOSS = "network_loss"
    """Connections that get no answer, or are reset."""
    DISK_LIMIT = "disk_limit"
    CPU_LIMIT = "cpu_limit"
    RESTART = "restart"


@runtime_checkable
class Control(Protocol):
    """What every control says of itself; what it does is in the protocols above that it implements."""

    @property
    def act_timeout_s(self) -> float:
        """How long one act or its undo may take here: so long another process waits for its turn."""
        ...

    @property
    def verify_s(self) -> float:
        """How long the cluster may take to be healthy after a fault was undone."""
        ...

    def capabilities(self) -> Mapping[Primitive, Capability]:
        """Say how each primitive is done here, or what keeps it from being done."""
        ...


@runtime_checkable
class Deployment(Protocol):
    """The cluster as a whole is operator's own: it comes up and goes down, and its data is throwaway."""

    @property
    def healthy_timeout_s(self) -> float:
        """How long the cluster may take to be healthy once its nodes run."""
        ...

    async def up(self) -> None:
        """Start all nodes that do not run; returns when their processes do, not when they are healthy."""
        ...

    async def down(self) -> None:
        """Stop everything that `up` started and delete its data. Safe to call again."""
        ...


@runtime_checkable
class Placed(Protocol):
    """A deployment whose place is to be named before anything is made there."""

    @property
    def place(self) -> str:
        """Where it is, in words: whose cluster, which part of it."""
        ...


@runtime_checkable
class DeadMansSwitch(Protocol):
    """Acts undo themselves where they were done, should nobody be left who does it from here."""

    def arm(self, ttl_s: float) -> None:
        """Have acts from now on undo themselves after this time, and a margin that is left to the healer."""
        ...


@runtime_checkable
class Lifecycle(Protocol):
    """Single nodes are started and stopped."""

    @property
    def restarted_by_others(self) -> bool:
        """Whether a node that ends may be started again by what runs it (a restart policy, a kubelet)."""
        ...

    async def start(self, node: str) -> None:
        """Start a node that does not run, on its own data; does nothing for one that does.

        StaleTarget when it was started outside operator; it is ours from then on.
        """
        ...

    async def stop(self, node: str, timeout_s: float) -> None:
        """Stop a node gracefully (SIGTERM), and by force after `timeout_s` (`Subject.stop_timeout_s`)."""
        ...

    def startable(self, node: str) -> Capability:
        """Say whether what a start of the node needs is there: a node that can't come back is not killed."""
        ...


@runtime_checkable
class Kill(Protocol):
    """A node's process is killed."""

    async def kill(self, node: str, identity: Identity) -> None:
        """SIGKILL, only if the node still is `identity`; StaleTarget if it isn't.

        The node stays down until `Lifecycle.start`: where something would start it again, it is held down.
        """
        ...


@runtime_checkable
class Pause(Protocol):
    """A node is frozen where it stands."""

    async def pause(self, node: str, identity: Identity) -> None:
        """Freeze it; StaleTarget if it isn't `identity` any more."""
        ...

    async def resume(self, node: str, identity: Identity) -> None:
        """Let a paused node go on; does nothing for one that isn't paused. StaleTarget as for `pause`."""
        ...


@runtime_checkable
class Network(Protocol):
    """The traffic of nodes is cut or shaped."""

    async def network(self) -> tuple[LinkRule, ...]:
        """Return the rules in force, whichever process put them there."""
        ...

    async def set_network(self, rules: Sequence[LinkRule]) -> None:
        """Put exactly these rules in force, in place of the present ones; returns once they are."""
        ...


@runtime_checkable
class Limits(Protocol):
    """What a node may use is limited."""

    async def limits(self, node: str) -> Mapping[str, float | None]:
        """Return the limits in force: `disk_bytes` (largest file), `cpu_share` (cores); None is unlimited."""
        ...

    async def set_limit(self, node: str, identity: Identity, name: str, value: float | None) -> None:
        """Set one of `limits`, live. StaleTarget as for `pause`.

        Unsupported, before anything is changed, for a limit whose present value could not be put back.
        """
        ...


IMPLEMENTED_BY: Mapping[Primitive, type] = {
    Primitive.KILL: Kill,
    Primitive.PAUSE: Pause,
    Primitive.NETWORK_CUT: Network,
    Primitive.NETWORK_ONE_WAY: Network,
    Primitive.NETWORK_SCOPE: Network,
    Primitive.NETWORK_SHAPE: Network,
    Primitive.NETWORK_LOSS: Network,
    Primitive.DISK_LIMIT: Limits,
    Primitive.CPU_LIMIT: Limits,
    Primitive.RESTART: Lifecycle,
}
"""The protocol that a control must implement for each."""
