"""The catalogue: every fault is a function that makes steps, and a row.

A row says what the fault needs of the runtime, so that what can't be done here is refused with the reason
before anything is touched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from subjects.base import Capability, Cluster, Direction, Identity, LinkRule, Primitive, Scope
from subjects.base.cluster import EXTERNAL
from tools.errors import Refused
from tools.faults import effects
from tools.faults.effects import Check
from tools.faults.steps import Kill, Limit, Network, Pause, Restart, Step


@dataclass(frozen=True, slots=True)
class Target:
    """One node as it was when the fault was planned."""

    node: str
    identity: Identity
    limits: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """What may be said about a fault. What a fault has no use for is left at its default."""

    scope: Scope = Scope.BOTH
    direction: Direction = Direction.BOTH
    value: float | None = None
    """In the unit that the fault's row names; None takes the row's default."""
    ttl_s: float = 300.0
    """After this time the healer undoes it, whoever still runs."""

    @property
    def aimed(self) -> bool:
        """Whether a part of the traffic is meant only."""
        return self.scope is not Scope.BOTH or self.direction is not Direction.BOTH


Choose = Literal["one", "leader", "majority", "none"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One row."""

    kind: str
    meaning: str
    steps: Callable[[Target, Settings, float], Sequence[Step]]
    needs: tuple[Primitive, ...]
    effect: Check
    """How something other than the injector sees that it took effect."""
    diagnoses: tuple[str, ...]
    """The kinds that a right diagnosis may name."""
    takes_votes: bool = False
    """Whether a node under this fault no longer counts for the majority."""
    choose: Choose = "one"
    unit: str = ""
    default: float = 0.0
    planned: bool = False
    """Declared to the monitor as maintenance beforehand, as an operator's own restart is."""

    @property
    def undo(self) -> str:
        """How it is healed, in a few words."""
        return _UNDO[self.needs[0]] if self.needs else "nothing to undo"


_UNDO: Mapping[Primitive, str] = {
    Primitive.KILL: "start it on its own data",
    Primitive.PAUSE: "resume the process",
    Primitive.NETWORK_CUT: "remove the network rule",
    Primitive.NETWORK_ONE_WAY: "remove the network rule",
    Primitive.NETWORK_SCOPE: "remove the network rule",
    Primitive.NETWORK_SHAPE: "remove the network rule",
    Primitive.NETWORK_LOSS: "remove the network rule",
    Primitive.DISK_LIMIT: "restore the former limit",
    Primitive.CPU_LIMIT: "restore the former limit",
    Primitive.RESTART: "nothing to undo: it is started again",
}


def _kill(target: Target, _settings: Settings, _value: float) -> Sequence[Step]:
    return (Kill(target.node, target.identity),)


def _pause(target: Target, _settings: Settings, _value: float) -> Sequence[Step]:
    return (Pause(target.node, target.identity),)


def _network(effect: Literal["cut", "delay", "loss", "rate", "reset"]) -> Callable[..., Sequence[Step]]:
    def steps(target: Target, settings: Settings, value: float) -> Sequence[Step]:
        rule = LinkRule(target.node, effect, value, settings.scope, settings.direction)
        return (Network(target.node, rule),)

    return steps


def _limit(name: str) -> Callable[..., Sequence[Step]]:
    def steps(target: Target, _settings: Settings, value: float) -> Sequence[Step]:
        return (Limit(target.node, target.identity, name, value, target.limits.get(name)),)

    return steps


def _restart(target: Target, _settings: Settings, _value: float) -> Sequence[Step]:
    return (Restart(target.node, target.identity),)


def _nothing(_target: Target, _settings: Settings, _value: float) -> Sequence[Step]:
    return ()


SHARE = "share, 0 to 1"
_SHAPE = (Primitive.NETWORK_SHAPE,)
_LOSS = (Primitive.NETWORK_LOSS,)
_NETWORK = frozenset({Primitive.NETWORK_CUT, *_SHAPE, *_LOSS})
"""What faults of the network are made of: they alone have a scope and a direction."""

