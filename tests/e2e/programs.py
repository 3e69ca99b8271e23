"""Running `operator` as a person or a script does: a real process, its own state folder, no key."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

OPERATOR = (sys.executable, "-m", "agent")
DEMO = ("demo", "chaos", "--no-pause", "--offline", "--subject", "etcd", "--rate", "50")
"""A demo with enough load to see an outage; other tests share the machine. `make demo` has all of it."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How one run ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of a `stream-json` run."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> dict[str, Any]:
        """Its last line."""
        return self.events[-1]


async def operator(
    state: Path,
    *words: str,
    stop_at: Mapping[str, Any] | None = None,
    number: signal.Signals = signal.SIGINT,
    timeout_s: float = 240.0,
    env: Mapping[str, str] | None = None,
) -> Ran:
    """Run `operator WORDS`; with `stop_at` send a signal when the first event comes that has these values."""
    process = await asyncio.create_subprocess_exec(
        *OPERATOR,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "OPERATOR_STATE_DIR": str(state), **(env or {})},
        limit=1 << 24,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    lines: list[str] = []
    sent = False
    try:
        async with asyncio.timeout(timeout_s):
            async for raw in process.stdout:
                lines.append(raw.decode())
                if stop_at is not None and not sent and _fits(lines[-1], stop_at):
                    process.send_signal(number)
                    sent = True
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ran(code, "".join(lines), (await errors).decode())


def left_running(state: Path, exclude: Path | None = None) -> list[str]:
    """Return the command lines of processes that name this state folder, and do not name `exclude`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(state) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return [line for line in found if exclude is None or str(exclude) not in line]


async def until_gone(state: Path, timeout_s: float = 60.0, exclude: Path | None = None) -> list[str]:
    """Wait until nothing of this state folder runs; returns what still does after `timeout_s`."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while (left := left_running(state, exclude)) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.2)
    return left


def _fits(line: str, wanted: Mapping[str, Any]) -> bool:
    event = json.loads(line)
    return all(event.get(name) == value for name, value in wanted.items())
