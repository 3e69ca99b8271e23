"""A TiKV cluster for field cases: three PDs and three stores, stand-ins that operator did not start.

Its truth is what PD's API says, asked here and not through operator.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from subjects.runtimes.ports import HOST, free_ports

ROOT = Path(__file__).parents[2]
PDS, STORES = ("pd0", "pd1", "pd2"), ("tikv0", "tikv1", "tikv2")
READY_S = 60.0


class Tikv:
    """The cluster; `with` returns once PD counts all replicas."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = iter(free_ports(12))
        self.pd_url = {name: f"http://{HOST}:{next(ports)}" for name in PDS}
        self._peer_url = {name: f"http://{HOST}:{next(ports)}" for name in PDS}
        self.data = {name: f"{HOST}:{next(ports)}" for name in STORES}
        self.status = {name: f"{HOST}:{next(ports)}" for name in STORES}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def endpoints(self) -> str:
        """What operator is given."""
        return ",".join(self.pd_url.values())

    def __enter__(self) -> Self:
        for name in PDS:
            self.start(name)
        self.wait(lambda: bool(self.ask("/members")["leader"]), "a PD leads")
        for name in STORES:
            self.start(name)
        self.wait(self._replicated, "every region has three replicas")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def start(self, name: str) -> None:
        """Start one PD or store."""
        initial = ",".join(f"{pd}={url}" for pd, url in self._peer_url.items())
        flags: dict[str, str | Path]
        if name in PDS:
            module = "pd_standin"
            flags = {
                "name": name,
                "client-urls": self.pd_url[name],
                "advertise-client-urls": self.pd_url[name],
                "peer-urls": self._peer_url[name],
                "initial-cluster": initial,
            }
        else:
            module = "tikv_standin"
            flags = {
                "addr": self.data[name],
                "advertise-addr": self.data[name],
                "status-addr": self.status[name],
                "advertise-status-addr": self.status[name],
                "pd-endpoints": ",".join(self.pd_url.values()).replace("http://", ""),
                "config": ROOT / "subjects/tikv/tikv.toml",
            }
        given = [f"--{flag}={value}" for flag, value in flags.items()]
        log = (self._folder / f"{name}.log").open("ab")
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-m", f"tests.standins.{module}", f"--data-dir={self._folder / name}", *given],
            cwd=ROOT,
            env={**os.environ, "STANDIN_SPEED": "4", "GRPC_VERBOSITY": "NONE"},
            stdout=log,
            stderr=log,
        )
        log.close()

    def kill(self, name: str) -> float:
        """SIGKILL; returns when, in monotonic seconds."""
        at = time.monotonic()
        self._processes[name].kill()
        self._processes[name].wait()
        return at

    def seen_as(self, store: str) -> str:
        """Return the name that operator gives a store of which it knows PD's id alone."""
        return f"tikv-{self.store(store)['store']['id']}"

    def store(self, name: str) -> dict[str, Any]:
        """Return what PD says of one store, tombstones included."""
        stores = self.ask("/stores?state=0&state=1&state=2")["stores"]
        return next(item for item in stores if item["store"]["address"] == self.data[name])

    def ask(self, path: str, body: object = None, method: str = "", of: str = "") -> Any:
        """Ask any PD that answers, or the one named."""
        urls = [self.pd_url[of]] if of else list(self.pd_url.values())
        error: Exception = OSError("no PD was asked")
        for url in urls:
            try:
                return _http(f"{url}/pd/api/v1{path}", body, method)
            except (OSError, ValueError) as failed:
                error = failed
        raise OSError(f"{path}: {error}")

    def suffer(self, name: str, path: str, values: Mapping[str, object]) -> None:
        """Have a store suffer something, by its status port."""
        _http(f"http://{self.status[name]}{path}", values, "PUT")

    def wait(self, holds: Callable[[], bool], what: str, timeout_s: float = READY_S) -> None:
        """Wait until `holds`; AssertionError, saying what, when it doesn't."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if holds():
                    return
            except (OSError, KeyError, TypeError, ValueError):
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s:g} s: {what}")
            time.sleep(0.1)

    def _replicated(self) -> bool:
        regions = self.ask("/regions")["regions"]
        return bool(regions) and all(len(region["peers"]) == len(STORES) for region in regions)


def _http(url: str, body: object, method: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method or ("GET" if data is None else "POST"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=3) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise OSError(f"HTTP {error.code}: {error.read()[:200]!r}") from error
    return json.loads(text) if text.strip() else {}
