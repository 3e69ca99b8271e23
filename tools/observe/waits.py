"""What nodes wait for, a processor or their disk: counters that are read twice, and compared between nodes.

Late answers look alike whatever holds a node up. The kernel keeps how long its threads could have run and
had no processor, the database how long its writes to disk took. On a busy machine everyone waits, so a
node stands out only beside the others.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol, runtime_checkable

from subjects.base import ClusterSnapshot, Role, Subject
from subjects.errors import SubjectError
from tools.observe.kinds import signal
from tools.observe.signal import Signal

CPU_SPAN_S = 2.5
"""From one reading of the counters to the next where a cluster is watched: a limit on a process's share lets
it run once every 100 ms, so half a second has only five such periods to count."""

STARVED_SHARE = 0.5
"""Of the time looked at, so much was waited for a processor, over all threads. Measured: 0.1 to 0.3 of a
healthy member on two cores with ten processes at work on each, 1.8 and up of one held to 0.02 cores."""
THROTTLED_SHARE = 0.25
"""The same of being held back by a limit on its CPU. Measured in 21 readings of a store held to 0.02 cores:
0.53 of the time and more."""
STARVED_TO_RAN = 10.0
"""Times as long waited as ran: 3 to 7 and 60 to 110, in the same measurement."""
APART = 4.0
"""Times as much as the other nodes of its kind usually do: PDs have next to nothing to wait for."""
ALONE = 2.0
"""Times as much as any of them: where another waits nearly as long, the machine is short of processors."""

SLOW_SYNC_S = 0.1
"""etcd's own advice for a write to its log is 10 ms at p99; one of 100 ms takes a heartbeat's time."""


@runtime_checkable
class ReportsDiskWaits(Protocol):
    """A subject whose nodes keep a histogram of how long writes to disk take."""

    @property
    def disk_wait_metric(self) -> str:
        """Its name, without `_sum` and `_count`; in seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Waited:
    """What one node waited for between two readings. None is not measured."""

    span_s: float
    ran_s: float | None = None
    waited_s: float | None = None
    """For a processor, summed over its threads."""
    throttled_s: float | None = None
    """Held back by a limit on its CPU, summed over processors."""
    syncs: int | None = None
    synced_s: float | None = None
    """What these writes to disk took together."""
    is_store: bool = False
    """Whether it keeps data for a control plane of others: a store of TiKV."""

    @property
    def sync_s(self) -> float | None:
        """What a write to disk took on average; None when none was completed."""
        return self.synced_s / self.syncs if self.syncs and self.synced_s is not None else None


Syncs = Mapping[str, tuple[int, float]]


async def read_syncs(subject: Subject) -> Syncs:
    """Return how many writes to disk each node completed since it started, and what they took in seconds."""
    if not isinstance(subject, ReportsDiskWaits):
        return {}
    metric = subject.disk_wait_metric
    told = await asyncio.gather(*(_syncs(subject, node, metric) for node in subject.nodes))
    return {node: each for node, each in zip(subject.nodes, told, strict=True) if each is not None}


def between(first: ClusterSnapshot, last: ClusterSnapshot, before: Syncs, after: Syncs) -> dict[str, Waited]:
    """Return what each node waited for between two looks; nodes that were restarted meanwhile left out."""
    span_s = last.at - first.at
    if span_s <= 0:
        return {}
    earlier = {node.name: node.process for node in first.nodes}
    waited = {}
    for node in last.nodes:
        then, now = earlier.get(node.name), node.process
        if then is None or then.identity != now.identity:
            continue
        syncs = _grown(before.get(node.name), after.get(node.name))
        cpu = _grown(
            None if then.ran_s is None or then.waited_s is None else (then.ran_s, then.waited_s),
            None if now.ran_s is None or now.waited_s is None else (now.ran_s, now.waited_s),
        )
        waited[node.name] = Waited(
            span_s,
            ran_s=cpu[0] if cpu else None,
            waited_s=cpu[1] if cpu else None,
            throttled_s=_more(then.throttled_s, now.throttled_s),
            syncs=int(syncs[0]) if syncs else None,
            synced_s=syncs[1] if syncs else None,
            is_store=node.role is Role.STORE,
        )
    return waited


class CpuWaits:
    """Compares how long nodes waited for a processor, over `CPU_SPAN_S` or longer, again and again."""

    def __init__(self) -> None:
        self._first: ClusterSnapshot | None = None

    def read(self, snapshot: ClusterSnapshot) -> Iterator[Signal]:
        """Yield of each node that can be compared with others whether it is starved of CPU, once a span."""
        if self._first is None or snapshot.at < self._first.at:
            self._first = snapshot
        if snapshot.at - self._first.at < CPU_SPAN_S:
            return
        waits = between(self._first, snapshot, {}, {})
        self._first = snapshot
        for name, waited in waits.items():
            others = _others(waits, name)
            if waited.waited_s is None or all(each.waited_s is None for each in others):
                continue
            if starved(waited, others):
                yield signal("starved", name, _cpu_text(waited, others))
            else:
                yield signal("not_starved", name, _cpu_text(waited, others))


