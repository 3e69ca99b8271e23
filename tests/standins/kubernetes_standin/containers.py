"""A container as a local process: its start, its end, and what it writes."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from tests.standins.kubernetes_standin.images import Image, Place
from tests.standins.kubernetes_standin.kinds import Object

KEPT_LINES = 20_000
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class State:
    """What a container runtime tells of one instance."""

    id: str
    image: str
    started_at: float
    finished_at: float | None = None
    exit_code: int | None = None
    reason: str = ""

    def running(self) -> bool:
        return self.finished_at is None

    def describe(self) -> Object:
        """As `containerStatuses[].state` has it."""
        if self.finished_at is None:
            return {"running": {"startedAt": stamp(self.started_at)}}
        return {
            "terminated": {
                "containerID": self.id,
                "exitCode": self.exit_code,
                "reason": self.reason,
                "startedAt": stamp(self.started_at),
                "finishedAt": stamp(self.finished_at),
            }
        }


@dataclass
class Instance:
    """One run of a container."""

    spec: Object
    place: Place
    on_end: Callable[[], None]
    state: State = field(init=False)
    lines: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    written: asyncio.Event = field(default_factory=asyncio.Event)
    environment: dict[str, str] = field(default_factory=dict)
    """Of its process, and of what is executed beside it."""
    why: str = ""
    """A reason that the end will have, given by who brings it about: OOMKilled."""
    _process: "subprocess.Popen[bytes] | None" = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.state.running() else None

    async def start(self, image: Image, environment: dict[str, str], own: str) -> None:
        command = self.spec.get("command") or list(image.entrypoint)
        arguments = self.spec.get("args") or []
        words = [expand(word, environment) for word in [*command, *arguments]]
        fitted = {name: self.place.fit(value) for name, value in environment.items()}
        self.environment = {**os.environ, **image.environment, **fitted}
        self.state = State(f"containerd://{uuid4().hex}{uuid4().hex}", self.spec["image"], time.time())
        argv = (
            list(image.entrypoint)
            if image.entrypoint[0] == words[0] == "/bin/sh"
            else self.place.argv(words, own)
        )
        ours, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - a few milliseconds
                argv,
                cwd=self.place.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_us,
            )
        except OSError as error:
            os.close(ours)
            self._ended(128, "StartError")
            self._write(str(error))
            return
        finally:
            os.close(theirs)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._read(ours)), loop.create_task(self._wait(self._process))]

    async def _read(self, descriptor: int) -> None:
        reader = asyncio.StreamReader(limit=1 << 20)
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(descriptor, "rb"))
        while line := await reader.readline():
            self._write(line.decode("utf-8", "replace").rstrip("\n"))
        transport.close()

    def _write(self, line: str) -> None:
        self.lines.append((time.time(), line))
        self.written.set()
        self.written = asyncio.Event()

    async def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait for its first process alone: others may hold its output open for longer."""
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        descriptor = os.pidfd_open(process.pid)
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
        loop.remove_reader(descriptor)
        os.close(descriptor)
        code = process.wait()
        _end_session(process.pid)
        code = 128 - code if code < 0 else code
        self._ended(code, self.why or ("Completed" if code == 0 else "Error"))

    def _ended(self, code: int, reason: str) -> None:
        self.state = replace(self.state, finished_at=time.time(), exit_code=code, reason=reason)
        self.written.set()
        self.on_end()

    def send(self, number: int) -> None:
        """Signal its process 1, as the node can."""
        if (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after the grace."""
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self.ended()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.ended()

    async def ended(self) -> None:
        if len(self._tasks) > 1:
            await asyncio.shield(self._tasks[1])


def expand(text: str, environment: dict[str, str]) -> str:
    """Put variables in, as `$(NAME)` in a command means them."""
    for name, value in environment.items():
        text = text.replace(f"$({name})", value)
    return text


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _die_with_us() -> None:
    """End when the stand-in does, however it does: prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_session(session: int) -> None:
    """End what a container's first process left behind, as its runtime does."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(entry.name)) == session:
                    os.kill(int(entry.name), signal.SIGKILL)