CATALOGUE: Mapping[str, Fault] = {
    fault.kind: fault
    for fault in (
        Fault(
            "kill",
            "SIGKILL: the process is gone at once",
            _kill,
            (Primitive.KILL,),
            effects.gone,
            takes_votes=True,
            diagnoses=("crash",),
        ),
        Fault(
            "pause",
            "the process is frozen: ports open, no replies",
            _pause,
            (Primitive.PAUSE,),
            effects.silent,
            takes_votes=True,
            diagnoses=("pause",),
        ),
        Fault(
            "partition",
            "nothing passes between the node and its peers, its clients or both",
            _network("cut"),
            (Primitive.NETWORK_CUT,),
            effects.silent,
            takes_votes=True,
            diagnoses=("partition",),
        ),
        Fault(
            "network_delay",
            "each piece of data to and from the node comes later",
            _network("delay"),
            _SHAPE,
            effects.slow,
            diagnoses=("network_delay",),
            unit="ms, each way",
            default=300.0,
        ),
        Fault(
            "connection_loss",
            "a share of new connections gets no answer",
            _network("loss"),
            _LOSS,
            effects.lossy,
            diagnoses=("partition", "network_delay"),
            unit=SHARE,
            default=0.5,
        ),
        Fault(
            "network_rate",
            "the node's connections carry only so many bytes a second",
            _network("rate"),
            _SHAPE,
            effects.slow,
            diagnoses=("network_delay", "overload"),
            unit="bytes/s per connection",
            default=2000.0,
        ),
        Fault(
            "connection_reset",
            "connections to the node are reset, present and new ones",
            _network("reset"),
            _LOSS,
            effects.lossy,
            takes_votes=True,
            diagnoses=("partition",),
        ),
        Fault(
            "disk_full",
            "the process can write nothing more",
            _limit("disk_bytes"),
            (Primitive.DISK_LIMIT,),
            effects.limited,
            takes_votes=True,
            diagnoses=("disk_full",),
            unit="bytes, largest file",
            default=0.0,
        ),
        Fault(
            "cpu_starvation",
            "the process gets a small share of a core",
            _limit("cpu_share"),
            (Primitive.CPU_LIMIT,),
            effects.limited,
            diagnoses=("overload",),
            unit="cores",
            default=0.02,
        ),
        Fault(
            "restart",
            "a planned, graceful restart",
            _restart,
            (Primitive.RESTART,),
            effects.restarted,
            takes_votes=True,
            diagnoses=("planned_restart", "none"),
            planned=True,
        ),
        Fault(
            "leader_kill",
            "SIGKILL of whichever node leads",
            _kill,
            (Primitive.KILL,),
            effects.gone,
            takes_votes=True,
            diagnoses=("crash", "leader_loss"),
            choose="leader",
        ),
        Fault(
            "quorum_loss",
            "SIGKILL of a majority: nothing can be written any more",
            _kill,
            (Primitive.KILL,),
            effects.gone,
            takes_votes=True,
            diagnoses=("quorum_loss", "crash"),
            choose="majority",
        ),
        Fault(
            "none",
            "a control: nothing is done, but everything else runs",
            _nothing,
            (),
            effects.nothing,
            diagnoses=("none",),
            choose="none",
        ),
    )
}


def find(kind: str) -> Fault:
    """Return the row; Refused, naming those there are, for a fault that there is not."""
    try:
        return CATALOGUE[kind]
    except KeyError:
        raise Refused(f"There is no fault {kind!r}.", f"The faults are: {', '.join(CATALOGUE)}.") from None


def needs(fault: Fault, settings: Settings) -> tuple[Primitive, ...]:
    """Return what the fault needs of the runtime with these settings."""
    if not of_network(fault):
        return fault.needs
    one_way = (Primitive.NETWORK_ONE_WAY,) if settings.direction is not Direction.BOTH else ()
    scoped = (Primitive.NETWORK_SCOPE,) if settings.scope is not Scope.BOTH else ()
    return (*fault.needs, *one_way, *scoped)


def of_network(fault: Fault) -> bool:
    """Say whether a fault has a scope and a direction."""
    return bool(_NETWORK.intersection(fault.needs))


def takes_votes(fault: Fault, settings: Settings) -> bool:
    """Say whether a node under this fault with these settings no longer counts for the majority."""
    peers_untouched = settings.scope is Scope.CLIENTS and of_network(fault)
    return fault.takes_votes and not peers_untouched


def capability(fault: Fault, cluster: Cluster, settings: Settings | None = None) -> Capability:
    """Say whether the fault can be done on this cluster, and how or why not."""
    if cluster.control is None:
        return Capability(available=False, reason=EXTERNAL)
    wanted = [cluster.capability(primitive) for primitive in needs(fault, settings or Settings())]
    for each in wanted:
        if not each.available:
            return each
    return Capability(available=True, reason="; ".join(dict.fromkeys(each.reason for each in wanted)))
