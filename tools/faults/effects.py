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
from subjects.errors import SubjectError
from tools.faults.steps import Limit, Network, Restart, Step

EFFECT_TIMEOUT_S = 8.0
"""etcd takes up to 2 s to miss its leader, and its own health answer up to 7 s to give up (facts)."""
_LOOK_S = 0.05
_TRIES = 12
"""Fresh connections made to see a share of them lost: a loss of one half escapes 1 time in 4,096."""
_GREETING_S = 0.4
"""How long a greeting may take at the rate that a fault allows."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_UNKNOWN_SETTING, _MOST_SETTINGS = 0xF000, 2700
"""Settings from here on mean nothing, and are ignored by every server; so many fit into one frame."""

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
            if number in seen:
                continue
            with contextlib.suppress(SubjectError, OSError):  # it is looked again
                if (found := await check(cluster, before, step)) is not None:
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
    """Answers take as long as the fault's delay; at a rate, data comes no faster than that."""
    if not isinstance(step, Network):
        return None
    node, earlier = (await cluster.subject.observe()).node(step.node), before.node(step.node)
    if step.rule.effect == "rate":
        return await _throttled(node, step.rule.value)
    for probe, was in ((node.client, earlier.client), (node.itself, earlier.itself)):
        if probe.latency_ms is None and probe.connection is Connection.SILENT:
            return f"{step.node}: no answer in time"
        if probe.latency_ms is not None and probe.latency_ms >= 0.9 * step.rule.value:
            return f"{step.node}: answers take {probe.latency_ms:.0f} ms, {was.latency_ms or 0:.0f} ms before"
    return None


async def _throttled(node: NodeView, bytes_per_s: float) -> str | None:
    """A body of the node's own comes no faster than the rate."""
    if not _speaks_http(node):
        return await _greeted_slowly(node, bytes_per_s)
    began = time.monotonic()
    body = await _fetch(node, "/metrics", 1.0)
    took_s = time.monotonic() - began
    if body is None:
        return f"{node.name}: a fresh connection got no answer within {took_s:.1f} s"
    if len(body) > 2 * bytes_per_s * took_s + 2048:
        return None
    return f"{node.name}: {len(body)} bytes came in {took_s:.1f} s"


async def _greeted_slowly(node: NodeView, bytes_per_s: float) -> str | None:
    """A greeting of HTTP/2, as long as the rate takes 0.4 s for, is acknowledged late."""
    entries = min(_MOST_SETTINGS, max(50, int(_GREETING_S * bytes_per_s / 6)))
    settings = b"".join((_UNKNOWN_SETTING + n).to_bytes(2, "big") + bytes(4) for n in range(entries))
    greeting = _PREFACE + len(settings).to_bytes(3, "big") + b"\x04" + bytes(5) + settings
    host, _, port = node.address.rpartition(":")
    got, began = b"", time.monotonic()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(4 * _GREETING_S):
            reader, writer = await asyncio.open_connection(host, int(port))
            with contextlib.closing(writer):
                writer.write(greeting)
                while not _acknowledges(got) and (piece := await reader.read(65536)):
                    got += piece
    took_s = time.monotonic() - began
    if took_s < min(_GREETING_S, 0.5 * len(settings) / max(bytes_per_s, 1.0)):
        return None
    how = "took" if _acknowledges(got) else "was not acknowledged within"
    return f"{node.name}: a greeting of {len(greeting)} bytes {how} {took_s:.2f} s"


def _acknowledges(frames: bytes) -> bool:
    """Whether the acknowledgement of our settings is among these frames of HTTP/2 (RFC 9113, 6.5)."""
    while len(frames) >= 9:
        if frames[3] == 4 and frames[4] & 1:
            return True
        frames = frames[9 + int.from_bytes(frames[:3], "big") :]
    return False


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
    in_force = now is not None and now <= step.value + 0.01
    return f"{step.node}: its {step.name} is {now:g}" if in_force else None


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
