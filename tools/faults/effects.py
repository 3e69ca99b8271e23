"""Seeing that a fault took effect, by something other than what injected it.

The injector's word is never enough: each check asks the database, or a fresh connection of our own, or the
kernel about the state that resulted.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from subjects.base import Cluster, ClusterSnapshot, Connection, Health, Limits, NodeView, ProcessState, Scope
from tools.faults.steps import Limit, Network, Restart, Step

EFFECT_TIMEOUT_S = 8.0
"""etcd takes up to 2 s to miss its leader, and its own health answer up to 7 s to give up (facts)."""
_LOOK_S = 0.05
_TRIES = 12
"""Fresh connections made to see a share of them lost: a loss of one half escapes 1 time in 4,096."""
_GREETINGS = 3

Check = Callable[[Cluster, ClusterSnapshot, Step], Awaitable[str | None]]
"""Returns what was seen of the effect, or None when nothing was seen yet."""


async def wait_for_effect(
    cluster: Cluster, before: ClusterSnapshot, check: Check, steps: Sequence[Step]
) -> str | None:
    """Return what was seen of every step's effect; None when one was not seen within EFFECT_TIMEOUT_S."""
    if not steps:
        return "nothing was to be seen"
    deadline = time.monotonic() + EFFECT_TIMEOUT_S
    seen: dict[int, str] = {}
    while len(seen) < len(steps):
        for number, step in enumerate(steps):
            found = None if number in seen else await check(cluster, before, step)
            if found is not None:
                seen[number] = found
        if len(seen) < len(steps):
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(_LOOK_S)
    return "; ".join(seen.values())


async def gone(cluster: Cluster, _before: ClusterSnapshot, step: Step) -> str | None:
    """The kernel or engine says that it ended, and clients no longer reach it."""
    view = await cluster.nodes.inspect(step.node)
    if view.state is not ProcessState.EXITED:
        return None
    probe = await cluster.subject.probe(step.node, 0.5)
    if probe.health is Health.HEALTHY:
        return None
    return f"{step.node}: {view.raw}; its client port: {probe.connection}"


async def silent(cluster: Cluster, _before: ClusterSnapshot, step: Step) -> str | None:
    """The node or its clients get no answer, or it says itself that it is not healthy."""
    node = (await cluster.subject.observe()).node(step.node)
    if node.client.connection is not Connection.ACCEPTED:
        return f"{step.node}: clients get no answer ({node.client.connection})"
    if node.itself.health is not Health.HEALTHY:
        return f"{step.node}: it does not say that it is healthy ({node.itself.connection})"
    return None


async def slow(cluster: Cluster, before: ClusterSnapshot, step: Step) -> str | None:
    """Answers take longer than the fault's delay, or twenty times what they took before."""
    rule = step.rule if isinstance(step, Network) else None
    node = (await cluster.subject.observe()).node(step.node)
    if rule is None or rule.effect == "rate":
        return await _throttled(cluster, before, node, rule.value if rule else 0.0)
    for probe, was in (
        (node.client, before.node(step.node).client),
        (node.itself, before.node(step.node).itself),
    ):
        if probe.latency_ms is None and probe.connection is Connection.SILENT:
            return f"{step.node}: no answer in time"
        if probe.latency_ms is not None and probe.latency_ms >= 0.9 * rule.value:
            return f"{step.node}: answers take {probe.latency_ms:.0f} ms, {was.latency_ms or 0:.0f} ms before"
    return None


async def _throttled(
    cluster: Cluster, before: ClusterSnapshot, node: NodeView, bytes_per_s: float
) -> str | None:
    """A body of the node's own comes no faster than the rate."""
    if not _speaks_http(node):
        return await _greeted_slowly(cluster, before, node.name)
    began = time.monotonic()
    body = await _fetch(node, "/metrics", 1.0)
    took_s = time.monotonic() - began
    if body is not None and len(body) > 2 * bytes_per_s * took_s + 2048:
        return None
    if (
        body is None
        and node.client.connection is Connection.ACCEPTED
        and node.itself.health is Health.HEALTHY
    ):
        return f"{node.name}: a fresh connection got no answer within {took_s:.1f} s"
    return f"{node.name}: {len(body or b'')} bytes came in {took_s:.1f} s"


async def _greeted_slowly(cluster: Cluster, before: ClusterSnapshot, node: str) -> str | None:
    """Even the quickest of some greetings takes far longer than the one before the fault did."""
    probes = [await cluster.subject.probe(node, 1.0) for _ in range(_GREETINGS)]
    quickest = min((probe.latency_ms for probe in probes if probe.latency_ms is not None), default=None)
    was = before.node(node).client.latency_ms
    if quickest is None:
        return f"{node}: none of {_GREETINGS} greetings was answered within 1 s"
    if was is None or quickest < 3 * was:
        return None
    return f"{node}: the quickest of {_GREETINGS} greetings took {quickest:.1f} ms, {was:.1f} ms before"


async def lossy(cluster: Cluster, before: ClusterSnapshot, step: Step) -> str | None:
    """Of fresh connections some get no answer; where only peers are hit, the node itself is not healthy."""
    if isinstance(step, Network) and step.rule.scope is Scope.PEERS:
        return await silent(cluster, before, step)
    node = before.node(step.node)
    answers = await asyncio.gather(*(_answered(cluster, node) for _ in range(_TRIES)))
    lost = answers.count(False)
    return f"{step.node}: {lost} of {_TRIES} fresh connections got no answer" if lost else None


async def limited(cluster: Cluster, _before: ClusterSnapshot, step: Step) -> str | None:
    """The kernel or engine says that the limit is in force, or the node has ended of it."""
    view = await cluster.nodes.inspect(step.node)
    if view.state is ProcessState.EXITED:
        return f"{step.node}: {view.raw}"
    if not isinstance(step, Limit):
        return None
    now = (await cluster.require(Limits).limits(step.node)).get(step.name)
    return (
        f"{step.node}: its {step.name} is {now:g}" if now is not None and now <= step.value + 0.01 else None
    )


async def restarted(cluster: Cluster, _before: ClusterSnapshot, step: Step) -> str | None:
    """The node runs as another process than before."""
    view = await cluster.nodes.inspect(step.node)
    if not isinstance(step, Restart) or view.identity is None or view.identity == step.identity:
        return None
    return f"{step.node}: {view.raw}"


async def nothing(_cluster: Cluster, _before: ClusterSnapshot, _step: Step) -> str | None:
    """For faults that have no step."""
    return "nothing was to be seen"


def _speaks_http(node: NodeView) -> bool:
    """Whether the port that clients use does; a store of TiKV speaks gRPC there."""
    return "://" in node.address


async def _answered(cluster: Cluster, node: NodeView) -> bool:
    """Whether a fresh connection to the node's client port gets an answer."""
    if _speaks_http(node):
        return bool(await _fetch(node, "/", 0.5))
    return (await cluster.subject.probe(node.name, 0.5)).connection is Connection.ACCEPTED


async def _fetch(node: NodeView, path: str, timeout_s: float) -> bytes | None:
    """Return what a fresh connection to the node's client port gets within `timeout_s`; None for nothing."""
    address = urlsplit(node.address)
    got = b""
    writer: asyncio.StreamWriter | None = None
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {address.netloc}\r\n\r\n".encode())
            while piece := await reader.read(65536):
                got += piece
    if writer is not None:
        writer.transport.abort()
    return got or None
