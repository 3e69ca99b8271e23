"""The watch as a service, for an hour, with a restart of everything around it and of itself.

A real etcd cluster of three, `operator watch` beside it, a real Prometheus that scrapes it, a real
Alertmanager (group_wait 1 s) and a pager here. Every so often a member is killed with SIGKILL and started
again after HELD_S; five seconds into every second incident Alertmanager, Prometheus, the pager or the watch
itself is ended with SIGTERM and started again. JSON on standard output; exit code 1 when a kill was paged for
not once, or was not told to be over once, or the watch grew. `--minutes N` (default 60, at least 8).
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.bench.alerting import alertmanager, free_port, operator, prometheus, require_programs, run, victim
from tests.bench.machine import describe
from tests.standins import standin_http

HELD_S = 20.0
"""How long a killed member stays away."""
OVER_WITHIN_S = 60.0
"""Ends the wait for the page that it is over."""
GROWN = 1.1
"""The most that the watch's memory in the last quarter may be of that in the second."""


@dataclass
class Program:
    """One of the programs, to be started again with the same words."""

    words: list[str]
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )

    async def end(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    async def restart(self) -> None:
        await self.end()
        await self.start()

    def memory_mb(self) -> float:
        assert self.process is not None
        return round(psutil.Process(self.process.pid).memory_info().rss / 1e6, 1)


@dataclass
class Pager:
    """Who is paged: each page with its time, alert and state."""

    port: int
    pages: list[tuple[float, str, str]] = field(default_factory=list)
    server: asyncio.Server | None = None

    async def start(self) -> None:
        self.server = await standin_http.serve(self._page, "127.0.0.1", self.port)

    async def restart(self) -> None:
        """Be away for ten seconds."""
        assert self.server is not None
        self.server.close()
        await asyncio.sleep(10.0)
        await self.start()

    async def _page(self, method: str, path: str, body: bytes) -> standin_http.Answer:
        for alert in json.loads(body)["alerts"]:
            labels = alert["labels"]
            name = f"{labels['alertname']} {labels.get('node', '')}".rstrip()
            self.pages.append((time.monotonic(), name, alert["status"]))
        return 200, "{}"

    def since(self, at: float) -> Counter[tuple[str, str]]:
        return Counter((name, status) for when, name, status in self.pages if when >= at)


@dataclass
class Kill:
    """One death, and what became of it."""

    node: str
    restarted: str
    paged_s: float | None = None
    over_s: float | None = None
    """From the member's start until it was told to be over."""
    pages: dict[str, int] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        once = self.paged_s is not None and self.over_s is not None
        return once and all(count == 1 for count in self.pages.values())


async def one_kill(
    state: Path, node: str, pager: Pager, restart: tuple[str, Callable[[], Awaitable[None]]] | None
) -> Kill:
    """Kill a member, restart something in the middle if asked, start it again, and wait for the end."""
    made = Kill(node, restart[0] if restart else "")
    wanted = f"OperatorNodeDown {node}"
    began = time.monotonic()
    victim(state, node).send_signal(signal.SIGKILL)
    await asyncio.sleep(5.0)
    if restart is not None:
        await restart[1]()
    await asyncio.sleep(max(0.0, began + HELD_S - time.monotonic()))
    await run(*operator(state, "deploy", "up"))
    back = time.monotonic()
    while not (over := pager.since(began)[wanted, "resolved"]) and time.monotonic() < back + OVER_WITHIN_S:
        await asyncio.sleep(0.1)
    made.over_s = round(time.monotonic() - back, 1) if over else None
    await asyncio.sleep(10.0)  # what comes twice comes by then
    at = [
        when for when, name, status in pager.pages if when >= began and (name, status) == (wanted, "firing")
    ]
    made.paged_s = round(at[0] - began, 2) if at else None
    made.pages = {f"{name} {status}": count for (name, status), count in pager.since(began).items()}
    return made


async def soak(minutes: float, folder: Path) -> dict[str, Any]:
    state = folder / "state"
    ports = {name: free_port() for name in ("alertmanager", "prometheus", "pager", "metrics")}
    url = f"http://127.0.0.1:{ports['alertmanager']}"
    metrics = f"127.0.0.1:{ports['metrics']}"
    pager = Pager(ports["pager"])
    programs = {
        "Alertmanager": Program(alertmanager(folder, ports["alertmanager"], ports["pager"])),
        "Prometheus": Program(
            prometheus(folder, ports["prometheus"], ports["alertmanager"], [("operator", "soak", [metrics])])
        ),
        "the watch": Program(
            operator(state, "watch", "--name", "soak", "--metrics-listen", metrics, "--alertmanager", url)
        ),
    }
    again = [(name, program.restart) for name, program in programs.items()] + [("the pager", pager.restart)]
    await run(*operator(state, "deploy", "up", "--subject", "etcd", "--runtime", "process"))
    kills: list[Kill] = []
    memory: list[float] = []
    try:
        await pager.start()
        for program in programs.values():
            await program.start()
        await asyncio.sleep(20.0)
        began, end = time.monotonic(), time.monotonic() + minutes * 60
        each_s = max(60.0, minutes * 60 / 32)
        while time.monotonic() < end:
            n = len(kills)
            # Every second kill has one of the four restarted in its middle.
            restart = again[n // 2 % len(again)] if n % 2 else None
            next_at = began + (n + 1) * each_s
            kills.append(await one_kill(state, f"etcd-{n % 3 + 1}", pager, restart))
            print(json.dumps(vars(kills[-1])), file=sys.stderr, flush=True)
            memory.append(programs["the watch"].memory_mb())
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
        scraped = await asked(ports["prometheus"], 'sum_over_time(up{job="operator"}[2h])')
    finally:
        for program in programs.values():
            await program.end()
        await run(*operator(state, "deploy", "down"))
    quarter = max(1, len(memory) // 4)
    grown = statistics.median(memory[-quarter:]) / statistics.median(memory[quarter : 2 * quarter])
    return {
        "minutes": minutes,
        "kills": len(kills),
        "restarts": dict(Counter(each.restarted for each in kills if each.restarted)),
        "wrong": [vars(each) for each in kills if not each.is_right],
        "seconds_to_page": spread([each.paged_s for each in kills]),
        "seconds_until_over": spread([each.over_s for each in kills]),
        "memory_mb": {"first": memory[0], "median": statistics.median(memory), "last": memory[-1]},
        "grown": round(grown, 3),
        "database_kb": sum(each.stat().st_size for each in state.glob("*.db*")) // 1000,
        "scrapes": scraped,
    }


async def asked(port: int, query: str) -> float:
    """Return the value of a query of one series."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query})
    return float(answer.json()["data"]["result"][0]["value"][1])


def spread(given: list[float | None]) -> dict[str, float]:
    found = sorted(each for each in given if each is not None)
    return {"median": statistics.median(found), "most": found[-1]} if found else {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    given = parser.parse_args()
    require_programs()
    os.environ["OPERATOR_CONFIG"] = os.devnull
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(soak(given.minutes, Path(folder)))
    print(json.dumps({"machine": describe(), **found}, indent=1))
    return 1 if found["wrong"] or found["grown"] > GROWN else 0


if __name__ == "__main__":
    sys.exit(main())
