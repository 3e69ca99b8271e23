"""What a fault is made of: steps, written down before they are taken and undone from what was written.

Each step knows how it is done and how it is undone. Undoing is idempotent. A world that is not the one that
was written down is left alone and told of (`State.AMBIGUOUS`).
"""

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar

from subjects.base import Cluster, Identity, LinkRule, ProcessState, control
from subjects.errors import StaleTarget
from subjects.runtimes.network.rules import rule_from_json


class State(StrEnum):
    """How far a fault has come; of the last three, also how the undo of one step ended."""

    PLANNED = "planned"
    """Written down; it may have been done or not."""
    INJECTED = "injected"
    HEALING = "healing"
    HEALED = "healed"
    AMBIGUOUS = "ambiguous"
    """The world was not the one that was written down, and was not touched. Closed, but never counted as
    recovered."""
    FAILED = "failed"
    """The undo failed; it will be tried again."""


@dataclass(frozen=True, slots=True)
class UndoReport:
    """How the undo of one step ended, and what was found."""

    outcome: State
    text: str
    started: Identity | None = None
    """The process that the undo started, if it started one."""


@dataclass(frozen=True, slots=True)
class Step:
    """The base of all steps."""

    op: ClassVar[str]
    undo_words: ClassVar[str]
    """How it is undone, with the step in braces."""
    starts: ClassVar[bool] = False
    """Whether undoing it may take a start of the node."""
    node: str

    async def do(self, cluster: Cluster) -> None:
        """Take the step. StaleTarget when the target is no longer the one that was meant."""
        raise NotImplementedError

    async def undo(self, cluster: Cluster, ours: Collection[Identity] = ()) -> UndoReport:
        """Undo it, or find that there is nothing to undo; SubjectError when it can't be undone now.

        `ours` are the processes that earlier undoings of the same fault started.
        """
        raise NotImplementedError

    @property
    def undone_by(self) -> str:
        """How it is undone, in words."""
        return self.undo_words.format(self)

    def to_json(self) -> dict[str, Any]:
        """Return it as it is journalled."""
        return {"op": self.op, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Kill(Step):
    """SIGKILL; undone by starting the node on its own data."""

    op: ClassVar[str] = "kill"
    undo_words: ClassVar[str] = "start {0.node} again on its own data"
    starts: ClassVar[bool] = True
    identity: Identity

    async def do(self, cluster: Cluster) -> None:
        """Kill that very process."""
        await cluster.require(control.Kill).kill(self.node, self.identity)

    async def undo(self, cluster: Cluster, ours: Collection[Identity] = ()) -> UndoReport:
        """Start it again, unless somebody else did."""
        return await _start_again(cluster, self.node, self.identity, ours)


@dataclass(frozen=True, slots=True)
class Pause(Step):
    """Freeze; undone by letting it go on."""

    op: ClassVar[str] = "pause"
    undo_words: ClassVar[str] = "resume {0.node} (SIGCONT)"
    identity: Identity

    async def do(self, cluster: Cluster) -> None:
        """Freeze that very process."""
        await cluster.require(control.Pause).pause(self.node, self.identity)

    async def undo(self, cluster: Cluster, ours: Collection[Identity] = ()) -> UndoReport:
        """Let it go on if it is still the one that was frozen."""
        try:
            await cluster.require(control.Pause).resume(self.node, self.identity)
        except StaleTarget:
            return await _someone_was_here(cluster, self.node, self.identity, ours)
        return UndoReport(State.HEALED, f"{self.node} was resumed")


@dataclass(frozen=True, slots=True)
class Network(Step):
    """One more rule in the cluster's network; undone by taking that one rule out."""

    op: ClassVar[str] = "network"
    undo_words: ClassVar[str] = "let the network of {0.node} pass again"
    rule: LinkRule

    async def do(self, cluster: Cluster) -> None:
        """Add the rule to those in force."""
        net = cluster.require(control.Network)
        await net.set_network([*await net.network(), self.rule])

    async def undo(self, cluster: Cluster, ours: Collection[Identity] = ()) -> UndoReport:  # noqa: ARG002
        """Take it out, and leave the rules of others in force."""
        net = cluster.require(control.Network)
        present = list(await net.network())
        if self.rule not in present:
            # Putting the same rules in force again makes sure that somebody carries them out.
            await net.set_network(present)
            return UndoReport(State.HEALED, f"no such rule is in force for {self.node}")
        present.remove(self.rule)
        await net.set_network(present)
        return UndoReport(State.HEALED, f"the network rule on {self.node} is removed")


@dataclass(frozen=True, slots=True)
class Limit(Step):
    """A limit on the node's process; undone by putting back what was there before."""

    op: ClassVar[str] = "limit"
    undo_words: ClassVar[str] = "put the {0.name} of {0.node} back"
    starts: ClassVar[bool] = True
    identity: Identity
    name: str
    """disk_bytes or cpu_share."""
    value: float
    before: float | None

    async def do(self, cluster: Cluster) -> None:
        """Set it on that very process."""
        await cluster.require(control.Limits).set_limit(self.node, self.identity, self.name, self.value)

    async def undo(self, cluster: Cluster, ours: Collection[Identity] = ()) -> UndoReport:
        """Lift it; a node that ended because of it is started again: a new process has no limit."""
        view = await cluster.nodes.inspect(self.node)
        if view.state is ProcessState.EXITED:
            return await _start_again(cluster, self.node, self.identity, ours)
        try:
            await cluster.require(control.Limits).set_limit(self.node, self.identity, self.name, self.before)
        except StaleTarget:
            return await _someone_was_here(cluster, self.node, self.identity, ours)
        return UndoReport(State.HEALED, f"{self.node} has its {self.name} back")


@dataclass(frozen=True, slots=True)
class Restart(Step):
    """A graceful stop and a start, as an operator does it."""

    op: ClassVar[str] = "restart"
    undo_words: ClassVar[str] = "start {0.node} again, should the restart be interrupted"
    starts: ClassVar[bool] = True
    identity: Identity

    async def do(self, cluster: Cluster) -> None:
        """Stop and start. StaleTarget when somebody else has restarted it already."""
        view = await cluster.nodes.inspect(self.node)
        if view.identity != self.identity:
            raise StaleTarget(f"{self.node} is no longer {_name(self.identity)}: it was not stopped.")
        life = cluster.require(control.Lifecycle)
        await life.stop(self.node, cluster.subject.stop_timeout_s)
        await life.start(self.node)

    async def undo(self, cluster: Cluster, ours: Collection[Identity] = ()) -> UndoReport:  # noqa: ARG002
        """Start it if the restart was interrupted half way."""
        with contextlib.suppress(StaleTarget):
            await cluster.require(control.Lifecycle).start(self.node)
        return UndoReport(State.HEALED, f"{self.node} runs")


async def _start_again(
    cluster: Cluster, node: str, killed: Identity, ours: Collection[Identity]
) -> UndoReport:
    view = await cluster.nodes.inspect(node)
    up = view.state in (ProcessState.RUNNING, ProcessState.PAUSED)
    if up and view.identity != killed:
        if view.identity in ours:
            return UndoReport(State.HEALED, f"{node} was started again on its own data, earlier")
        if _by_itself(cluster, view.identity, killed):
            return UndoReport(State.HEALED, f"{node} was started again on its own data, where it runs")
        return UndoReport(
            State.AMBIGUOUS, f"{node} runs as {_name(view.identity)}: it was started outside operator"
        )
    try:
        # Also of one that seems to run: it may be on its way out.
        await cluster.require(control.Lifecycle).start(node)
    except StaleTarget as error:
        return UndoReport(State.AMBIGUOUS, str(error))
    now = (await cluster.nodes.inspect(node)).identity
    if now == killed:
        return UndoReport(State.HEALED, f"{node} was never hit: it is the process it was before")
    return UndoReport(State.HEALED, f"{node} was started again on its own data", now)


def _by_itself(cluster: Cluster, now: Identity | None, killed: Identity) -> bool:
    """Whether what runs the node started it again: the same pod, and its hold has had its time."""
    return isinstance(cluster.control, control.DeadMansSwitch) and now is not None and now.id == killed.id


async def _someone_was_here(
    cluster: Cluster, node: str, meant: Identity, ours: Collection[Identity]
) -> UndoReport:
    view = await cluster.nodes.inspect(node)
    if view.state is ProcessState.EXITED:
        # What was done to the process ended with it; that it ended is not ours, but it is left whole.
        with contextlib.suppress(StaleTarget):
            await cluster.require(control.Lifecycle).start(node)
        now = (await cluster.nodes.inspect(node)).identity
        text = f"{node} had ended meanwhile ({view.raw}); it was started again"
        return UndoReport(State.AMBIGUOUS, text, now)
    if view.identity in ours:
        return UndoReport(State.HEALED, f"{node} was started again on its own data, earlier")
    return UndoReport(
        State.AMBIGUOUS,
        f"{node} is no longer {_name(meant)} but {_name(view.identity)}: it was restarted outside operator",
    )


def _name(identity: Identity | None) -> str:
    return "something unknown" if identity is None else f"{identity.kind} {identity.id[:12]}"


@dataclass(frozen=True, slots=True)
class Unknown(Step):
    """A step that another version of operator wrote: nothing is known of it, so nothing is touched."""

    op: ClassVar[str] = "unknown"
    undo_words: ClassVar[str] = "undo unknown on {0.node}"
    raw: Mapping[str, Any]

    async def undo(self, cluster: Cluster, ours: Collection[Identity] = ()) -> UndoReport:  # noqa: ARG002 - nothing is touched
        """Say who can undo it."""
        known = self.raw.get("op")
        return UndoReport(State.FAILED, f"{self.node}: only the operator that wrote {known!r} can undo it")


def from_json(raw: Mapping[str, Any]) -> Step:
    """Return the step that `to_json` wrote; `Unknown` for an op that this version doesn't know."""
    if raw["op"] not in _OPS:
        return Unknown(str(raw.get("node", "")), raw)
    fields = {key: value for key, value in raw.items() if key != "op"}
    if "identity" in fields:
        fields["identity"] = Identity(**fields["identity"])
    if "rule" in fields:
        fields["rule"] = rule_from_json(fields["rule"])
    return _OPS[raw["op"]](**fields)


_OPS: Mapping[str, type[Step]] = {each.op: each for each in (Kill, Pause, Network, Limit, Restart)}
