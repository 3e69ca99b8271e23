"""The real `operator demo chaos`, killed with SIGKILL at a point of its own output, and what is left then."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from subjects.base import ClusterSnapshot, ClusterState
from subjects.clusters import open_cluster
from subjects.state import StateFolder
from tests.e2e.programs import DEMO, OPERATOR
from tests.standins.embedded import ETCD, processes_of
from tools.faults.journal import Journal
from tools.faults.steps import State

Point = Callable[[dict[str, Any]], bool]
HEALED_S = 2.0
OUTPUT_S = 240.0
HEALTHY_S = 120.0
GONE_S = 120.0
"""Bounds end what hangs; what was promised is HEALED_S, and the benchmark's business."""
LOOK_S = 0.1


def tool(kind: str, *names: str) -> Point:
    """When a tool is called, or when its result is there."""
    return lambda line: line["type"] == kind and line.get("tool") in names


def text(kind: str, begins: str) -> Point:
    """When a line of that type begins so."""
    return lambda line: line["type"] == kind and str(line.get("text", "")).startswith(begins)


INJECTS = ("store_kill", "fault_inject")
HEALS = ("store_restart", "fault_heal")
IN_FORCE = tool("tool_result", *INJECTS)
POINTS: dict[str, Point] = {
    "the cluster is looked at": tool("tool_call", "cluster_status"),
    "the load is started": tool("tool_call", "load_start"),
    "the baseline is measured": text("progress", "Measuring the baseline"),
    "the fault is asked for": tool("tool_call", *INJECTS),
    "the prediction is told": text("notice", "Prediction"),
    "the first signal came": lambda line: line["type"] == "signal",
    "the fault is in force": IN_FORCE,
    "it is diagnosed": tool("tool_call", "diagnose"),
    "it is being healed": tool("tool_call", *HEALS),
    "it is watched to stay healthy": text("progress", "Healed"),
}


@dataclass(frozen=True, slots=True)
class Left:
    """What was found after the kill."""

    healthy_s: float
    """Until the cluster was healthy by every view."""
    gone_s: float
    """Until nothing of operator was left but the cluster."""
    open_faults: int
    states: tuple[str, ...]
    """How the journal closed what this run injected."""

    @property
    def healed(self) -> bool:
        """Whether every fault was healed; that nothing of operator stayed, `kill_at` holds itself."""
        return self.open_faults == 0 and set(self.states) <= {State.HEALED}

    @property
    def ok(self) -> bool:
        """Whether it is as was promised, in time too."""
        return self.healed and self.healthy_s < HEALED_S


async def kill_at(state: StateFolder, point: Point, fault: str = "kill", after_s: float = 0.0) -> Left:
    """Run the demo on a cluster that is up, kill it `after_s` after the point, and see what is left."""
    before = _last_fault(state)
    demo = await _start(state, fault)
    assert demo.stdout is not None
    async with asyncio.timeout(OUTPUT_S):
        while raw := await demo.stdout.readline():
            if point(json.loads(raw)):
                break
        else:
            raise AssertionError(f"the demo ended before that point, with {await demo.wait()}")
        await asyncio.sleep(after_s)
    demo.kill()
    at = time.monotonic()
    healthy_s, gone_s = await asyncio.gather(_healthy(state, at), _gone(state, at))
    await demo.wait()
    journal = Journal(state.database)
    faults = [journal.get(number) for number in range(before + 1, _last_fault(state) + 1)]
    left = Left(
        round(healthy_s, 3),
        round(gone_s, 3),
        len(journal.open_faults()),
        tuple(str(each.state) for each in faults if each is not None),
    )
    journal.close()
    return left


async def _start(state: StateFolder, fault: str) -> asyncio.subprocess.Process:
    options = ["--allow-quorum-loss"] if fault == "quorum_loss" else []
    return await asyncio.create_subprocess_exec(
        *(*OPERATOR, *DEMO, "--fault", fault, "--output", "stream-json", *options),
        env={**os.environ, "OPERATOR_STATE_DIR": str(state.root)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 22,
    )


async def _healthy(state: StateFolder, at: float) -> float:
    """Return the seconds until a look found all well.

    One begins every LOOK_S: without a leader a look waits for its answer so long that the next would be late.
    """
    cluster = await open_cluster(state, ETCD)
    looks: set[asyncio.Task[ClusterSnapshot]] = set()
    try:
        while time.monotonic() - at < HEALTHY_S:
            looks.add(asyncio.ensure_future(cluster.subject.observe()))
            until = time.monotonic() + LOOK_S
            while looks and (left_s := until - time.monotonic()) > 0:
                done, looks = await asyncio.wait(looks, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if any(look.result().state is ClusterState.HEALTHY for look in done):
                    return time.monotonic() - at
            await asyncio.sleep(max(0.0, until - time.monotonic()))
        raise AssertionError(f"not healthy within {HEALTHY_S:g} s")
    finally:
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        await cluster.aclose()


async def _gone(state: StateFolder, at: float) -> float:
    """Wait until only the cluster's own processes name the state folder, and no load generator runs."""
    while leftovers := [line for line in processes_of(state.root).values() if not _is_cluster(state, line)]:
        assert time.monotonic() - at < GONE_S, leftovers
        await asyncio.sleep(0.02)
    return time.monotonic() - at


def _is_cluster(state: StateFolder, line: str) -> bool:
    return str(state.clusters) in line


def _last_fault(state: StateFolder) -> int:
    journal = Journal(state.database)
    last = journal.latest()
    journal.close()
    return last.id if last else 0
