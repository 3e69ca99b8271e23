"""How the runtime starts the network process and puts rules in force."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from subjects.base import Identity, LinkRule, ProcessState
from subjects.errors import NotReady, StaleTarget
from subjects.runtimes import identity, layout
from subjects.runtimes.keeper import spawn
from subjects.runtimes.network import rules
from subjects.runtimes.ports import HOST

APPLY_TIMEOUT_S = 3.0
_BACKLOG = 128


async def ensure(folder: Path, cluster: layout.Layout) -> None:
    """Start the network process unless it runs. One without its supervisor is replaced: connections break."""
    if supervisor(folder) is not None:
        return
    stop(folder)
    sockets = [await _listen(link.port) for link in cluster.links]
    try:
        pid = await spawn(
            [sys.executable, "-m", "subjects.runtimes.network", str(folder)]
            + [str(each.fileno()) for each in sockets],
            folder / "network",
            pass_fds=[each.fileno() for each in sockets],
        )
    finally:
        for each in sockets:
            each.close()
    started = identity.identify(pid)
    if started is None:
        raise NotReady(f"The network process ended at once; {folder / 'network' / 'log'} says why.")
    layout.write_json(folder / "network.pid", {"pid": pid, "started": started.started})


async def apply(folder: Path, cluster: layout.Layout, wanted: Sequence[LinkRule]) -> None:
    """Put exactly `wanted` in force and wait until the worker says so. NotReady when it doesn't."""
    generation = rules.write_rules(folder, wanted)
    await ensure(folder, cluster)
    deadline = time.monotonic() + APPLY_TIMEOUT_S
    _nudge(folder)
    while rules.read_applied(folder) < generation:
        if time.monotonic() > deadline:
            raise NotReady(
                f"The network process did not take the rules within {APPLY_TIMEOUT_S:g} s; "
                f"see {folder / 'network' / 'log'}."
            )
        await asyncio.sleep(0.002)


def supervisor(folder: Path) -> Identity | None:
    """Return the supervisor if it runs."""
    try:
        raw = json.loads((folder / "network.pid").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    known = Identity("process", str(raw["pid"]), raw["started"])
    return None if identity.state(known) is ProcessState.EXITED else known


def stop(folder: Path) -> None:
    """End the network process, the supervisor first. Safe to call when there is none."""
    known = supervisor(folder)
    if known is not None:
        _signal(known, signal.SIGKILL)
    worker = _worker(folder)
    if worker is not None:
        _signal(worker, signal.SIGKILL)
    (folder / "network.pid").unlink(missing_ok=True)
    (folder / "network.applied").unlink(missing_ok=True)


def _worker(folder: Path) -> Identity | None:
    """Return the worker, if the process with its pid is one: its command line names this folder."""
    try:
        pid = int(json.loads((folder / "network.worker").read_text())["pid"])
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    import psutil

    try:
        if str(folder) not in psutil.Process(pid).cmdline():
            return None
    except psutil.Error:
        return None
    return identity.identify(pid)


def _nudge(folder: Path) -> None:
    worker = _worker(folder)
    if worker is not None:
        _signal(worker, signal.SIGHUP)


def _signal(target: Identity, number: signal.Signals) -> None:
    with contextlib.suppress(StaleTarget):
        identity.send_signal(target, number)


async def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + 1.0
    while True:
        try:
            listening.bind((HOST, port))
            listening.listen(_BACKLOG)
        except OSError as error:
            # A worker that was killed a moment ago may not have let go of it yet.
            if time.monotonic() < deadline:
                await asyncio.sleep(0.01)
                continue
            listening.close()
            raise NotReady(
                f"Port {port} on {HOST} is taken by another program: stop it, or `operator deploy down`."
            ) from error
        return listening
