"""The watch of many pods through one API server, the stand-in's: what it costs while pods keep changing.

Their databases are not asked: that is `detection scale`. Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from subjects.runtimes.kubernetes.attached import attach_nodes
from subjects.runtimes.kubernetes.options import KubernetesOptions
from tests.bench import machine
from tests.standins.kubernetes_standin.handle import StandinCluster

STATUS = "application/merge-patch+json"


def _status(count: int) -> dict[str, Any]:
    running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    container = {
        "name": "etcd", "image": "etcd", "imageID": "", "containerID": f"containerd://{count}", "ready": True,
        "restartCount": count, "state": running,
    }  # fmt: skip
    return {"status": {"phase": "Running", "podIP": "127.0.0.1", "containerStatuses": [container]}}


def _make(standin: StandinCluster, count: int) -> None:
    """Pods that no node has: nothing runs, only their objects are there."""
    deadline = time.monotonic() + 10
    while "code" in standin.call("GET", "/api/v1/namespaces/default/serviceaccounts/default"):
        assert time.monotonic() < deadline
    for each in range(count):
        meta = {"name": f"db-{each}", "labels": {"app": "db"}}
        spec = {"containers": [{"name": "etcd", "image": "etcd"}]}
        standin.call("POST", "/api/v1/namespaces/default/pods", {"metadata": meta, "spec": spec})
        _restart(standin, each, 0)


def _restart(standin: StandinCluster, pod: int, restarts: int) -> None:
    path = f"/api/v1/namespaces/default/pods/db-{pod}/status"
    standin.call("PATCH", path, _status(restarts), STATUS)


async def measure(standin: StandinCluster, pods: int, per_s: float, seconds: float) -> dict[str, Any]:
    """Watch them while `per_s` of them restart each second."""
    began = time.monotonic()
    nodes = await attach_nodes(KubernetesOptions(namespace="default", selector="app=db"), ())
    listed_s = time.monotonic() - began
    changing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.kubernetes", "--change", standin.server, standin.token,
        "--pods", str(pods), "--per-s", str(per_s),
    )  # fmt: skip
    seen = 0

    async def count() -> None:
        nonlocal seen
        async for _ in nodes.events():
            seen += 1

    counting = asyncio.create_task(count())
    try:
        await asyncio.sleep(2.0)
        cpu, began, before = time.process_time(), time.monotonic(), seen
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        share = (time.process_time() - cpu) / took
        return {
            "pods": len(nodes.pods.names),
            "listed_s": round(listed_s, 2),
            "events_per_s": round((seen - before) / took, 1),
            "cpu_share_of_one_core": round(share, 4),
        }
    finally:
        counting.cancel()
        changing.kill()
        await changing.wait()
        await nodes.aclose()


def main() -> None:
    """Read the options; measure, or change what is watched."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--per-s", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--change", nargs=2, metavar=("SERVER", "TOKEN"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        standin = StandinCluster(Path(folder), "--nodes", "0")
        if given.change:
            standin.server, standin.token = given.change
            for each in range(10**9):
                _restart(standin, each % given.pods, 1 + each // given.pods)
                time.sleep(1 / given.per_s)
        with standin:
            os.environ["KUBECONFIG"] = str(standin.kubeconfig)
            _make(standin, given.pods)
            figures = asyncio.run(measure(standin, given.pods, given.per_s, given.seconds))
    print(json.dumps({"bench": "kubernetes", **figures, "machine": machine.describe()}))


if __name__ == "__main__":
    main()
