"""`python -m tests.field.again [--kills 50] [--seed 1] [--endpoints]`: one member, killed again and again.

A program of its own kills a member with SIGKILL at random moments, most of them while the incident before
still settles, and starts it again. operator watches from its own process: a cluster of its own by the
kernel, or with --endpoints one of plain members by its connections. Beside it a bare pidfd is polled in
this process. Prints JSON: how many deaths were detected, and both medians from the kill on.
"""

import argparse
import asyncio
import json
import os
import random
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypedDict

from subjects.clusters import open_cluster
from tests.field.members import Members
from tests.field.watching import Line, Watch
from tests.standins.embedded import ETCD, bring_up, pid_of, process_runtime, take_down
from tests.waiting import healthy

WITHIN_S = 10.0
LONGEST_S = 6.0
"""A member lives for a random time up to this between its return and its next death."""


@dataclass(frozen=True)
class Target:
    """One member that can be killed and started again."""

    name: str
    pid: Callable[[], int]
    start: Callable[[], None]


class Row(TypedDict):
    """One death, as it is printed: when it was seen, from the kill on."""

    lived_s: float
    pidfd_ms: float
    operator_ms: float | None
    first_ms: float | None
    made_ms: float | None


def main(arguments: list[str]) -> int:
    """Kill, wait for the detection, start, and again; 1 if a death was not detected."""
    parser = argparse.ArgumentParser(prog="python -m tests.field.again")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--endpoints", action="store_true")
    given = parser.parse_args(arguments)
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="again-") as folder:
        opened = _attached(Path(folder)) if given.endpoints else _own(Path(folder))
        with opened as (target, watch):
            rows = [_kill(target, watch, chance) for _ in range(given.kills)]
    found = [row["operator_ms"] for row in rows if row["operator_ms"] is not None]
    bare = median(row["pidfd_ms"] for row in rows)
    print(
        json.dumps(
            {
                "watched": "endpoints" if given.endpoints else "process",
                "kills": given.kills,
                "seed": given.seed,
                "detected": len(found),
                "operator_median_ms": round(median(found), 3) if found else None,
                "operator_worst_ms": round(max(found), 3) if found else None,
                "pidfd_median_ms": round(bare, 3),
                "rows": rows,
            }
        )
    )
    return 0 if len(found) == given.kills else 1


def _kill(target: Target, watch: Watch, chance: random.Random) -> Row:
    lived_s = chance.uniform(0.0, LONGEST_S)
    time.sleep(lived_s)
    pid = target.pid()
    descriptor = os.pidfd_open(pid)
    ended: list[float] = []

    def wait() -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(5000)
        ended.append(time.monotonic())

    bare = threading.Thread(target=wait)
    bare.start()
    at, wall = time.monotonic(), time.time()
    os.kill(pid, signal.SIGKILL)
    bare.join()
    os.close(descriptor)

    def told(line: Line) -> bool:
        return line["type"] == "detection" and target.name in line["nodes"]

    watch.until(told, WITHIN_S, at)
    seen, line = next(((w - at, line) for w, line in watch.lines if w >= at and told(line)), (None, {}))
    target.start()
    row: Row = {
        "lived_s": round(lived_s, 2),
        "pidfd_ms": round((ended[0] - at) * 1000, 3),
        "operator_ms": None if seen is None else round(seen * 1000, 3),
        "first_ms": min((_ms(each["wall"] - wall) for each in line.get("signals", ())), default=None),
        "made_ms": _ms(line["wall"] - wall) if line else None,
    }
    sys.stderr.write(f"{json.dumps(row)}\n")
    return row


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


@contextmanager
def _own(folder: Path) -> Iterator[tuple[Target, Watch]]:
    state = bring_up(folder)
    name = "etcd-2"

    async def start() -> None:
        cluster = await open_cluster(state, ETCD)
        try:
            await process_runtime(cluster).start(name)
            await healthy(cluster)
        finally:
            await cluster.aclose()

    async def pid() -> int:
        cluster = await open_cluster(state, ETCD)
        try:
            return pid_of(cluster, name)
        finally:
            await cluster.aclose()

    try:
        with Watch("", folder) as watch:
            yield Target(name, lambda: asyncio.run(pid()), lambda: asyncio.run(start())), watch
    finally:
        take_down(state)


@contextmanager
def _attached(folder: Path) -> Iterator[tuple[Target, Watch]]:
    with Members(folder / "c", 3) as etcd, Watch(etcd.endpoints, folder) as watch:
        n = etcd.follower()

        def start() -> None:
            process = etcd[n].process
            assert process is not None
            process.wait()
            etcd[n].start()
            etcd.wait(lambda: etcd.healthy(n), "it is back")

        def pid() -> int:
            process = etcd[n].process
            assert process is not None
            return process.pid

        yield Target(etcd[n].name, pid, start), watch


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
