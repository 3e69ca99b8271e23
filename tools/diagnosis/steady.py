"""Looking more than once: what lasts is told apart from what passes.

On a busy machine one answer in a thousand is late, and for a moment after any trouble nobody follows a
leader. Only what every look shows counts.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Protocol, runtime_checkable

from subjects.base import (
    ClusterSnapshot,
    ClusterState,
    Connection,
    Health,
    NodeView,
    Probe,
    ProcessState,
    Subject,
)
from subjects.errors import SubjectError
from tools.observe.kinds import signal
from tools.observe.limits import Limits
from tools.observe.signal import HEALTH_PORT, Signal
from tools.observe.snapshot_diff import FOLLOWED, SnapshotDiff
from tools.observe.targets import (
    DENIED,
    LOST,
    NO_ANSWER,
    NO_CONNECTION,
    UNTRUSTED,
    ProbeTarget,
    probe_new_connection,
    targets_of,
)
from tools.observe.waits import Waited, between, read_syncs, signals_of_waits

LOOKS = 3
"""How often a cluster is looked at that is not healthy."""
SLOW_LOOKS = 6
"""How often one that is healthy but for late answers: on a busy machine several in a row are late."""
PAUSE_S = 0.2
"""Between two looks: twice etcd's heartbeat interval."""
SLOW_MS = 150.0
"""A probe in one network takes single milliseconds. Three looks in a row at 112 ms were measured of a healthy
member on two cores with thirteen processes waiting for them; a delay that disturbs etcd is of the order of
its election timeout, 1000 ms."""
SLOW_TIMES = 3.0
"""Late is also relative: so many times what nodes take meanwhile, without any network, on their own hosts."""
KNOCKS = 8
"""New connections made to each node: of a way in that loses half, fewer than two are lost 1 time in 28."""
FARTHEST_S = 0.5
"""A node that takes longer to answer is slow rather than far away."""
_NOBODY_THERE = frozenset({Connection.REFUSED, Connection.RESET})
AT_ONCE = 200
"""Connections made at a time: 8 to each of 1,000 nodes are more than a process may have open."""
_CHEAP = "process_start_time_seconds"
"""A metric that every Go and Rust client library for Prometheus has."""


@runtime_checkable
class KnowsItsHost(Protocol):
    """A subject that knows whether it reaches a node on its own host."""

    def on_host(self, node: str) -> bool:
        """Return whether the node is asked past the network that clients and peers use."""
        ...


@runtime_checkable
class AskedCheaply(Protocol):
    """A subject that can ask a node something cheaper than a metric."""

    async def ask_cheaply(self, node: str) -> None:
        """Wait for an answer that the node gives by itself; SubjectError if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Looked:
    """Several looks as one."""

    snapshot: ClusterSnapshot
    """The last look, with each node's fastest answers and its own leader if any look found one."""
    host_ms: Mapping[str, float | None] = field(default_factory=dict)
    """How fast each node that runs and was late or silent answers local requests, on its own host
    where possible; None for no answer."""
    on_host: frozenset[str] = frozenset()
    """The nodes in `host_ms` that were asked on their own host, past the network."""
    slow_ms: float = SLOW_MS
    """From here on an answer is late, the machine being as busy as it is."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Of nodes that answer who is connected to them: how many new connections got nothing, if any did."""
    silent: Mapping[str, str] = field(default_factory=dict)
    """Of nodes that do not answer, and refuse nobody: what becomes of a new connection."""
    waits: Mapping[str, Waited] = field(default_factory=dict)
    """What each node waited for during the looks."""


