"""Waiting for what must come, however slow the machine is. Bounds end what hangs and assert no speed."""

import asyncio
import time
from collections.abc import Callable

from subjects.base import Cluster, ClusterSnapshot, ClusterState


async def until(holds: Callable[[], object], timeout_s: float = 60.0, what: str = "") -> None:
    """Look often until it holds."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, what or "it did not come true in time"
        await asyncio.sleep(0.01)


async def healthy(cluster: Cluster, timeout_s: float = 200.0) -> ClusterSnapshot:
    """Look at the cluster until it is healthy by every view; returns that look."""
    deadline = time.monotonic() + timeout_s
    while (snapshot := await cluster.subject.observe()).state is not ClusterState.HEALTHY:
        assert time.monotonic() < deadline, snapshot.problems
        await asyncio.sleep(0.15)
    return snapshot
