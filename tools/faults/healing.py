"""Undoing what the journal holds: the same code for operator, for the healer and for `operator restore`.

First everything is undone, then everything is looked at: a fault that is still open elsewhere in the
cluster would otherwise make every other one look as if it had not been healed.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial

from subjects.base import Cluster, ClusterSnapshot, ClusterState, Control, Identity, ProcessState
from subjects.errors import SubjectError
from tools.faults.journal import Journal, Record
from tools.faults.steps import State, Step, UndoReport

OTHER_S = 30.0
"""How long it is waited for another process that is healing the same fault."""
_LOOK_S = 0.05

OpenCluster = Callable[[str], AbstractAsyncContextManager[Cluster | None]]
"""Holds the cluster with that id open; None when it is not there any more."""


@dataclass(frozen=True, slots=True)
class HealReport:
    """How the healing of one fault ended."""

    fault: int
    kind: str
    nodes: tuple[str, ...]
    state: State
    text: str

    @property
    def ok(self) -> bool:
        """Whether it was undone and seen to be."""
        return self.state is State.HEALED

    @property
    def sentence(self) -> str:
        """It in a sentence, for a person."""
        return f"Fault {self.fault}, {self.kind} on {', '.join(self.nodes)}: {self.state}: {self.text}."


async def heal_all(
    journal: Journal, records: Sequence[Record], open_cluster: OpenCluster, by: Identity
) -> list[HealReport]:
    """Heal these faults, the latest first; one that fails stops neither the others nor the report."""
    healing = _Healing(journal, open_cluster, by)
    async with healing.clusters:
        return await healing.run(sorted(records, key=lambda each: -each.id))


_ORDER = {State.FAILED: 0, State.AMBIGUOUS: 1, State.HEALED: 2, None: 3}


class _Healing:
    """One healing of several faults."""

    def __init__(self, journal: Journal, open_cluster: OpenCluster, by: Identity) -> None:
        self.clusters = AsyncExitStack()
        self._journal = journal
        self._open = open_cluster
        self._by = by
        self._opened: dict[str, Cluster | None] = {}
        self._claimed: set[int] = set()
        self._undone_at = 0.0

    async def run(self, records: Sequence[Record]) -> list[HealReport]:
        """Undo, look, and wait for what somebody else is healing."""
        try:
            undone = [(record, await self._undo(record)) for record in records]
            self._undone_at = time.monotonic()
            # What failed is noted first: it counts as still open when the others are looked at.
            undone.sort(key=lambda each: _ORDER[each[1][0] if each[1] else None])
            reports = [await self._close(record, done) for record, done in undone]
        except BaseException:
            for fault in self._claimed:
                _noted(partial(self._journal.close_fault, fault, State.FAILED, "the healing was interrupted"))
            raise
        return sorted(reports, key=lambda each: -each.fault)

    async def _undo(self, record: Record) -> tuple[State, str] | None:
        """Undo one fault; None when it is somebody else's to heal, or healed already."""
        try:
            cluster = await self._cluster(record.cluster)
            async with self._journal.acting(_act_timeout_s(cluster)):
                if not self._claim(record.id):
                    return None
                if cluster is None:
                    text = f"its cluster {record.cluster} is not there any more: nothing to undo it on"
                    return State.AMBIGUOUS, text
                return await self._undo_steps(record, cluster)
        except (SubjectError, OSError) as error:
            return State.FAILED, f"it could not be undone now: {_words(error)}"

    def _claim(self, fault: int) -> bool:
        """Take a fault upon us. A journal that can't be written (a full disk) must not keep it open."""
        try:
            claimed = self._journal.claim(fault, self._by)
        except sqlite3.Error:
            claimed = True  # `_noted` tells of it at the end
        if claimed:
            self._claimed.add(fault)
        return claimed

    async def _undo_steps(self, record: Record, cluster: Cluster) -> tuple[State, str]:
        """Undo one step after the other, whatever becomes of each, and note what was started for that."""
        ours = self._journal.started_by_us(record.id)
        if record.state is State.HEALING:
            # A healing that was cut short may have started what runs now, and could not note it any more.
            ours += [here for node in record.nodes if (here := await _present(cluster, node))]
        reports = []
        for step in reversed(record.steps):
            report = await _undo_step(step, cluster, ours)
            reports.append(report)
            if (started := report.started) is not None:
                _noted(partial(self._journal.started, record.id, started))
        return _sum(reports)

    async def _undo_again(self, cluster: Cluster, record: Record) -> tuple[State, str]:
        try:
            async with self._journal.acting(_act_timeout_s(cluster)):
                return await self._undo_steps(record, cluster)
        except (SubjectError, OSError) as error:
            return State.FAILED, f"it could not be undone now: {_words(error)}"

    async def _close(self, record: Record, done: tuple[State, str] | None) -> HealReport:
        if done is None:
            return await self._other(record)
        state, text = done
        cluster = self._opened.get(record.cluster)
        if cluster is not None and state is State.HEALED:
            state, text = await self._verify(cluster, record, text)
        if record.id in self._claimed:
            self._claimed.discard(record.id)
            text += _noted(partial(self._journal.close_fault, record.id, state, text))
        return _report(record, state, text)

    async def _other(self, record: Record) -> HealReport:
        """Wait for what comes of another process's healing; take it over if that process dies."""
        deadline = time.monotonic() + OTHER_S
        while True:
            now = self._journal.get(record.id)
            if now is None:
                return _report(record, State.AMBIGUOUS, "it is no longer in the journal")
            if not now.open:
                return _report(now, now.state, now.outcome or "")
            if not now.being_healed and (done := await self._undo(now)) is not None:
                self._undone_at = time.monotonic()
                return await self._close(now, done)
            if time.monotonic() > deadline:
                return _report(now, now.state, "another process has been healing it for too long")
            await asyncio.sleep(_LOOK_S)

    async def _cluster(self, cluster_id: str) -> Cluster | None:
        if cluster_id not in self._opened:
            opened = await self.clusters.enter_async_context(self._open(cluster_id))
            self._opened[cluster_id] = opened
        return self._opened[cluster_id]

    async def _verify(self, cluster: Cluster, record: Record, text: str) -> tuple[State, str]:
        """See, by what the database reports, that the same members are there and healthy."""
        verify_s = cluster.require(Control).verify_s
        while True:
            try:
                snapshot = await cluster.subject.observe()
            except (SubjectError, OSError) as error:
                if time.monotonic() > self._undone_at + verify_s:
                    return State.FAILED, f"{text}; but after {verify_s:g} s: {_words(error)}"
                await asyncio.sleep(_LOOK_S)
                continue
            others = [
                other
                for other in self._journal.open_faults()
                if other.cluster == record.cluster and other.id not in self._claimed
            ]
            problems = _own_problems(snapshot, record) if others else _problems(snapshot, record)
            if not problems:
                return _judged(snapshot, record, text, others)
            if _ended(snapshot, record):
                # A member that was dying of the fault when it was lifted has ended since.
                state, text = await self._undo_again(cluster, record)
                if state is not State.HEALED:
                    return state, text
            if time.monotonic() > self._undone_at + verify_s:
                return State.FAILED, f"{text}; but after {verify_s:g} s: {'; '.join(problems)}"
            await asyncio.sleep(_LOOK_S)


