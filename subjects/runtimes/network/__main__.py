"""The network process: `python -m subjects.runtimes.network FOLDER FD …`, one listening socket a link.

The supervisor holds the sockets and does nothing else than replace a worker that died, so that not even a
connection attempt is refused in between. Both end when the cluster's folder is gone. A worker whose
supervisor is dead goes on passing bytes; whoever next puts rules in force replaces both.
"""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

from subjects.runtimes import identity, layout
from subjects.runtimes.network import rules
from subjects.runtimes.network.dialers import who_dials
from subjects.runtimes.network.proxy import Proxy

_LOOK_S = 0.5
"""How often the worker looks whether its folder is there and whether a signal to re-read was missed."""
_MIN_LIFE_S = 0.2
"""A worker that lives shorter is not replaced in a tight loop."""
MAX_FILES = 10_000
"""More open files than the links of one cluster ever need; macOS takes no more than 10,240."""


def main() -> None:
    """Supervise workers for as long as the cluster's folder is there."""
    folder = Path(sys.argv[1])
    sockets = [socket.socket(fileno=int(number)) for number in sys.argv[2:]]
    child = 0

    def end(_number: int, _frame: object) -> None:
        if child:
            os.kill(child, signal.SIGKILL)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a worker takes it over once it listens to it
    _allow_connections()
    while (folder / "cluster.json").exists():
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            asyncio.run(_work(folder, sockets))
            os._exit(0)
        os.waitpid(child, 0)
        child = 0
        if time.monotonic() - began < _MIN_LIFE_S:
            time.sleep(_MIN_LIFE_S)


async def _work(folder: Path, sockets: list[socket.socket]) -> None:
    cluster = layout.load(folder)
    if cluster is None:
        return
    me = identity.own()
    names = [node.name for node in cluster.nodes]
    proxy = Proxy(lambda connections: who_dials(folder, names, connections))
    reread = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reread.set)
    in_force, wanted = rules.read_rules(folder)
    proxy.apply(wanted)
    for link, listening in zip(cluster.links, sockets, strict=True):
        listening.setblocking(False)
        await proxy.serve(link, listening)
    identity.write(folder / "network.worker", me)
    rules.write_applied(folder, in_force)
    while (folder / "cluster.json").exists():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reread.wait(), _LOOK_S)
        reread.clear()
        generation, wanted = rules.read_rules(folder)
        if generation != in_force:
            proxy.apply(wanted)
            in_force = generation
            rules.write_applied(folder, generation)


def _allow_connections() -> None:
    """Take all the open files that we may: a cut holds every connection that is asked for meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
