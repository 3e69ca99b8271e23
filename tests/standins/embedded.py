"""A real embedded etcd cluster for tests, and ways to look at it that are not operator's own."""

import asyncio
import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from subjects.base import Cluster, Deployment, Identity, ProcessState, Scope
from subjects.clusters import Decision, open_cluster
from subjects.runtimes import identity
from subjects.runtimes.process import ProcessRuntime
from subjects.state import StateFolder, open_state
from tests.waiting import healthy

ETCD = Decision("etcd", "process", "a test asked for it")


def bring_up(root: Path) -> StateFolder:
    """Start a cluster in the state folder `root` and wait until it is healthy. In a loop of its own."""

    async def up() -> StateFolder:
        state = open_state(root)
        cluster = await open_cluster(state, ETCD)
        await cluster.require(Deployment).up()
        await healthy(cluster)
        await cluster.aclose()
        return state

    return asyncio.run(up())


def take_down(state: StateFolder) -> None:
    """Stop the cluster of a state folder, whatever is left of it."""

    async def down() -> None:
        cluster = await open_cluster(state, ETCD)
        await cluster.require(Deployment).down()
        await cluster.aclose()

    asyncio.run(down())


def process_runtime(cluster: Cluster) -> ProcessRuntime:
    """Return the runtime as what it is."""
    assert isinstance(cluster.nodes, ProcessRuntime)
    return cluster.nodes


def pid_of(cluster: Cluster, node: str) -> int:
    """Read the node's pid from its file."""
    file = process_runtime(cluster).folder / "nodes" / node / "process.json"
    return int(json.loads(file.read_text())["pid"])


def letter(pid: int) -> str:
    """Return the state that the kernel shows for a pid (proc(5)): R, S, T, …; "" when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text[text.rindex(")") + 2]


def runs(known: Identity | None) -> bool:
    """Tell whether that process is there."""
    return known is not None and identity.state(known) is not ProcessState.EXITED


def processes_of(root: Path) -> dict[int, str]:
    """Return every process whose command line names the folder: pid to command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(root) in line:
                    found[int(entry.name)] = line
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back on a fresh connection of our own."""

    body: bytes
    seconds: float
    reset: bool = False


async def ask(port: int, path: str, timeout_s: float = 1.0) -> Answer:
    """Ask over plain TCP, so that nothing of operator's takes part."""
    return await _exchange(port, f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n", timeout_s)


async def _exchange(port: int, request: str, timeout_s: float) -> Answer:
    began = time.monotonic()
    body, reset = b"", False
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request.encode())
            while piece := await reader.read(65536):
                body += piece
    except TimeoutError:
        pass
    except OSError as error:
        reset = isinstance(error, ConnectionError)
    finally:
        if writer is not None:
            writer.transport.abort()
    return Answer(body, time.monotonic() - began, reset)


async def put(port: int, key: str, value: str, timeout_s: float = 2.0) -> bool:
    """Write one key over plain TCP; whether etcd acknowledged it."""
    from base64 import b64encode

    body = json.dumps({"key": b64encode(key.encode()).decode(), "value": b64encode(value.encode()).decode()})
    request = f"POST /v3/kv/put HTTP/1.0\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    return b'"revision"' in (await _exchange(port, request, timeout_s)).body


def client_port(cluster: Cluster, node: str) -> int:
    """The port that clients use, in the network process."""
    return process_runtime(cluster).layout.link(node, Scope.CLIENTS).port


def own_port(cluster: Cluster, node: str) -> int:
    """The port that the member itself listens on, past the network process."""
    return process_runtime(cluster).layout.spec(node).ports["client"]


def metrics_port(cluster: Cluster, node: str) -> int:
    """The port of the member's `/health` and `/metrics`."""
    return process_runtime(cluster).layout.spec(node).ports["metrics"]
