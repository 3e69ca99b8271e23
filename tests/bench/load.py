"""`python -m tests.bench.load`: what the load generator costs, and what it holds; JSON on standard output.

--seconds S  --rates 300,800  --bare (members without operator's runtime and its proxies)
--subject tikv (stand-ins, or what OPERATOR_PD_SERVER and OPERATOR_TIKV_SERVER name)
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from subjects.base import ClusterState, Deployment, LoadTarget
from subjects.clusters import Decision, open_cluster
from subjects.state import open_state
from tests.bench.machine import describe
from tests.conformance.clusters import CLUSTERS
from tests.standins.etcd_members import Members
from tools.load.process import GeneratorProcess
from tools.load.run import LoadRun
from tools.load.settings import LoadSettings

WARM_WINDOWS = 2


@asynccontextmanager
async def cluster(folder: Path, subject: str, *, bare: bool) -> AsyncIterator[LoadTarget]:
    """Three members or stores, as operator runs them or bare."""
    if bare:
        with Members(folder, 3) as members:
            yield LoadTarget("subjects.etcd.load:EtcdDriver", members.endpoints)
        return
    opened = await open_cluster(open_state(folder / "state"), Decision(subject, "process", "a benchmark"))
    try:
        await opened.require(Deployment).up()
        async with asyncio.timeout(60):
            while (await opened.subject.observe()).state is not ClusterState.HEALTHY:
                await asyncio.sleep(0.1)
        yield opened.subject.load_target()
    finally:
        await opened.require(Deployment).down()
        await opened.aclose()


async def measure(target: LoadTarget, rate: float, seconds: int, folder: Path) -> dict[str, Any]:
    """Run workload A at `rate` and return the generator's CPU share and what was achieved."""
    settings = LoadSettings(rate=rate)
    source = GeneratorProcess(target, settings, folder)
    run = await LoadRun.over(source, settings, lambda window: None)
    try:
        await run.wait_windows(WARM_WINDOWS, timeout_s=30)
        assert source.pid is not None
        generator = psutil.Process(source.pid)
        before, began = generator.cpu_times(), time.monotonic()
        await run.wait_windows(len(run.windows) + seconds, timeout_s=seconds + 30)
        after, took = generator.cpu_times(), time.monotonic() - began
        figures = run.latest(seconds)
        memory = generator.memory_info().rss
        check = await run.verify(resume=False)
    finally:
        totals = await run.stop()
    spent = after.user + after.system - before.user - before.system
    return {
        "rate_asked_per_s": rate,
        "seconds": seconds,
        "cpu_share_of_one_core": round(spent / took, 3),
        "memory_mb": round(memory / 1e6, 1),
        **asdict(figures),
        "service_p50_ms": totals.by_kind["all"].service_p50_ms if totals else None,
        "acknowledged": check.acknowledged,
        "lost_or_changed": check.lost + check.changed,
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rates", default="300,800")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--subject", choices=["etcd", "tikv"], default="etcd")
    given = parser.parse_args()
    machine = describe()
    if given.subject == "tikv":
        standins = next(kind for kind in CLUSTERS if str(kind) == "tikv-process-standin").environment
        os.environ.update({name: value for name, value in standins.items() if name not in os.environ})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with cluster(folder, given.subject, bare=given.bare) as target:
            runs = [
                await measure(target, float(rate), given.seconds, folder / f"load-{rate}")
                for rate in given.rates.split(",")
            ]
    members = "three bare etcd members" if given.bare else f"a {given.subject} cluster as operator runs it"
    if given.subject == "tikv":
        members += ": " + os.environ["OPERATOR_TIKV_SERVER"].rpartition("/")[2]
    print(json.dumps({"machine": machine, "beside": members, "workload": "A", "runs": runs}, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