async def steady_look(subject: Subject, *, thorough: bool = False) -> Looked:
    """Look once at a healthy cluster, several times at one that is not, or where `thorough` is asked."""
    syncs = await read_syncs(subject)
    first = snapshot = await subject.observe()
    hosts: dict[str, list[float | None]] = {}
    looks = 1
    while looks < _wanted(snapshot, thorough=thorough):
        await asyncio.sleep(PAUSE_S)
        now, _ = await asyncio.gather(subject.observe(), _ask_hosts(subject, snapshot, hosts))
        snapshot = _merged(snapshot, now)
        looks += 1
    slow_ms = _slow_ms(hosts)
    suspects = [node.name for node in snapshot.nodes if troubled(node, slow_ms) and _runs(node)]
    if suspects and not hosts:
        await _ask_hosts(subject, snapshot, hosts)
    let_in = [node.name for node in snapshot.nodes if not troubled(node) and _runs(node)]
    silent = [node.name for node in snapshot.nodes if node.client.connection is Connection.SILENT]
    targets = {target.node: target for target in targets_of(subject)}
    way_s = _way_s(snapshot)
    return Looked(
        snapshot,
        {name: _fastest(hosts.get(name, ())) for name in suspects},
        frozenset(each for each in suspects if _on_host(subject, each)),
        slow_ms,
        await _lost([targets[name] for name in let_in if name in targets], way_s),
        await _silent([targets[name] for name in silent if name in targets], way_s),
        between(first, snapshot, syncs, await read_syncs(subject) if looks > 1 else {}),
    )


def signals_of(looked: Looked, limits: Limits) -> Iterator[Signal]:
    """Yield what the look shows, in the kinds that the monitor uses too."""
    yield from SnapshotDiff(limits).read(looked.snapshot, time.monotonic())
    slow_ms = looked.slow_ms
    for node in looked.snapshot.nodes:
        if node.process.oom_killed is False:
            yield signal("not_oom", node.name, "no OOM kill was counted")
        if node.client.connection is Connection.ACCEPTED and late(node.client, slow_ms):
            yield signal("slow_port", node.name, f"client port answers in {node.client.latency_ms:.1f} ms")
        if node.itself.health is Health.HEALTHY and late(node.itself, slow_ms):
            yield signal("slow_health", node.name, f"health answers in {node.itself.latency_ms:.1f} ms")
        elif node.itself.health is Health.UNKNOWN and node.itself.connection is Connection.SILENT:
            yield signal("silent", node.name, node.itself.raw or "no answer in time", via=HEALTH_PORT)
    gone = {n.name for n in looked.snapshot.nodes if n.client.connection in _NOBODY_THERE}
    for name, ms in looked.host_ms.items():
        alone = name in looked.on_host
        if ms is None and not alone and name in gone:
            continue  # where nobody listens nobody is late
        raw = "no answer even to a local request" if ms is None else f"a local request took {ms:.1f} ms"
        if ms is None:
            yield signal("host_silent" if alone else "silent_alone", name, raw)
        elif ms > slow_ms:
            yield signal("host_late" if alone else "late_alone", name, raw)
        else:
            yield signal("host_quick" if alone else "quick_alone", name, raw)
    for name, how in looked.lost.items():
        kind = "lossy" if UNTRUSTED not in how else "expired" if "expired" in how else "untrusted"
        yield signal(kind, name, f"{how}, while connections that are held were answered")
    for name, how in looked.silent.items():
        yield signal("deaf" if how == NO_ANSWER else "no_connection", name, how)
    yield from signals_of_waits(looked.waits)


def _wanted(snapshot: ClusterSnapshot, *, thorough: bool) -> int:
    """Return how many looks it takes, by what they show so far."""
    if snapshot.state is ClusterState.HEALTHY:
        return SLOW_LOOKS if any(map(troubled, snapshot.nodes)) else LOOKS if thorough else 1
    return LOOKS


def _slow_ms(hosts: Mapping[str, Sequence[float | None]]) -> float:
    """Return what is late: by the median node, so that one that is ill by itself does not move it."""
    slowest = [max((ms for ms in times if ms is not None), default=0.0) for times in hosts.values()]
    return max(SLOW_MS, SLOW_TIMES * median(slowest)) if slowest else SLOW_MS


def _fastest(times: Sequence[float | None]) -> float | None:
    return min((ms for ms in times if ms is not None), default=None)


def _way_s(snapshot: ClusterSnapshot) -> float:
    """Return how long a question and its answer travel: of those answered in a bounded time the slowest."""
    known = (node.client.latency_ms for node in snapshot.nodes)
    return min(max((ms / 1000 for ms in known if ms is not None), default=0.0), FARTHEST_S)


