"""Faults as the tools use them: plan, guard, journal, inject, see the effect, heal, see the recovery."""

import asyncio
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol

from subjects import clock
from subjects.base import RANDOM, Cluster, ClusterSnapshot, Control, DeadMansSwitch, Lifecycle, Limits
from subjects.clusters import opened
from subjects.errors import NotReady, SubjectError
from subjects.runtimes import identity
from subjects.runtimes.supervisor import spawn
from subjects.state import StateFolder
from tools.errors import NothingToDo, Refused, UnknownNode
from tools.faults import catalogue, guard, healer
from tools.faults.catalogue import Fault, Settings, Target
from tools.faults.effects import wait_for_effect
from tools.faults.healing import HealReport, heal_all
from tools.faults.journal import Journal, Record
from tools.faults.steps import Limit, State, Step
from tools.tasks import uncancelled

HEALER_TIMEOUT_S = 5.0
BUSY_S = 6.0
"""How long a busy machine may keep members that run from answering before a fault is refused for it."""
MAX_TTL_S = 3600.0


class Announced(Protocol):
    """Who is told of what is planned, so that it is no alarm."""

    def maintenance(self, nodes: Sequence[str], reason: str) -> AbstractContextManager[None]:
        """Hold while planned work is done on `nodes`."""
        ...


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault that was injected and seen to have taken effect, or not seen."""

    record: Record
    prediction: guard.Prediction
    roles: tuple[str, ...]
    effect: str | None
    """What something other than the injector saw; None when the effect was not seen in time."""
    before: ClusterSnapshot

    @property
    def alarms(self) -> bool:
        """Whether a right detector tells of it: it does not of what is planned, nor of nothing at all."""
        return bool(self.record.steps) and not catalogue.find(self.record.kind).planned


@dataclass(frozen=True, slots=True)
class Plan:
    """What an injection would do, before anything is touched."""

    fault: Fault
    settings: Settings
    before: ClusterSnapshot
    nodes: tuple[str, ...]
    prediction: guard.Prediction
    steps: tuple[Step, ...]

    @property
    def words(self) -> str:
        """Nodes, effect, prediction and undo, a line each."""
        undo = "; ".join(dict.fromkeys(step.undone_by for step in self.steps)) or "nothing to undo"
        return (
            f"{self.fault.kind} of {', '.join(self.nodes) or 'no node'}\n"
            f"Predicted: {self.prediction.text}\n"
            f"Undo: {undo}; by the healer after {self.settings.ttl_s:g} s, or if operator is killed"
        )


class FaultService:
    """The faults of one session."""

    def __init__(self, state: StateFolder, seed: int | None = None) -> None:
        self._state = state
        self.journal = Journal(state.database)
        self.injections: list[Injection] = []
        """What this session injected, in order."""
        self._shown: tuple[str, str | None, tuple[str, ...]] | None = None
        """Kind, target and nodes that a person was shown: what they agree to is what is done."""
        self._random = random.Random(seed)  # noqa: S311 - a seed that repeats is what is wanted
        self._owner = identity.own()
        self._open = partial(opened, state)

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    async def inject(
        self,
        cluster: Cluster,
        kind: str,
        target: str | None = None,
        settings: Settings | None = None,
        *,
        allow_quorum_loss: bool = False,
        several: bool = False,
        monitor: Announced | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> Injection:
        """Inject one fault. Refused by the guard with the reason, before anything is touched.

        `target` is `random`, a role that the database has, or a node's name; None is the database's default.
        Faults that choose for themselves ignore `random`. `announce` is told the prediction before anything
        happens.
        """
        plan = await self._prepare(
            cluster, kind, target, settings, allow_quorum_loss=allow_quorum_loss, several=several
        )
        self._shown = None
        announce(plan.prediction.text)
        await self._start_healer()  # beforehand: there is no moment in which a plan is nobody's
        async with self.journal.acting(cluster.require(Control).act_timeout_s):
            self._check_alone(several=several)  # another operator may have been quicker
            number = self._write_down(cluster, plan)
        await self._ensure_healer(number)
        planned: AbstractContextManager[None] = nullcontext()
        if plan.fault.planned and monitor is not None:
            planned = monitor.maintenance(plan.nodes, "a planned restart")
        with planned:
            await self._do(cluster, number, plan.steps)
            self.injections.append(self._injection(number, plan, None))  # it is, also if nobody sees it
            effect = await wait_for_effect(cluster, plan.before, plan.fault.effect, plan.steps)
        if effect is not None:
            seen = time.monotonic()
            await uncancelled(asyncio.to_thread(self.journal.effect, number, effect, seen))
        self.injections[-1] = self._injection(number, plan, effect)
        return self.injections[-1]

    def _injection(self, number: int, plan: Plan, effect: str | None) -> Injection:
        record = self.journal.get(number)
        if record is None:
            raise NotReady("The fault journal was deleted while a fault was injected.")
        roles = tuple(str(plan.before.node(node).role) for node in plan.nodes)
        return Injection(record, plan.prediction, roles, effect, plan.before)

    async def preview(
        self,
        cluster: Cluster,
        kind: str,
        target: str | None,
        settings: Settings,
        *,
        allow_quorum_loss: bool = False,
        several: bool = False,
    ) -> Plan:
        """Return what `inject` would do now, for a person to agree to: the next with these words does that.

        Refused as `inject` would be.
        """
        self._shown = None
        plan = await self._prepare(
            cluster, kind, target, settings, allow_quorum_loss=allow_quorum_loss, several=several
        )
        self._shown = (kind, target, plan.nodes)
        return plan

    async def _prepare(
        self,
        cluster: Cluster,
        kind: str,
        target: str | None,
        settings: Settings | None,
        *,
        allow_quorum_loss: bool,
        several: bool,
    ) -> Plan:
        """Choose the nodes, predict, and make the steps; nothing is touched."""
        fault = catalogue.find(kind)
        settings = settings or Settings()
        self._check(cluster, fault, settings, several=several)
        votes_lost = catalogue.takes_votes(fault, settings)
        until, luck = time.monotonic() + BUSY_S, self._random.getstate()
        while True:
            self._random.setstate(luck)  # a seed repeats the choice, however often it is looked
            before = await _with_leader(cluster)
            nodes = self._choose(cluster, before, fault, target)
            absent = self._absent(cluster)
            prediction = guard.predict(
                cluster.subject.stall_s, before, fault, nodes, votes_lost=votes_lost, absent=absent
            )
            settled = prediction.quorum_held or allow_quorum_loss or not guard.votes_may_come(before)
            if settled or time.monotonic() >= until:
                break
            await asyncio.sleep(0.1)
        guard.check_quorum(prediction, allowed=allow_quorum_loss)
        guard.check_replicas(prediction, before, nodes, allowed=allow_quorum_loss)
        targets = [await self._target(cluster, node) for node in nodes]
        value = fault.default if settings.value is None else settings.value
        steps = [step for each in targets for step in fault.steps(each, settings, value)]
        _check_undo(cluster, steps)
        return Plan(fault, settings, before, tuple(nodes), prediction, tuple(steps))

    def check(self, cluster: Cluster, kind: str, target: str | None, *, allow_quorum_loss: bool) -> None:
        """Refuse what `inject` would refuse of this cluster whatever its state: it need not even run."""
        fault = catalogue.find(kind)
        self._check(cluster, fault, Settings(), several=False)
        if target is not None:
            _known(cluster, target)
        if fault.choose == "majority" and not allow_quorum_loss:
            raise Refused(f"{kind} takes the majority: nothing could be written any more.", guard.PERMISSION)

    async def heal(self, cluster: Cluster, fault: int | None = None) -> list[HealReport]:
        """Heal one fault, or every open one of this cluster, the latest first."""
        records = self.to_heal(cluster.id, fault)
        return await heal_all(self.journal, records, lambda _: nullcontext(cluster), self._owner)

    def to_heal(self, cluster: str, fault: int | None = None) -> list[Record]:
        """Return that open fault of a cluster, or every one. Raises NothingToDo where there is none."""
        found = [each for each in self._open_of(cluster) if fault in (None, each.id)]
        if not found:
            raise NothingToDo(
                "There is no open fault to heal.", "cluster_status tells what is wrong, if anything."
            )
        return found

    async def restore(self, *, orphans_only: bool = False) -> list[HealReport]:
        """Heal every open fault of the state folder, or those whose operator is dead. Can be repeated.

        Raises NotReady where the journal cannot be read; those of the dead are then taken for none.
        """
        records = self.journal.open_faults()
        if orphans_only:
            records = [each for each in records if each.orphaned]
        reports = await heal_all(self.journal, records, self._open, self._owner)
        if not orphans_only:
            self.journal.require_readable()
        return reports

    async def heal_own(self) -> list[HealReport]:
        """Heal what this process injected and nobody has healed yet."""
        return await heal_all(self.journal, self.own_open(), self._open, self._owner)

    async def leave_to_healer(self, fault: int) -> None:
        """Let an injected fault outlive this process: the healer answers for it until its time is over.

        NotReady, and the fault stays ours, where no healer runs.
        """
        watcher = healer.running(self._state)
        if watcher is None:
            raise NotReady(f"Fault {fault} cannot be left open: its healer has ended.")
        await asyncio.to_thread(self.journal.hand_over, fault, watcher)

    def own_open(self) -> list[Record]:
        """Return the open faults that this operator answers for; another one's are its own to heal."""
        return [each for each in self.journal.open_faults() if each.owner == self._owner]

    def open_on(self, cluster: Cluster, node: str) -> Record | None:
        """Return the latest open fault that was made for this cluster's `node`."""
        made = [each for each in self._open_of(cluster.id) if node in each.nodes]
        return made[-1] if made else None

    def _open_of(self, cluster: str) -> list[Record]:
        """The open faults of this cluster, the oldest first; other clusters have nodes of the same names."""
        return [each for each in self.journal.open_faults() if each.cluster == cluster]

    def _check(self, cluster: Cluster, fault: Fault, settings: Settings, *, several: bool) -> None:
        able = catalogue.capability(fault, cluster, settings)
        if not able.available:
            raise Refused(f"{fault.kind} can't be done here: {able.reason}.", _possible(cluster))
        if not 0 < settings.ttl_s <= MAX_TTL_S:
            raise Refused(f"ttl_s must be above 0 and at most {MAX_TTL_S:g} s, not {settings.ttl_s:g}.")
        if settings.value is not None and (not math.isfinite(settings.value) or settings.value < 0):
            raise Refused(
                f"value must be a number from 0 up ({fault.unit or 'not used'}), not {settings.value}."
            )
        if settings.value is not None and fault.unit == catalogue.SHARE and settings.value > 1:
            raise Refused(f"value must be a share from 0 to 1, not {settings.value:g}.")
        if settings.value is not None and not fault.unit:
            raise Refused(f"{fault.kind} has no strength: leave value out.")
        if settings.aimed and not catalogue.of_network(fault):
            raise Refused(f"{fault.kind} is not a network fault: leave scope and direction out.")
        self._check_alone(several=several)

    def _check_alone(self, *, several: bool) -> None:
        running = self.journal.open_faults()
        if running and not several:
            raise Refused(
                f"Fault {running[0].id} ({running[0].kind} on {', '.join(running[0].nodes)}) is still open.",
                "Heal it first with fault_heal, or ask for several faults at once.",
            )

    def _choose(
        self, cluster: Cluster, snapshot: ClusterSnapshot, fault: Fault, target: str | None
    ) -> list[str]:
        shown = self._shown
        if shown is None or shown[:2] != (fault.kind, target):
            return self._choose_now(cluster, snapshot, fault, target)
        if target == "follower":
            moved = shown[2] == (snapshot.leader,)
        else:
            by_chance = fault.choose == "majority" or (fault.choose == "one" and target in (None, RANDOM))
            moved = not by_chance and tuple(self._choose_now(cluster, snapshot, fault, target)) != shown[2]
        if moved:
            role = target or cluster.subject.usual_target
            raise Refused(f"{', '.join(shown[2])} is no longer the {role} that was agreed to.", "Ask again.")
        return list(shown[2])

    def _choose_now(
        self, cluster: Cluster, snapshot: ClusterSnapshot, fault: Fault, target: str | None
    ) -> list[str]:
        stores = list(cluster.subject.stores)
        if fault.choose == "none":
            return []
        if fault.choose == "majority":
            return sorted(self._random.sample(stores, len(stores) // 2 + 1))
        if fault.choose == "leader":
            target = "leader"
        wanted = target or cluster.subject.usual_target
        role = next((each for each in cluster.subject.targets if each.name == wanted), None)
        if role is not None:
            if found := role.held_by(snapshot, stores):
                return [self._random.choice(found) if len(found) > 1 else found[0]]
            if target is not None:
                raise Refused(role.nobody, f"Choose one of: {', '.join((*stores, RANDOM))}.")
        elif wanted != RANDOM:
            return [_known(cluster, wanted)]
        return [self._random.choice(stores)]

    async def _target(self, cluster: Cluster, node: str) -> Target:
        view = await cluster.nodes.inspect(node)
        if view.identity is None:
            raise Refused(
                f"{node} does not run ({view.raw}), so there is nothing to break.", "Restart it first."
            )
        limited = cluster.control
        limits = await limited.limits(node) if isinstance(limited, Limits) else dict[str, float | None]()
        # What open faults have set is put back by none of them, in whichever order they are healed.
        unlimited = {
            step.name: step.before
            for fault in reversed(self._open_of(cluster.id))
            for step in fault.steps
            if isinstance(step, Limit) and step.identity == view.identity
        }
        return Target(node, view.identity, {**limits, **unlimited})

    def _absent(self, cluster: Cluster) -> set[str]:
        """The nodes that an open fault takes from the majority, whether or not that is to be seen yet."""
        return {node for each in self._open_of(cluster.id) if each.takes_votes for node in each.nodes}

    def _write_down(self, cluster: Cluster, plan: Plan) -> int:
        return self.journal.plan(
            cluster=cluster.id,
            kind=plan.fault.kind,
            nodes=list(dict.fromkeys(step.node for step in plan.steps)),
            steps=plan.steps,
            members={node.name: node.member_id for node in plan.before.nodes},
            prediction=asdict(plan.prediction),
            owner=self._owner,
            ttl_s=plan.settings.ttl_s,
        )

    async def _do(self, cluster: Cluster, number: int, steps: Sequence[Step]) -> None:
        """Take the steps, unless the plan was closed meanwhile: what nobody watches over is not done."""
        try:
            async with self.journal.acting(cluster.require(Control).act_timeout_s):
                record = self.journal.get(number)
                if record is None or record.state is not State.PLANNED:
                    raise Refused(f"Fault {number} was closed before it was injected: nothing was done.")
                if isinstance(cluster.control, DeadMansSwitch):
                    cluster.control.arm(record.ttl_s)
                at = time.monotonic()
                wall = clock.wall(at)
                for step in steps:
                    await step.do(cluster)
                # In a thread: the monitor listens on this loop, and the disk must not keep it waiting now.
                await uncancelled(asyncio.to_thread(self.journal.injected, number, wall=wall, at=at))
        except (SubjectError, OSError) as error:
            undone = await self._undone(cluster, number)
            why = str(error).rstrip(".")
            raise Refused(f"The fault could not be injected: {why}. {undone}") from error

    async def _undone(self, cluster: Cluster, number: int) -> str:
        """Undo what was begun, and say what came of that."""
        try:
            reports = await self.heal(cluster, number)
        except NothingToDo:
            return "Nothing of it was left to undo."
        return " ".join(f"Of what was begun: {report.state}, {report.text}." for report in reports)

    async def _start_healer(self) -> None:
        """Start a healer unless one runs."""
        if healer.running(self._state) is not None:
            return
        root = self._state.root
        await spawn([sys.executable, "-P", "-m", "tools.faults.healer", str(root)], root / "healer")

    async def _ensure_healer(self, number: int) -> None:
        """Wait until a healer says in the journal that it watches over this fault; start one if need be."""
        deadline = time.monotonic() + HEALER_TIMEOUT_S
        started_at = time.monotonic()
        while True:
            record = self.journal.get(number)
            if record is not None and record.watched_by is not None:
                return
            now = time.monotonic()
            if now > deadline:
                self.journal.close_fault(number, State.HEALED, "never injected: no healer could be started")
                raise NotReady(
                    f"The healer did not start within {HEALER_TIMEOUT_S:g} s, so nothing was injected; "
                    f"{self._state.root / 'healer' / 'log'} may say why."
                )
            if now - started_at > 1.0:
                started_at = now
                await self._start_healer()
            await asyncio.sleep(0.01)


def _known(cluster: Cluster, target: str) -> str:
    """Return the target if it is a node or a role; UnknownNode, naming those there are, if not."""
    known = (*cluster.subject.nodes, RANDOM, *(role.name for role in cluster.subject.targets))
    if target not in known:
        raise UnknownNode(target, known)
    return target


async def _with_leader(cluster: Cluster) -> ClusterSnapshot:
    """Return what is seen once there is a leader, or when an election would long be over.

    Members that are electing one look like members that cannot vote.
    """
    until = time.monotonic() + max(BUSY_S, cluster.subject.stall_s)
    while True:
        seen = await cluster.subject.observe()
        if seen.leader is not None or time.monotonic() >= until:
            return seen
        await asyncio.sleep(0.1)


def _check_undo(cluster: Cluster, steps: Sequence[Step]) -> None:
    """Refuse what could not be undone: whatever the undo needs is there before the act."""
    for step in steps:
        if step.starts and not (able := cluster.require(Lifecycle).startable(step.node)).available:
            raise Refused(
                f"{step.node} could not be started again: {able.reason}. Nothing was done.",
                "Make a new cluster with cluster_stop and cluster_start, or put the program back.",
            )


def _possible(cluster: Cluster) -> str:
    able = [
        kind for kind, fault in catalogue.CATALOGUE.items() if catalogue.capability(fault, cluster).available
    ]
    return f"What can be done here: {', '.join(able)}." if able else "Nothing can be injected here."
