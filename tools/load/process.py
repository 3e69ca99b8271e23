"""The generator's process, as its owner sees it."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from subjects.base import LoadTarget
from tools.load.settings import LoadSettings
from tools.load.source import LoadFailed, gone
from tools.load.wire import line, parse, read_totals, read_window
from tools.observe.figures import LoadTotals, Window, WriteCheck
from tools.tasks import uncancelled

LOAD_S = 30.0
"""The least that the load phase may take; large numbers of records get 5 ms each."""

END_S = 2.0
"""How long the process may take to end by itself once its input is closed."""

MAX_LINE = 1 << 20


class GeneratorProcess:
    """One `python -m tools.load.generator`, in a session of its own: a terminal's Ctrl-C doesn't reach it."""

    unrecorded = ""

    def __init__(self, target: LoadTarget, settings: LoadSettings, folder: Path) -> None:
        self._target = target
        self._settings = settings
        self._folder = folder
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._windows: asyncio.Queue[Window | None] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._checks = 0
        self._totals: LoadTotals | None = None
        self._stopping = False
        self._error = ""

    @property
    def pid(self) -> int | None:
        """The generator's process id, once it has been started."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process and wait for its load phase. LoadFailed if it can't; then nothing is left."""
        timeout_s = max(LOAD_S, self._settings.records * 0.005)
        try:
            await self._spawn(timeout_s)
            await self._answer("running", timeout_s + LOAD_S)
        except BaseException:
            await self.aclose()
            raise

    async def windows(self) -> AsyncIterator[Window]:
        """Yield each window as it comes."""
        while (window := await self._windows.get()) is not None:
            yield window
        if not self._stopping:
            raise LoadFailed(f"The load has ended by itself: {self._reason()}", "Start it with load_start.")

    async def verify(self, *, resume: bool, timeout_s: float) -> WriteCheck:
        """Let the generator read back what it wrote."""
        self._checks += 1  # the answer to one that was given up must not pass for the next one's
        self._send("verify", {"check": self._checks, "resume": resume, "timeout_s": timeout_s})
        bound_s = timeout_s + self._settings.deadline_s + END_S
        while (said := await self._answer("verified", bound_s))["of"] != self._checks:
            continue
        return WriteCheck(**said["check"])

    async def stop(self) -> LoadTotals | None:
        """Stop it, drained; by force if it does not. None when it could not tell its totals."""
        if self._totals is None and self._running():
            self._stopping = True
            self._send("stop")
            try:
                said = await self._answer("stopped", self._settings.deadline_s + 2 * END_S)
                self._totals = read_totals(said)
            except LoadFailed:
                self._totals = None
        await self.aclose()
        return self._totals

    async def aclose(self) -> None:
        """Close its input, which ends it, and wait, also when cancelled; kill it when it doesn't."""
        self._stopping = True
        if self._process is not None:
            await uncancelled(self._end(self._process))

    async def _end(self, process: Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        await gone(process, END_S)
        if self._reader is not None:
            await asyncio.wait([self._reader])

    async def _spawn(self, timeout_s: float) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "generator.log").open("ab") as log:
                # -P: a folder `tools` where operator happens to be run must not be taken for ours.
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "tools.load.generator"),
                    str(self._folder / "windows.jsonl"),
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=log,
                    start_new_session=True,
                    limit=MAX_LINE,
                )
        except OSError as error:  # no room for its folder, or for one more process
            raise LoadFailed(f"The load generator could not be started: {error}.") from error
        self._reader = asyncio.create_task(self._read(self._process))
        self._send(
            "begin",
            {
                "settings": asdict(self._settings),
                "driver": self._target.driver,
                "endpoints": list(self._target.endpoints),
                "options": dict(self._target.options),
                "load_timeout_s": timeout_s,
            },
        )

    async def _read(self, process: Process) -> None:
        """Sort the generator's lines until it ends."""
        if process.stdout is None:
            raise AssertionError("started with a pipe")
        try:
            while raw := await process.stdout.readline():
                said = parse(raw)
                match said["type"]:
                    case "window":
                        self._windows.put_nowait(read_window(said))
                    case "failed":
                        self._error = str(said["error"])
                    case _:
                        self._answers.put_nowait(said)
        finally:
            self._windows.put_nowait(None)
            self._answers.put_nowait({"type": "gone"})

    async def _answer(self, kind: str, timeout_s: float) -> dict[str, Any]:
        """Return the next line of that kind; earlier ones of other kinds are passed over."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    said = await self._answers.get()
                    if said["type"] == kind:
                        return said
                    if said["type"] == "gone":
                        self._answers.put_nowait(said)
                        raise LoadFailed(f"The load generator has ended: {self._reason()}")
        except TimeoutError:
            raise LoadFailed(f"The load generator did not answer within {timeout_s:.0f} s.") from None

    def _send(self, kind: str, body: dict[str, Any] | None = None) -> None:
        if self._process is None or self._process.stdin is None or not self._running():
            raise LoadFailed(f"The load generator does not run: {self._reason()}")
        self._process.stdin.write(line(kind, body))

    def _running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def _reason(self) -> str:
        if self._error:
            return self._error
        log = self._folder / "generator.log"
        last = log.read_text(errors="replace").strip().rpartition("\n")[2][:300] if log.exists() else ""
        code = self._process.returncode if self._process else None
        return last or f"exit status {code}"
