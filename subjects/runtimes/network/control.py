"""How the runtime starts the network process and puts rules in force."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from subjects.base import Identity, LinkRule
from subjects.errors import NotReady, StaleTarget
from subjects.runtimes import identity, layout
from subjects.runtimes.filelock import locked
from subjects.runtimes.network import rules
from subjects.runtimes.ports import HOST
from subjects.runtimes.supervisor import spawn
from subjects.scrub import public_environment

MODULE = "subjects.runtimes.network"
APPLY_TIMEOUT_S = 5.0
LOCK_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 2.0
_BACKLOG = 128
_NUDGE_S = 0.1


async def ensure(folder: Path, cluster: layout.Layout) -> None:
    """Start the network process unless it runs. One without its supervisor is replaced: connections break."""
    async with locked(folder / "network.lock", LOCK_TIMEOUT_S):
        if supervisor(folder) is None:
            await _start(folder, cluster)


async def apply(folder: Path, cluster: layout.Layout, wanted: Sequence[LinkRule]) -> None:
    """Put exactly `wanted` in force and wait until the worker says so. NotReady when it doesn't."""
    await ensure(folder, cluster)
    generation = rules.write_rules(folder, wanted)
    deadline = time.monotonic() + APPLY_TIMEOUT_S
    nudged = 0.0
    while rules.read_applied(folder) < generation:
        now = time.monotonic()
        if now > deadline:
            raise NotReady(
                f"The network process did not take the rules within {APPLY_TIMEOUT_S:g} s; "
                f"see {folder / 'network' / 'log'}."
            )
        if now - nudged > _NUDGE_S:  # again and again: a worker that is just being replaced hears nothing
            nudged = now
            _nudge(folder)
        await asyncio.sleep(0.002)


def supervisor(folder: Path) -> Identity | None:
    """Return the supervisor if it runs."""
    return identity.running(folder / "network.pid")


def worker(folder: Path) -> Identity | None:
    """Return the worker if it runs."""
    return identity.running(folder / "network.worker")


async def stop(folder: Path) -> None:
    """End the network process, the supervisor first, and see that it has ended. Safe to call again."""
    found = [supervisor(folder), worker(folder), *await asyncio.to_thread(_all, folder)]
    known = list(dict.fromkeys(each for each in found if each is not None))
    for each in known:
        _signal(each, signal.SIGKILL)
    for each in known:
        await identity.wait_exit(each, STOP_TIMEOUT_S)
    for name in ("network.pid", "network.worker", "network.applied"):
        (folder / name).unlink(missing_ok=True)


async def _start(folder: Path, cluster: layout.Layout) -> None:
    await stop(folder)
    sockets: list[socket.socket] = []
    try:
        for link in cluster.links:
            sockets.append(await _listen(link.port))  # noqa: PERF401 - those made so far must be closed
        numbers = [each.fileno() for each in sockets]
        pid = await spawn(
            # -P: a folder `subjects` where operator happens to be run must not be taken for ours.
            [sys.executable, "-P", "-m", MODULE, str(folder), *map(str, numbers)],
            folder / "network",
            env=public_environment(),
            pass_fds=numbers,
        )
    finally:
        for each in sockets:
            each.close()
    started = identity.identify(pid)
    if started is None:
        raise NotReady(f"The network process ended at once; {folder / 'network' / 'log'} says why.")
    identity.write(folder / "network.pid", started)


def _all(folder: Path) -> list[Identity]:
    """Find this cluster's network processes by their command line, those that nobody wrote down too."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        argv = process.info["cmdline"] or []
        if MODULE in argv and argv[argv.index(MODULE) + 1 :][:1] == [str(folder)]:
            found.append(identity.identify(process.pid))
    return [each for each in found if each is not None]


def _nudge(folder: Path) -> None:
    known = worker(folder)
    if known is not None:
        _signal(known, signal.SIGHUP)


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