async def _ask_hosts(
    subject: Subject, snapshot: ClusterSnapshot, hosts: dict[str, list[float | None]]
) -> None:
    """Ask every node that runs for something cheap on its own host, and note what that took."""
    names = [node.name for node in snapshot.nodes if _runs(node)]
    for name, ms in zip(names, await asyncio.gather(*(_host_ms(subject, n) for n in names)), strict=True):
        hosts.setdefault(name, []).append(ms)


def late(probe: Probe, slow_ms: float = SLOW_MS) -> bool:
    """Whether an answer came, and took too long."""
    return probe.latency_ms is not None and probe.latency_ms > slow_ms


def troubled(node: NodeView, slow_ms: float = SLOW_MS) -> bool:
    """Whether a node's answers were late or did not come."""
    return any(late(probe, slow_ms) or probe.latency_ms is None for probe in (node.client, node.itself))


def _runs(node: NodeView) -> bool:
    return node.process.state in {ProcessState.RUNNING, ProcessState.UNKNOWN}


async def _lost(targets: Sequence[ProbeTarget], way_s: float) -> dict[str, str]:
    """Connect again to nodes that answer; return where connections were lost.

    A busy machine loses some to several nodes at once: those are tried again. What most nodes lose is lost on
    our own way to them.
    """
    found = await _lossy(targets, way_s)
    if len(found) > 1:
        again = await _lossy([target for target in targets if target.node in found], way_s)
        found = {node: text for node, text in found.items() if node in again}
    return found if len(found) <= max(1, len(targets) // 2) else {}


async def _lossy(targets: Sequence[ProbeTarget], way_s: float) -> dict[str, str]:
    found = {}
    for target, lost in zip(targets, await _knock(targets, KNOCKS, way_s), strict=True):
        if len(lost) >= LOST:
            found[target.node] = (
                f"{len(lost)} of {KNOCKS} new connections to {target.where} got nothing ({lost[-1]})"
            )
    return found


async def _silent(targets: Sequence[ProbeTarget], way_s: float) -> dict[str, str]:
    """Connect again to nodes that are silent; return how those ended that gave no answer."""
    found = {}
    for target, lost in zip(targets, await _knock(targets, LOST, way_s), strict=True):
        if len(lost) == LOST and {*lost} <= {NO_ANSWER, NO_CONNECTION}:
            found[target.node] = NO_ANSWER if NO_ANSWER in lost else NO_CONNECTION
    return found


async def _knock(targets: Sequence[ProbeTarget], times: int, way_s: float) -> list[list[str]]:
    """Return, for each target, what became of the new connections that were not answered."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def knock(target: ProbeTarget) -> str | None:
        async with turns:
            return await probe_new_connection(target, way_s)

    ended = await asyncio.gather(*(knock(target) for target in targets for _ in range(times)))
    ended = [None if how == DENIED else how for how in ended]  # that is ours
    groups = (ended[n : n + times] for n in range(0, len(ended), times))
    return [[how for how in group if how is not None] for group in groups]


def _on_host(subject: Subject, node: str) -> bool:
    return isinstance(subject, KnowsItsHost) and node in subject.nodes and subject.on_host(node)


async def _host_ms(subject: Subject, node: str) -> float | None:
    began = time.monotonic()
    try:
        if isinstance(subject, AskedCheaply):
            await subject.ask_cheaply(node)
        else:
            await subject.metrics(node, [_CHEAP])
    except (SubjectError, KeyError):  # a node may have left since
        return None
    return (time.monotonic() - began) * 1000


def _merged(before: ClusterSnapshot, now: ClusterSnapshot) -> ClusterSnapshot:
    earlier = {node.name: node for node in before.nodes}
    return replace(now, nodes=tuple(_node(earlier.get(node.name, node), node) for node in now.nodes))


def _node(before: NodeView, now: NodeView) -> NodeView:
    leader = now.details.get(FOLLOWED) or before.details.get(FOLLOWED)
    details = {**now.details, FOLLOWED: leader} if FOLLOWED in now.details else now.details
    return replace(
        now,
        client=_quicker(before.client, now.client),
        itself=_quicker(before.itself, now.itself),
        details=details,
    )


def _quicker(before: Probe, now: Probe) -> Probe:
    if now.latency_ms is None or before.latency_ms is None:
        return now
    return replace(now, latency_ms=min(before.latency_ms, now.latency_ms))