def _act_timeout_s(cluster: Cluster | None) -> float:
    """How long to wait for whoever acts now; without a cluster nothing is done, and nothing takes long."""
    return cluster.require(Control).act_timeout_s if cluster is not None else OTHER_S


def _ended(snapshot: ClusterSnapshot, record: Record) -> bool:
    return any(
        node.process.state is ProcessState.EXITED for node in snapshot.nodes if node.name in record.nodes
    )


def _noted(write: Callable[[], None]) -> str:
    """Write into the journal; return what there is to say if that can't be done, as on a full disk."""
    try:
        write()
    except sqlite3.Error as error:
        return f" (this could not be noted: {error}; the next start looks at it again)"
    return ""


async def _present(cluster: Cluster, node: str) -> Identity | None:
    try:
        return (await cluster.nodes.inspect(node)).identity
    except (SubjectError, OSError):  # its own step tells of it; the others are undone all the same
        return None


async def _undo_step(step: Step, cluster: Cluster, ours: Sequence[Identity]) -> UndoReport:
    try:
        return await step.undo(cluster, ours)
    except (SubjectError, OSError) as error:
        return UndoReport(State.FAILED, f"{step.node}: {_words(error)}")


def _sum(reports: Sequence[UndoReport]) -> tuple[State, str]:
    text = "; ".join(report.text for report in reports) or "there was nothing to undo"
    outcomes = {report.outcome for report in reports}
    if State.FAILED in outcomes:
        return State.FAILED, text
    return (State.AMBIGUOUS if State.AMBIGUOUS in outcomes else State.HEALED), text


def _problems(snapshot: ClusterSnapshot, record: Record) -> list[str]:
    if snapshot.state is not ClusterState.HEALTHY:
        return list(snapshot.problems) or [f"the cluster is {snapshot.state}"]
    return [
        f"{node.name}: has not said which member it is"
        for node in snapshot.nodes
        if record.members.get(node.name) and node.member_id is None
    ]


def _own_problems(snapshot: ClusterSnapshot, record: Record) -> list[str]:
    """What is wrong with the fault's own nodes: all that can be judged while another fault is open."""
    return [
        f"{node.name}: {node.process.raw}"
        for node in snapshot.nodes
        if node.name in record.nodes and node.process.state in (ProcessState.EXITED, ProcessState.PAUSED)
    ]


def _judged(
    snapshot: ClusterSnapshot, record: Record, text: str, others: Sequence[Record]
) -> tuple[State, str]:
    present = {node.name: node.member_id for node in snapshot.nodes}
    asked = record.nodes if others else record.members
    strangers = [
        name
        for name, member in record.members.items()
        if name in asked and member and present.get(name, "gone") not in (None, member)
    ]
    if strangers:
        return State.AMBIGUOUS, f"{text}; but {', '.join(strangers)} is not the member it was before"
    if others:
        still = ", ".join(f"{other.id} ({other.kind} on {', '.join(other.nodes)})" for other in others)
        return State.HEALED, f"{text}; the rest of the cluster was not judged: fault {still} is still open"
    return State.HEALED, f"{text}; all members are healthy"


def _report(record: Record, state: State, text: str) -> HealReport:
    return HealReport(record.id, record.kind, record.nodes, state, text)


def _words(error: BaseException) -> str:
    """Return what it says, as a part of a sentence."""
    return str(error).rstrip(".")