def signals_of_waits(waits: Mapping[str, Waited]) -> Iterator[Signal]:
    """Yield which nodes are starved of CPU or wait for their disk, with the others beside them."""
    for name, waited in waits.items():
        others = _others(waits, name)
        if starved(waited, others):
            yield signal("starved", name, _cpu_text(waited, others))
        elif slow_to_write(waited, others) and waited.sync_s is not None:
            yield signal(
                "slow_disk",
                name,
                f"a write to its disk took {waited.sync_s * 1000:.0f} ms on average, "
                f"{waited.syncs} in {waited.span_s:.1f} s; of the others {_other_syncs(others)}",
            )
        if waited.waited_s is not None and waited.ran_s is not None and not kept_waiting(waited):
            yield signal("cpu_enough", name, _cpu_text(waited, others))


def starved(waited: Waited, others: Sequence[Waited]) -> bool:
    """Whether a node is kept from the processor, more than its neighbours are."""
    if waited.waited_s is None or waited.ran_s is None:
        return False
    held_s = max(waited.waited_s, waited.throttled_s or 0.0)
    if not kept_waiting(waited) or held_s < STARVED_TO_RAN * waited.ran_s:
        return False
    theirs = [each.waited_s for each in others if each.waited_s is not None] or [0.0]
    return throttled(waited, others) or waited.waited_s >= max(APART * median(theirs), ALONE * max(theirs))


def throttled(waited: Waited, others: Sequence[Waited]) -> bool:
    """Whether a limit on a node's CPU holds it back most of the time, and none its neighbours.

    What threads waited is booked once they run again, so of one that hardly runs it comes in lumps; this is
    kept by the limit itself.
    """
    theirs = max((each.throttled_s or 0.0 for each in others), default=0.0)
    return (waited.throttled_s or 0.0) >= max(THROTTLED_SHARE * waited.span_s, ALONE * theirs)


def kept_waiting(waited: Waited) -> bool:
    """Whether a node waited so long for a processor that its answers may be late for that."""
    if waited.waited_s is None or waited.waited_s >= STARVED_SHARE * waited.span_s:
        return True
    return (waited.throttled_s or 0.0) >= THROTTLED_SHARE * waited.span_s


def slow_to_write(waited: Waited, others: Sequence[Waited]) -> bool:
    """Whether a node's disk is slow, more than its neighbours' disks are."""
    if waited.sync_s is None or waited.sync_s < SLOW_SYNC_S:
        return False
    return waited.sync_s >= APART * median(
        [each.sync_s for each in others if each.sync_s is not None] or [0.0]
    )


def _others(waits: Mapping[str, Waited], name: str) -> list[Waited]:
    """Return what the other nodes of its kind waited for: stores are compared with stores."""
    return [each for node, each in waits.items() if node != name and each.is_store is waits[name].is_store]


def _cpu_text(waited: Waited, others: Sequence[Waited]) -> str:
    known = ", ".join(f"{each.waited_s:.2f} s" for each in others if each.waited_s is not None)
    limit = f", held back by its CPU limit for {waited.throttled_s:.2f} s" if waited.throttled_s else ""
    return (
        f"its threads waited {waited.waited_s:.2f} s for a processor and ran {waited.ran_s:.2f} s, "
        f"in {waited.span_s:.1f} s{limit}; the others waited {known or 'for an unknown time'}"
    )


def _other_syncs(others: Sequence[Waited]) -> str:
    told = [f"{each.sync_s * 1000:.1f} ms" for each in others if each.sync_s is not None]
    return ", ".join(told) or "none is known"


def _grown(
    before: tuple[float, float] | None, after: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Return by how much two counters grew; None where one is not known, or began again."""
    if before is None or after is None or after[0] < before[0] or after[1] < before[1]:
        return None
    return after[0] - before[0], after[1] - before[1]


def _more(before: float | None, after: float | None) -> float | None:
    """Return by how much a counter grew; None where it is not known, or began again."""
    return None if before is None or after is None or after < before else after - before


async def _syncs(subject: Subject, node: str, metric: str) -> tuple[int, float] | None:
    names = f"{metric}_count", f"{metric}_sum"
    try:
        found = {sample.name: sample.value for sample in await subject.metrics(node, names)}
    except SubjectError:
        return None
    if not found.keys() >= set(names):
        return None
    return int(found[names[0]]), found[names[1]]
