"""`make soak`: does the detector cry wolf? JSON on standard output; exit code 1 if it did.

Load for most of the time, every core burning for a part, then planned restarts, leader moves, and the load
stopped and started. `--minutes N` (default 41: 30 under load, 10 burning); CI runs 2. `--burning N`: only so
many minutes with every core burning.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

from subjects.base import Lifecycle
from tests.bench.machine import describe
from tests.bench.watched import Watched, watched

LOAD_SHARE, BURN_SHARE = 30 / 41, 10 / 41
RATE = 300.0


@dataclass
class Soak:
    """What went on, and what was detected meanwhile."""

    workbench: Watched
    phases: list[dict[str, Any]] = field(default_factory=list)

    async def phase(self, name: str, work: Any, **more: Any) -> None:
        """Do `work`, and count the detections that were made while it went on."""
        began, signals = time.monotonic(), len(self.workbench.monitor.signals)
        await work
        made = [d for d in self.workbench.monitor.detections if d.at >= began]
        self.phases.append(
            {
                "phase": name,
                "seconds": round(time.monotonic() - began, 1),
                **more,
                "signals": len(self.workbench.monitor.signals) - signals,
                "false_alarms": len(made),
                "texts": [f"{d.text}: {'; '.join(s.raw for s in d.signals)[:400]}" for d in made],
            }
        )
        print(json.dumps(self.phases[-1]), file=sys.stderr, flush=True)


async def burn(seconds: float) -> None:
    """Keep every core busy."""
    context = multiprocessing.get_context("spawn")
    burners = [context.Process(target=_spin, args=(seconds,)) for _ in range(os.cpu_count() or 1)]
    for burner in burners:
        burner.start()
    try:
        await asyncio.sleep(seconds)
    finally:
        for burner in burners:
            burner.kill()
            await asyncio.to_thread(burner.join)


def _spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(10_000))


async def restarts(workbench: Watched, count: int) -> None:
    """Restart members on request, the leader's turn among them."""
    nodes = workbench.cluster.subject.nodes
    for n in range(count):
        node = nodes[n % len(nodes)]
        with workbench.monitor.maintenance([node], "soak: restart"):
            await workbench.cluster.require(Lifecycle).stop(node, 10)
            await workbench.cluster.require(Lifecycle).start(node)
            await workbench.healthy()
        await asyncio.sleep(1.0)


async def leader_moves(workbench: Watched, count: int) -> None:
    """Have the leader hand over, half a minute apart from each other where there is time for it."""
    async with httpx2.AsyncClient(trust_env=False, timeout=5) as http:
        for _ in range(count):
            snapshot = await workbench.cluster.subject.observe()
            assert snapshot.leader is not None
            leader = snapshot.node(snapshot.leader)
            other = next(node for node in snapshot.nodes if node.name != leader.name)
            with workbench.monitor.maintenance([leader.name], "soak: leader move"):
                response = await http.post(
                    f"{leader.address}/v3/maintenance/transfer-leadership",
                    json={"targetID": str(int(other.member_id or "0", 16))},
                )
            response.raise_for_status()
            await asyncio.sleep(2.0)


async def load_stops(workbench: Watched, count: int) -> None:
    """Take the load off and put it on again."""
    for _ in range(count):
        await workbench.stop_load()
        await asyncio.sleep(2.0)
        await workbench.start_load(RATE)
        await asyncio.sleep(2.0)


async def everything(soak: Soak, minutes: float, acts: int) -> None:
    """One phase after the other."""
    await soak.phase("load", asyncio.sleep(minutes * 60 * LOAD_SHARE))
    await soak.phase("every core burning", burn(minutes * 60 * BURN_SHARE))
    await soak.phase("planned restarts", restarts(soak.workbench, acts), count=acts)
    await soak.phase("leader moves", leader_moves(soak.workbench, acts), count=acts)
    await soak.phase("load stopped and started", load_stops(soak.workbench, acts), count=acts)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=41.0)
    parser.add_argument("--burning", type=float)
    given = parser.parse_args()
    minutes, acts = given.minutes, 20 if given.minutes >= 10 else 3
    with tempfile.TemporaryDirectory() as folder:
        async with watched(Path(folder), rate=RATE) as workbench:
            soak = Soak(workbench)
            if given.burning is not None:
                await soak.phase("every core burning", burn(given.burning * 60))
            else:
                await everything(soak, minutes, acts)
            memory_mb = round(psutil.Process().memory_info().rss / 1e6, 1)
    alarms = sum(phase["false_alarms"] for phase in soak.phases)
    print(
        json.dumps(
            {
                "machine": describe(),
                "false_alarms": alarms,
                "memory_mb": memory_mb,
                "phases": soak.phases,
            },
            indent=2,
        )
    )
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
