"""Looking more than once: what lasts is told from what passes.

On a busy machine one answer in a thousand is late, and for a moment after any trouble nobody follows a
leader. Only what every look shows counts.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from subjects.base import ClusterState, NodeView, Picture, Probe, ProcessState, Subject
from subjects.errors import SubjectError
from tools.detection.fresh import LOST, ask_anew
from tools.detection.lines import lines_of

LOOKS = 3
"""How often a cluster is looked at that is not well."""
PAUSE_S = 0.2
"""Between two looks: twice etcd's heartbeat interval."""
SLOW_MS = 150.0
"""A probe in one network takes single milliseconds. Three looks in a row at 112 ms were measured of a healthy
member on two cores with thirteen processes waiting for them; a delay that disturbs etcd is of the order of
its election timeout, 1000 ms."""
KNOCKS = 8
"""New connections made to each node: of a way in that loses half, fewer than two are lost 1 time in 28."""
_CHEAP = "process_start_time_seconds"
"""A metric that every Go and Rust client library for Prometheus has."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Several looks as one."""

    picture: Picture
    """The last look, with each node's fastest answers and its own leader if any look found one."""
    host_ms: Mapping[str, float | None] = field(default_factory=dict)
    """Of nodes that run and were late or silent: how fast each answers on its own host for what it knows
    alone; None for no answer."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Of nodes that answer who is connected to them: how many new connections got nothing, if any did."""


async def steady_look(subject: Subject) -> Looked:
    """Look once at a cluster that is well, several times at one that is not."""
    picture = await subject.observe()
    for _ in range(LOOKS - 1):
        if picture.state is ClusterState.HEALTHY and not any(map(troubled, picture.nodes)):
            break
        await asyncio.sleep(PAUSE_S)
        picture = _merged(picture, await subject.observe())
    suspects = [node.name for node in picture.nodes if troubled(node) and _runs(node)]
    times = await asyncio.gather(*(_host_ms(subject, name) for name in suspects))
    let_in = [node.name for node in picture.nodes if not troubled(node) and _runs(node)]
    return Looked(picture, dict(zip(suspects, times, strict=True)), await _lost(subject, let_in))


def late(probe: Probe) -> bool:
    """Whether an answer came, and took too long."""
    return probe.latency_ms is not None and probe.latency_ms > SLOW_MS


def troubled(node: NodeView) -> bool:
    """Whether a node's answers were late or did not come."""
    return any(late(probe) or probe.latency_ms is None for probe in (node.client, node.itself))


def _runs(node: NodeView) -> bool:
    return node.process.state in {ProcessState.RUNNING, ProcessState.UNKNOWN}


async def _lost(subject: Subject, nodes: Sequence[str]) -> dict[str, str]:
    """Knock at doors that are open to those inside; return where not all were let in."""
    lines = {line.node: line for line in lines_of(subject) if line.node in nodes}
    told = await asyncio.gather(*(ask_anew(line) for line in lines.values() for _ in range(KNOCKS)))
    found = {}
    for number, (node, line) in enumerate(lines.items()):
        refused = [how for how in told[number * KNOCKS : (number + 1) * KNOCKS] if how is not None]
        if len(refused) >= LOST:
            found[node] = (
                f"{len(refused)} of {KNOCKS} new connections to {line.where} got nothing ({refused[-1]})"
            )
    return found


async def _host_ms(subject: Subject, node: str) -> float | None:
    began = time.monotonic()
    try:
        await subject.metrics(node, [_CHEAP])
    except SubjectError:
        return None
    return (time.monotonic() - began) * 1000


def _merged(before: Picture, now: Picture) -> Picture:
    earlier = {node.name: node for node in before.nodes}
    return replace(now, nodes=tuple(_node(earlier.get(node.name, node), node) for node in now.nodes))


def _node(before: NodeView, now: NodeView) -> NodeView:
    leader = now.details.get("leader_it_sees") or before.details.get("leader_it_sees")
    details = {**now.details, "leader_it_sees": leader} if "leader_it_sees" in now.details else now.details
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
