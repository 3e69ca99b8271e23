"""Days of a watch in minutes: memory, state and alerts, on a clock that stands still while there is work.

The whole of `operator watch` (detector, examiner, incident store, pruning, metrics, an Alertmanager and a
webhook) beside nodes with real ports, in one event loop whose time leaps to the next timer once nothing is
left to do. Every half hour a node dies and comes back after a minute; every 15 s the metrics are scraped.
JSON on standard output; exit code 1 when a death was missed or another one was told, when memory
grew from the second quarter to the last, or the state folder holds more than it may. `--hours N` (default 24,
at least 8).
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence, Sized
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from selectors import BaseSelector
from typing import Any, TextIO, TypeVar, TypeVarTuple

import httpx2
import psutil

from agent.view.jsonl import JsonView
from agent.watch.receivers import Addresses
from agent.watch.watching import watch
from subjects.state import open_state
from tests.bench.alerting import free_port
from tests.bench.machine import describe
from tests.standins.scripted_cluster import ScriptedRuntime, ScriptedSubject, scripted_cluster
from tests.standins.standin_http import Answer, serve
from tools.events import Event
from tools.incidents.store import IncidentStore
from tools.observe.signal import Detection

DEATH_EACH_S, AWAY_S, SCRAPE_EACH_S, SAMPLE_EACH_S = 1800.0, 60.0, 15.0, 1800.0
KEPT_S = 4 * 3600.0
"""How long the watch keeps incidents that are over: short of what is measured, so that pruning shows."""
GROWN = 1.1
"""The most that the memory in the last quarter may be of that in the second."""
MOST_KEPT, MOST_STATE_KB = KEPT_S / DEATH_EACH_S + 3, 10_000
"""Incidents at a time (pruned each hour), and what they take: SQLite's log of 4 MB is written over then."""


Given = TypeVarTuple("Given")
Returned = TypeVar("Returned")


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its time leaps to the next timer whenever no callback, no socket and no thread has anything to do."""

    # What asyncio's own loop keeps to itself
    _ready: Sized
    _scheduled: Sequence[asyncio.TimerHandle]
    _selector: BaseSelector

    def __init__(self) -> None:
        super().__init__()
        self.now = time.monotonic()
        self._threads = 0

    def time(self) -> float:
        return self.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Given], Returned], *args: *Given
    ) -> asyncio.Future[Returned]:
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._back)
        return future

    def _back(self, _future: asyncio.Future[Any]) -> None:
        self._threads -= 1

    def _run_once(self) -> None:
        if not self._ready and self._scheduled and not self._threads and not self._selector.select(0):
            self.now = max(self.now, self._scheduled[0].when())
        super()._run_once()  # type: ignore[misc] # asyncio's own


@dataclass
class Day:
    """What happened, and what was seen of it."""

    state: Path
    deaths: int = 0
    alerts: set[str] = field(default_factory=set)
    """Start of each alert that Alertmanager was sent."""
    detections: int = 0
    samples: list[dict[str, float]] = field(default_factory=list)
    scrapes: int = 0

    async def alerted(self, method: str, path: str, body: bytes) -> Answer:
        for alert in json.loads(body) if path == "/api/v2/alerts" else ():
            self.alerts.add(f"{alert['labels']['alertname']} {alert['startsAt']}")
        return 200, "{}"

    async def die(self, subject: ScriptedSubject, runtime: ScriptedRuntime) -> None:
        while True:
            await asyncio.sleep(DEATH_EACH_S - AWAY_S)
            node = subject.nodes[1 + self.deaths % 2]
            self.deaths += 1
            subject.servers[node].die()
            runtime.happens(node, "exit", 137)
            await asyncio.sleep(AWAY_S)
            await subject.servers[node].start()
            runtime.happens(node, "start")

    async def scrape(self, address: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as http:
            while True:
                await asyncio.sleep(SCRAPE_EACH_S)
                self.scrapes += (await http.get(f"http://{address}/metrics")).is_success

    async def sample(self, incidents: IncidentStore) -> None:
        while True:
            await asyncio.sleep(SAMPLE_EACH_S)
            state_kb = sum(each.stat().st_size for each in self.state.rglob("*") if each.is_file()) // 1000
            rss_mb = round(psutil.Process().memory_info().rss / 1e6, 1)
            kept = len(incidents.list(10_000))
            self.samples.append({"rss_mb": rss_mb, "state_kb": state_kb, "incidents": kept})


class Counting(JsonView):
    """Prints as `--output stream-json` does, and counts the detections."""

    def __init__(self, day: Day, stream: TextIO) -> None:
        super().__init__(stream)
        self._day = day

    def show(self, event: Event) -> None:
        self._day.detections += isinstance(event, Detection)
        super().show(event)


async def live(hours: float, folder: Path) -> Day:
    day = Day(folder)
    state = open_state(folder)
    cluster, subject, runtime = await scripted_cluster()
    incidents = IncidentStore(state.database)
    receiver = await serve(day.alerted, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}"
    metrics = f"127.0.0.1:{free_port()}"
    view = Counting(day, await asyncio.to_thread(open, os.devnull, "w"))
    beside = [
        asyncio.create_task(each)
        for each in (day.die(subject, runtime), day.scrape(metrics), day.sample(incidents))
    ]
    try:
        to = Addresses(f"{url}/hook", (url,), metrics, "day")
        await watch(cluster, incidents, view, for_s=hours * 3600, to=to, keep_s=KEPT_S)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        receiver.close()
        incidents.close()
        await cluster.aclose()
    return day


def at_one_pace(loop: LeapingLoop) -> None:
    """Have every clock of the program be the loop's."""
    began, wall = loop.now, time.time()
    time.monotonic = lambda: loop.now
    time.time = lambda: wall + loop.now - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    hours = max(8.0, parser.parse_args().hours)
    machine, began = describe(), time.perf_counter()
    loop = LeapingLoop()
    at_one_pace(loop)
    with tempfile.TemporaryDirectory() as folder:
        day = loop.run_until_complete(live(hours, Path(folder)))
        loop.run_until_complete(loop.shutdown_default_executor())
    quarter = len(day.samples) // 4
    memory = [sample["rss_mb"] for sample in day.samples]
    grown = round(statistics.median(memory[-quarter:]) / statistics.median(memory[quarter : 2 * quarter]), 3)
    most = {what: max(sample[what] for sample in day.samples) for what in day.samples[0]}
    found = {
        "machine": machine,
        "hours": hours,
        "took_s": round(time.perf_counter() - began, 1),
        "deaths": day.deaths,
        "detections": day.detections,
        "alerts": len(day.alerts),
        "scrapes": day.scrapes,
        "memory_grown": grown,
        "most": most,
        "samples": day.samples[:: max(1, len(day.samples) // 12)],
    }
    print(json.dumps(found, indent=1))
    within = grown <= GROWN and most["incidents"] <= MOST_KEPT and most["state_kb"] <= MOST_STATE_KB
    right = day.deaths == day.detections == len(day.alerts) and within
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
