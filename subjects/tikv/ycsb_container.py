"""go-ycsb as a container in the cluster's own network: `python -m subjects.tikv.ycsb_container FOLDER ARG …`.

Behaves as go-ycsb itself would: prints what it prints, and on SIGTERM lets it finish and sum up. Only
there do stores have the addresses that PD gives to clients.
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from docker.errors import APIError

from subjects.errors import SubjectError
from subjects.runtimes import docker_layout
from subjects.runtimes.compose import Compose, find_compose
from subjects.runtimes.engine import Engine, connect

SERVICE = "ycsb"
FINISH_S = 12.0
"""go-ycsb itself gives up 10 s after a signal."""


async def main(folder: Path, arguments: list[str]) -> int:
    """Run it to its end; returns its exit status, which says nothing of its operations."""
    layout = docker_layout.load(folder)
    if layout is None:
        raise SubjectError(f"{folder} holds no Docker cluster.")
    engine = await connect(layout.engine)
    compose = Compose(
        await find_compose(),
        layout.project,
        Path(layout.file),
        {**engine.environment, **layout.environment},
    )
    name = f"{layout.project}-ycsb-{os.getpid()}"
    await compose.run("run", "-d", "--no-deps", "--name", name, SERVICE, *arguments)
    try:
        return await _follow(engine, name)
    finally:
        with contextlib.suppress(SubjectError):
            await engine.ask(engine.client.api.remove_container, name, force=True)
        engine.close()


async def _follow(engine: Engine, name: str) -> int:
    api, loop = engine.client.api, asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    printing = asyncio.create_task(asyncio.to_thread(_print, engine, name))
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait([printing, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not printing.done():
        with contextlib.suppress(SubjectError):
            await engine.ask(api.kill, name, signal="SIGTERM")
        await asyncio.wait([printing], timeout=FINISH_S)
    waiting.cancel()
    state = (await engine.ask(api.inspect_container, name))["State"]
    return int(state["ExitCode"]) if not state["Running"] else 1


def _print(engine: Engine, name: str) -> None:
    """Copy the container's output to ours, as it comes; ends with the container."""
    with contextlib.suppress(APIError):
        for piece in engine.client.api.logs(name, stream=True, follow=True):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        code = asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
    except SubjectError as error:
        sys.exit(str(error))
    sys.exit(code)
