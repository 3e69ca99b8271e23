"""Undoing what the journal holds: the same code for operator, for the healer and for `operator restore`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from subjects.base import Cluster, ClusterState
from subjects.errors import SubjectError
from tools.faults.journal import Journal, Record, State
from tools.faults.steps import Undone, UndoReport

VERIFY_S = 15.0
"""How long an undone fault's cluster may take to be healthy: etcd 0.1 s, a lost leader 2 s (measured)."""
_LOOK_S = 0.1

OpenCluster = Callable[[str], Awaitable[Cluster | None]]
"""Finds the cluster with that id; None when it is not there any more."""


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


async def heal(journal: Journal, record: Record, cluster: Cluster, who: str) -> HealReport:
    """Undo one fault and see that it is undone. Never raises for a fault that can't be healed now."""
    if not journal.claim(record.id, who):
        return await _wait_for_other(journal, record)
    try:
        reports = await _undo(record, cluster)
        state, text = _sum(reports)
        if state is State.HEALED:
            state, text = await _verify(cluster, record, text)
    except BaseException:
        journal.close_fault(record.id, State.FAILED, "the healing was interrupted")
        raise
    journal.close_fault(record.id, state, text)
    return HealReport(record.id, record.kind, record.nodes, state, text)


async def heal_all(
    journal: Journal, records: list[Record], open_cluster: OpenCluster, who: str
) -> list[HealReport]:
    """Heal one after the other, the latest first; one that fails stops none of the others."""
    done = []
    clusters: dict[str, Cluster | None] = {}
    try:
        for record in sorted(records, key=lambda each: -each.id):
            if record.cluster not in clusters:
                clusters[record.cluster] = await open_cluster(record.cluster)
            cluster = clusters[record.cluster]
            done.append(
                gone(journal, record) if cluster is None else await heal(journal, record, cluster, who)
            )
    finally:
        for cluster in clusters.values():
            if cluster is not None:
                await cluster.aclose()
    return done


def gone(journal: Journal, record: Record) -> HealReport:
    """Close a fault whose cluster is not there any more: nothing is left that it could be undone on."""
    text = f"its cluster {record.cluster} is not there any more; nothing was found to undo it on"
    if journal.claim(record.id, "restore"):
        journal.close_fault(record.id, State.AMBIGUOUS, text)
    return HealReport(record.id, record.kind, record.nodes, State.AMBIGUOUS, text)


async def _undo(record: Record, cluster: Cluster) -> list[UndoReport]:
    reports = []
    for step in reversed(record.steps):
        try:
            reports.append(await step.undo(cluster.runtime))
        except SubjectError as error:
            reports.append(UndoReport(Undone.FAILED, f"{step.node}: {error}"))
    return reports


def _sum(reports: list[UndoReport]) -> tuple[State, str]:
    text = "; ".join(report.text for report in reports) or "there was nothing to undo"
    outcomes = {report.outcome for report in reports}
    if Undone.FAILED in outcomes:
        return State.FAILED, text
    return (State.AMBIGUOUS if Undone.AMBIGUOUS in outcomes else State.HEALED), text


async def _verify(cluster: Cluster, record: Record, text: str) -> tuple[State, str]:
    """See, by the database's own word, that the same members are there and well."""
    deadline = time.monotonic() + VERIFY_S
    while True:
        picture = await cluster.subject.observe()
        present = {node.name: node.member_id for node in picture.nodes}
        if picture.state is ClusterState.HEALTHY:
            strangers = [
                name for name, member in record.members.items() if member and present.get(name) != member
            ]
            if strangers:
                return State.AMBIGUOUS, f"{text}; but {', '.join(strangers)} is not the member it was before"
            return State.HEALED, f"{text}; all members are healthy"
        if time.monotonic() > deadline:
            return State.FAILED, f"{text}; but after {VERIFY_S:g} s: {'; '.join(picture.problems)}"
        await asyncio.sleep(_LOOK_S)


async def _wait_for_other(journal: Journal, record: Record) -> HealReport:
    """Somebody else (the healer, another operator) is healing it: wait for what comes of it."""
    deadline = time.monotonic() + VERIFY_S + 5
    while True:
        now = journal.get(record.id) or record
        if not now.open or time.monotonic() > deadline:
            return HealReport(now.id, now.kind, now.nodes, now.state, now.outcome or "somebody is healing it")
        await asyncio.sleep(_LOOK_S)
