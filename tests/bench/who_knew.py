"""Who knew when: one failure a cluster, and the seconds until each kind of watcher has paged somebody.

For each of kill, pause, partition and disk_full a three-member etcd of its own is brought up; `operator
watch` stands beside it, a real Prometheus (scraping etcd and operator each 15 s, Debian's default) evaluates
etcd's usual rules and ours, and a real Alertmanager (group_wait 1 s) routes all alerts to a pager here. JSON
on standard output. `--hold S` is how long the failure lasts (default 240; etcdMembersDown needs 1,300).

Kill and pause are made with plain signals from here; the other two by `operator fault inject`, of which the
watch, a process of its own, is told nothing. One key a second is written to each cluster.
"""

import argparse
import asyncio
import itertools
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.bench.alerting import (
    ROOT,
    alertmanager,
    free_port,
    operator,
    prometheus,
    require_programs,
    run,
    victim,
)
from tests.bench.machine import describe
from tests.standins.embedded import put
from tests.standins.standin_http import serve

FAULTS = ("kill", "pause", "partition", "disk_full")
USUAL_RULES = {
    "groups": [
        {
            "name": "etcd",
            "rules": [
                {"alert": name, "expr": expr, "for": held}
                for name, expr, held in (
                    # Conditions and durations as etcd's own mixin has them (contrib/mixin, etcd 3.5).
                    ("etcdMembersDown", 'max by (cluster) (up{job="etcd"} == bool 0) > 0', "20m"),
                    (
                        "etcdInsufficientMembers",
                        'sum by (cluster) (up{job="etcd"}) < (count by (cluster) (up{job="etcd"}) + 1) / 2',
                        "3m",
                    ),
                    ("etcdNoLeader", "max by (cluster) (etcd_server_has_leader) == 0", "1m"),
                )
            ],
        }
    ]
}


@dataclass
class Trial:
    """One cluster, its failure, and who reported it."""

    fault: str
    state: Path
    injected: float = 0.0
    """Monotonic."""
    knew: dict[str, float] = field(default_factory=dict)
    """Who → seconds after the injection."""

    def report(self, who: str) -> None:
        if self.injected:
            self.knew.setdefault(who, round(time.monotonic() - self.injected, 3))


@asynccontextmanager
async def beside(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=-1, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT, limit=1 << 22
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def follow(trial: Trial, process: asyncio.subprocess.Process) -> None:
    """Note when operator itself printed a detection and a diagnosis."""
    assert process.stdout is not None
    async for line in process.stdout:
        kind = json.loads(line).get("type")
        if kind in {"detection", "diagnosis"}:
            trial.report(f"operator: {kind}")


async def break_it(trial: Trial, hold_s: float) -> None:
    """Make the failure and hold it; it is undone by `deploy down` or by its own --for."""
    if trial.fault in {"kill", "pause"}:
        trial.injected = time.monotonic()
        victim(trial.state, "etcd-2").send_signal(signal.SIGKILL if trial.fault == "kill" else signal.SIGSTOP)
        await asyncio.sleep(hold_s)
        if trial.fault == "pause":
            victim(trial.state, "etcd-2").send_signal(signal.SIGCONT)
        return
    command = operator(trial.state, "fault", "inject", trial.fault, "etcd-2", "--for", f"{hold_s:.0f}s")
    async with beside(*command) as injecting:
        assert injecting.stdout is not None
        async for line in injecting.stdout:
            if json.loads(line).get("text", "").startswith("Prediction:"):  # told just before the act
                trial.injected = time.monotonic()


async def write(members: list[str]) -> None:
    """Put a key a second, through each member in turn: a full disk shows once something is written."""
    for member in itertools.cycle(members):
        await put(int(member.rpartition(":")[2]), "a", "b", timeout_s=1.0)
        await asyncio.sleep(1.0)


async def measure(hold_s: float, faults: tuple[str, ...], folder: Path) -> list[Trial]:
    trials = [Trial(fault, folder / fault) for fault in faults]
    by_cluster: dict[str, Trial] = {trial.fault: trial for trial in trials}

    async def page(method: str, path: str, body: bytes) -> tuple[int, str]:
        for alert in json.loads(body)["alerts"]:
            trial = by_cluster.get(alert["labels"].get("cluster", ""))
            if alert["status"] == "firing" and trial is not None:
                sender = "operator's alert" if alert["labels"].get("source") else "Prometheus rule"
                trial.report(f"{sender}: {alert['labels']['alertname']}")
        return 200, "{}"

    async with AsyncExitStack() as stack:
        pager = await serve(page, "127.0.0.1", 0)
        stack.callback(pager.close)
        scrapes = []
        am = free_port()
        rules = [folder / "usual.yaml", ROOT / "packaging" / "prometheus-rules.yaml"]
        rules[0].write_text(yaml.safe_dump(USUAL_RULES))
        for trial in trials:
            await run(*operator(trial.state, "deploy", "up", "--subject", "etcd", "--runtime", "process"))
            stack.push_async_callback(run, *operator(trial.state, "deploy", "down"))
            status = await run(*operator(trial.state, "deploy", "status"))
            etcd = [node["address"].split("//")[-1] for node in status["nodes"]]
            port = free_port()
            watch = operator(
                trial.state, "watch", "--name", trial.fault, "--metrics-listen", f"127.0.0.1:{port}"
            )
            watching = await stack.enter_async_context(
                beside(*watch, "--alertmanager", f"http://127.0.0.1:{am}")
            )
            following = asyncio.create_task(follow(trial, watching))
            writing = asyncio.create_task(write(etcd))
            stack.callback(following.cancel)
            stack.callback(writing.cancel)
            scrapes += [("etcd", trial.fault, etcd), ("operator", trial.fault, [f"127.0.0.1:{port}"])]
        await stack.enter_async_context(beside(*alertmanager(folder, am, pager.sockets[0].getsockname()[1])))
        await stack.enter_async_context(beside(*prometheus(folder, free_port(), am, scrapes, rules)))
        await asyncio.sleep(35.0)  # two scrapes of everything that is well
        await asyncio.gather(*(break_it(trial, hold_s) for trial in trials))
        await asyncio.sleep(5.0)
    return trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hold", type=float, default=240.0)
    parser.add_argument("--faults", default=",".join(FAULTS))
    given = parser.parse_args()
    require_programs()
    os.environ["OPERATOR_CONFIG"] = os.devnull
    with tempfile.TemporaryDirectory() as folder:
        trials = asyncio.run(measure(given.hold, tuple(given.faults.split(",")), Path(folder)))
    found = {trial.fault: dict(sorted(trial.knew.items(), key=lambda each: each[1])) for trial in trials}
    print(
        json.dumps(
            {"machine": describe(), "hold_s": given.hold, "seconds_after_the_failure": found}, indent=1
        )
    )


if __name__ == "__main__":
    main()
