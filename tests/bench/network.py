"""What the network process costs with no fault: `python -m tests.bench.network` prints JSON.

The same requests to one etcd member, in turn through the network process and past it, over kept-alive
connections; then the CPU that the worker takes at 300 operations a second. Goal: under 0.2 ms p50.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from base64 import b64encode
from pathlib import Path

from subjects.base import Cluster
from subjects.clusters import open_cluster
from subjects.runtimes.network import control
from tests.standins.embedded import ETCD, bring_up, client_port, own_port, process_runtime, take_down
from tests.standins.etcd_members import Members

GOAL_MS = 0.2
RATE = 300
LOAD_S = 10.0
WARM_UP = 100
_PUT = json.dumps(
    {"key": b64encode(b"workbench").decode(), "value": b64encode(b"x" * 1000).decode()}
).encode()
REQUESTS = {
    "version": b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n",
    "put_1kb": b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(_PUT), _PUT),
}


class Line:
    """One kept-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Line":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> float:
        """Return the milliseconds until the whole answer was there."""
        began = time.perf_counter()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        await self._reader.readexactly(length)
        return (time.perf_counter() - began) * 1000

    def close(self) -> None:
        self._writer.transport.abort()


async def compare(ports: tuple[int, int], request: bytes, count: int) -> dict[str, float]:
    """Ask in turn at (a port with the network process in between, one without)."""
    lines = [await Line.open(port) for port in ports]
    taken: tuple[list[float], list[float]] = ([], [])
    for n in range(count + WARM_UP):
        for which in (0, 1) if n % 2 else (1, 0):
            took_ms = await lines[which].ask(request)
            if n >= WARM_UP:
                taken[which].append(took_ms)
    for line in lines:
        line.close()
    through, past = taken
    return {
        "through_p50_ms": _quantile(through, 50),
        "direct_p50_ms": _quantile(past, 50),
        "added_p50_ms": round(_quantile(through, 50) - _quantile(past, 50), 4),
        "added_p99_ms": round(_quantile(through, 99) - _quantile(past, 99), 4),
    }


async def all_comparisons(cluster: Cluster, bare: Members, count: int) -> dict[str, dict[str, float]]:
    """Both kinds of request on the client's way alone; puts also against members without any proxy."""
    leader = (await cluster.subject.observe()).leader or "etcd-1"
    ways = client_port(cluster, leader), own_port(cluster, leader)
    bare_port = int(bare.endpoints[bare.leader()].rpartition(":")[2])
    return {
        "version": await compare(ways, REQUESTS["version"], count),
        "put_1kb": await compare(ways, REQUESTS["put_1kb"], count),
        # The members talk to each other through it as well: this is all that a write pays.
        "put_1kb_against_bare_members": await compare((ways[0], bare_port), REQUESTS["put_1kb"], count),
    }


async def cpu_share(cluster: Cluster) -> float:
    """Return the share of a core that the worker takes while RATE requests a second pass it."""
    import psutil

    worker = control.worker(process_runtime(cluster).folder)
    assert worker is not None
    process = psutil.Process(int(worker.id))
    line = await Line.open(client_port(cluster, "etcd-1"))
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    for n in range(int(RATE * LOAD_S)):
        await asyncio.sleep(max(0.0, began + n / RATE - time.monotonic()))
        await line.ask(REQUESTS["put_1kb" if n % 2 else "version"])
    took_s = time.monotonic() - began
    line.close()
    return round((sum(process.cpu_times()[:2]) - before) / took_s, 4)


async def measure(root: Path, count: int) -> dict[str, object]:
    state = await asyncio.to_thread(bring_up, root)
    cluster = await open_cluster(state, ETCD)
    folder = root / "bare"
    folder.mkdir()
    try:
        with Members(folder, 3) as bare:
            figures = await all_comparisons(cluster, bare, count)
        share = await cpu_share(cluster)
    finally:
        await cluster.aclose()
        await asyncio.to_thread(take_down, state)
    return {
        "workbench": "network",
        **figures,
        "worker_cpu_share_at_300_per_s": share,
        "goal_added_p50_ms": GOAL_MS,
        "ok": all(each["added_p50_ms"] < GOAL_MS for each in figures.values()),
    }


def _quantile(values: list[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100)[percent - 1], 4)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=3000, help="requests of each kind, each way")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), options.parse_args().count)), indent=2))


if __name__ == "__main__":
    main()
