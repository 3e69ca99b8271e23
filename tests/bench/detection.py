"""`python -m tests.bench.detection [ROW …]`: the table of docs/performance.md, as JSON on standard output.

kill       a killed local member, under load          p50 <= 15 ms, p99 <= 60 ms
container  a killed container (needs an engine)       p99 <= 120 ms
pause      a stopped member, under load               p99 <= 1.0 s
partition  a member cut off from peers and clients    p99 <= 1.0 s
scale      1,000 stand-in nodes, one dies             p99 <= 1.0 s, <= 35 % of a core, <= 150 MB
cost       watching three members                     <= 2 % of a core

Times run from just before the injecting system call to the detection, both on CLOCK_MONOTONIC.
--trials N (default 50; pause and partition 20)  --rate N (operations/s, default 300)
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil

from subjects.base import Cluster, Kill, Lifecycle, LinkRule, Network, Scope
from subjects.errors import SubjectError
from tests.bench.machine import describe
from tests.bench.watched import Watched, watched
from tests.standins.scripted_cluster import ScriptedRuntime, ScriptedSubject
from tools.detection.monitor import Monitor
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger

COST_S = 30.0
NODES = 1000


async def kill(folder: Path, trials: int, rate: float) -> dict[str, Any]:
    """SIGKILL a random member."""
    return await _kills(folder, trials, rate, "process")


async def container(folder: Path, trials: int, rate: float) -> dict[str, Any]:
    """Kill a random container, of ETCD_IMAGE or else of an image made of the etcd that is installed here."""
    from docker.errors import DockerException

    from tests.standins.images import build

    try:
        if "ETCD_IMAGE" not in os.environ:
            await asyncio.to_thread(build.build_etcd)
            os.environ["ETCD_IMAGE"] = build.ETCD
        return await _kills(folder, trials, rate, "docker")
    except (SubjectError, DockerException) as error:
        return {"measured": False, "why": str(error)}


async def _kills(folder: Path, trials: int, rate: float, runtime: str) -> dict[str, Any]:
    async with watched(folder, rate=rate, runtime=runtime) as workbench:

        async def inject(node: str) -> float:
            identity = (await workbench.cluster.nodes.inspect(node)).identity
            assert identity is not None
            at = time.monotonic()
            await workbench.cluster.require(Kill).kill(node, identity)
            return at

        return await _trials(workbench, trials, inject, workbench.cluster.require(Lifecycle).start)


async def pause(folder: Path, trials: int, rate: float) -> dict[str, Any]:
    """SIGSTOP a random member, as a stranger would."""
    async with watched(folder, rate=rate) as workbench:

        async def pid(node: str) -> int:
            identity = (await workbench.cluster.nodes.inspect(node)).identity
            assert identity is not None
            return int(identity.id)

        async def inject(node: str) -> float:
            target = await pid(node)
            at = time.monotonic()
            os.kill(target, signal.SIGSTOP)
            return at

        async def undo(node: str) -> None:
            os.kill(await pid(node), signal.SIGCONT)

        return await _trials(workbench, min(trials, 20), inject, undo)


async def partition(folder: Path, trials: int, rate: float) -> dict[str, Any]:
    """Cut a random member off from its peers and its clients."""
    async with watched(folder, rate=rate) as workbench:

        async def inject(node: str) -> float:
            at = time.monotonic()
            await workbench.cluster.require(Network).set_network([LinkRule(node, "cut", scope=Scope.BOTH)])
            return at

        async def undo(_node: str) -> None:
            await workbench.cluster.require(Network).set_network([])

        return await _trials(workbench, min(trials, 20), inject, undo)


async def _trials(
    workbench: Watched,
    trials: int,
    inject: Callable[[str], Awaitable[float]],
    undo: Callable[[str], Awaitable[None]],
) -> dict[str, Any]:
    """Inject, wait, undo, recover; the node is drawn, and the moment within a second too."""
    drawn = random.Random(7)
    took: list[float] = []
    right = missed = 0
    for _ in range(trials):
        await asyncio.sleep(drawn.random())
        node = drawn.choice(workbench.cluster.subject.nodes)
        at = await inject(node)
        detection = await workbench.detection(at)
        if detection is None:
            missed += 1
        else:
            took.append(detection.at - at)
            right += node in detection.nodes
        await undo(node)
        await workbench.recovered()
    return {"trials": trials, "missed": missed, "node_right": right, **_spread(took)}


async def scale(folder: Path, trials: int, _rate: float) -> dict[str, Any]:
    """A thousand nodes in a process of their own, of which one after another dies."""
    serving = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.standins.many_nodes",
        str(NODES),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert serving.stdin is not None
    assert serving.stdout is not None
    ports = json.loads(await serving.stdout.readline())
    runtime = ScriptedRuntime()
    names = [f"n{n}" for n in range(NODES)]
    subject = ScriptedSubject(runtime, names)
    subject.servers = cast(
        Any, {name: SimpleNamespace(port=port) for name, port in zip(names, ports, strict=True)}
    )
    store = IncidentStore(folder / "operator.db")
    monitor = Monitor(Cluster("many", subject, runtime), Ledger(keep=5000), store, lambda _event: None)
    await monitor.start()
    await asyncio.sleep(3.0)
    cost = await _cost(monitor, COST_S)
    took, missed = [], 0
    try:
        for n in random.Random(7).sample(range(NODES), min(trials, 50)):
            at = time.monotonic()
            serving.stdin.write(f"kill {n}\n".encode())
            await serving.stdin.drain()
            detection = await monitor.wait(at, 10.0)
            while detection is not None and detection.nodes != (names[n],):
                detection = await monitor.wait(detection.at + 1e-9, 10.0)
            missed += detection is None
            if detection is not None:
                took.append(detection.at - at)
            await serving.stdout.readline()
    finally:
        await monitor.stop()
        serving.kill()
        await serving.wait()
        store.close()
    return {"nodes": NODES, "trials": len(took) + missed, "missed": missed, **_spread(took), **cost}


async def cost(folder: Path, _trials: int, _rate: float) -> dict[str, Any]:
    """The monitor alone, on three members that are well."""
    async with watched(folder) as workbench:
        await asyncio.sleep(3.0)
        return await _cost(workbench.monitor, COST_S)


async def _cost(monitor: Monitor, seconds: float) -> dict[str, Any]:
    """CPU and memory of this process, in which nothing else runs, over a while."""
    before, began = time.process_time(), time.monotonic()
    answered = monitor.answered
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    return {
        "cpu_share_of_one_core": round((time.process_time() - before) / took, 4),
        "memory_mb": round(psutil.Process().memory_info().rss / 1e6, 1),
        "answers_per_s": round((monitor.answered - answered) / took, 1),
        "false_alarms": len(monitor.detections),
    }


def _spread(took: Sequence[float]) -> dict[str, Any]:
    if not took:
        return {"p50_s": None, "p99_s": None, "max_s": None}
    ordered = sorted(took)
    return {
        "p50_s": round(statistics.median(ordered), 5),
        "p99_s": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 5),
        "max_s": round(ordered[-1], 5),
    }


ROWS: dict[str, Callable[[Path, int, float], Awaitable[dict[str, Any]]]] = {
    "kill": kill,
    "container": container,
    "pause": pause,
    "partition": partition,
    "scale": scale,
    "cost": cost,
}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--rate", type=float, default=300.0)
    given = parser.parse_args()
    unknown = set(given.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}: the rows are {', '.join(ROWS)}")
    found: dict[str, Any] = {"machine": describe(), "load_ops_per_s": given.rate}
    for name in given.rows or list(ROWS):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = await ROWS[name](Path(folder), given.trials, given.rate)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
