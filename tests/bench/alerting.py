"""Real Prometheus and Alertmanager beside a watch, for benchmarks."""

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parents[2]


def require_programs() -> None:
    """End with a line where they are not installed."""
    for program in ("prometheus", "prometheus-alertmanager"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing: apt install prometheus prometheus-alertmanager")


def operator(state: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "agent", "--state-dir", str(state), "--output", "stream-json", *words]


async def run(*command: str) -> dict[str, Any]:
    """Run a command to its end and return its result line."""
    ran = await asyncio.create_subprocess_exec(
        *command, stdout=-1, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT
    )
    printed, _ = await ran.communicate()
    lines = printed.decode().splitlines()
    return dict(json.loads(lines[-1])) if lines else {}


def victim(state: Path, node: str) -> psutil.Process:
    """Return the etcd of that name whose data is in the state folder."""
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["name"] == "etcd" and f"--name={node}" in words and str(state) in " ".join(words):
            return process
    raise RuntimeError(f"{node} does not run")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def alertmanager(folder: Path, port: int, pager: int) -> list[str]:
    """The words that start a real one: every alert by itself to the pager at that port, group_wait 1 s."""
    config = {
        "route": {"receiver": "pager", "group_by": ["..."], "group_wait": "1s", "group_interval": "1s"},
        "receivers": [{"name": "pager", "webhook_configs": [{"url": f"http://127.0.0.1:{pager}/"}]}],
    }
    path = folder / "alertmanager.yaml"
    path.write_text(yaml.safe_dump(config))
    return [
        "prometheus-alertmanager",
        f"--config.file={path}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]


def prometheus(
    folder: Path, port: int, am: int, scrapes: list[tuple[str, str, list[str]]], rules: Sequence[Path] = ()
) -> list[str]:
    """The words to start a real one: `scrapes` are job, cluster and targets, each 15 s, Debian's default."""
    config: dict[str, Any] = {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [str(each) for each in rules],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{am}"]}]}]},
        "scrape_configs": [
            {
                "job_name": f"{job}-{cluster}",
                "static_configs": [{"targets": targets}],
                # One name for a cluster in all alerts; the job is the same for all clusters.
                "relabel_configs": [{"target_label": "job", "replacement": job}],
                "metric_relabel_configs": [{"target_label": "cluster", "replacement": cluster}],
            }
            for job, cluster, targets in scrapes
        ],
    }
    for scrape in config["scrape_configs"]:  # `up` has the labels of the target only
        scrape["static_configs"][0]["labels"] = {"cluster": scrape["job_name"].partition("-")[2]}
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config))
    return [
        "prometheus",
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
