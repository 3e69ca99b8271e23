"""The load generator, a process of its own: `python -m tools.load.generator`.

It is told what to do by JSON lines on standard input and tells what it measured by JSON lines on
standard output (`tools.load.wire`). When its input closes, whoever started it is gone: it ends.
"""

import asyncio
import importlib
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from subjects.load import OperationFailed
from tools.load.client import Client
from tools.load.driver import Driver
from tools.load.openloop import OpenLoop, surface
from tools.load.pipes import Pipes
from tools.load.recorder import Recorder
from tools.load.settings import LoadSettings
from tools.load.wire import line, parse, window_line
from tools.load.workloads import Operations
from tools.load.written import Written
from tools.observe.figures import WINDOW_S


class Generator:
    """One load from its first record to its totals."""

    def __init__(self, settings: LoadSettings, driver: Driver, pipes: Pipes) -> None:
        self._settings = settings
        self._driver = driver
        self._pipes = pipes
        self._recorder = Recorder(_now())
        self._client = Client(driver, Written(), self._recorder)
        self._schedule = OpenLoop(
            Operations(settings.chosen, settings.records, settings.seed).draw,
            self._client.perform,
            self._client.miss,
            rate=settings.rate,
            deadline_s=settings.deadline_s,
            max_in_flight=settings.max_in_flight,
        )
        self._windows: asyncio.Task[None] | None = None

    async def load(self, timeout_s: float) -> bool:
        """Run the load phase; False, and the reason is told, when the database does not take the records."""
        began, failed = _now(), ""
        self._pipes.say(line("loading", {"records": self._settings.records}))
        try:
            await self._client.load(self._settings.records, timeout_s)
        except* OperationFailed as errors:
            failed = f"the records could not be written: {_first(errors)}"
        if failed:
            self._pipes.say(line("failed", {"error": failed}))
        else:
            self._pipes.say(line("running", {"load_s": round(_now() - began, 3)}))
        return not failed

    def start(self) -> None:
        """Begin, or go on with, the run phase."""
        self._recorder.begin(_now())
        self._schedule.start()
        self._windows = asyncio.create_task(self._tell_windows())
        self._windows.add_done_callback(surface)

    async def pause(self) -> None:
        """Stop issuing, wait for what is under way, and tell the window that this cuts short."""
        if self._windows is None:
            return
        await self._schedule.pause()
        self._windows.cancel()
        await asyncio.wait([self._windows])
        self._windows = None
        self._tell_window()

    async def verify(self, of: int, *, resume: bool, timeout_s: float) -> None:
        """Read back every acknowledged write while nothing is written; then go on if `resume`."""
        await self.pause()
        check = await self._client.read_back(timeout_s)
        self._pipes.say(line("verified", {"of": of, "check": asdict(check)}))
        if resume:
            self.start()

    async def stop(self) -> None:
        """End the run phase and tell the totals."""
        await self.pause()
        self._pipes.say(line("stopped", {"totals": asdict(self._recorder.totals())}))

    async def close(self) -> None:
        """Drop what is under way and close all connections."""
        if self._windows is not None:
            self._windows.cancel()
        await self._schedule.close()
        await self._driver.close()

    async def _tell_windows(self) -> None:
        due = _now()
        while True:
            due += WINDOW_S
            await asyncio.sleep(due - _now())
            self._tell_window()

    def _tell_window(self) -> None:
        self._pipes.keep(window_line(self._recorder.close_window(_now(), self._driver.take_failures())))


async def obey(pipes: Pipes) -> None:
    """Do what the lines say until `stop`; the owner's end cancels this."""
    first = parse(await pipes.commands.readline())
    generator = Generator(LoadSettings(**first["settings"]), await _driver(first), pipes)
    try:
        if not await generator.load(float(first["load_timeout_s"])):
            return
        generator.start()
        while raw := await pipes.commands.readline():
            match parse(raw):
                case {"type": "verify", "check": of, "resume": resume, "timeout_s": timeout_s}:
                    await generator.verify(int(of), resume=bool(resume), timeout_s=float(timeout_s))
                case {"type": "stop"}:
                    await generator.stop()
                    return
    finally:
        await generator.close()


async def run(file: Path) -> int:
    """Run until told to stop, until the owner is gone, or until a bug; return the exit code."""
    pipes = await Pipes.open(file)
    loop = asyncio.get_running_loop()
    broken: list[str] = []
    loop.set_exception_handler(lambda _, context: _note(context, broken, pipes.gone))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, pipes.gone.set)
    work = asyncio.create_task(obey(pipes))
    gone = asyncio.create_task(pipes.gone.wait())
    await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    gone.cancel()
    await asyncio.wait([work, gone])
    if not work.cancelled() and (error := work.exception()):
        broken.append(f"{type(error).__name__}: {error}")
    if broken:
        pipes.say(line("failed", {"error": broken[0]}))
    await pipes.flush(timeout_s=1.0)
    pipes.close()
    return 1 if broken else 0


async def _driver(first: dict[str, Any]) -> Driver:
    module, _, name = first["driver"].partition(":")
    driver: Driver = getattr(importlib.import_module(module), name)(first["endpoints"], first["options"])
    await driver.connect()
    return driver


def _note(context: dict[str, Any], broken: list[str], gone: asyncio.Event) -> None:
    """A bug in a task of ours ends the load, told: figures of half a generator would mislead."""
    if error := context.get("exception"):
        broken.append(f"{type(error).__name__}: {error}")
        gone.set()


def _first(errors: BaseExceptionGroup[OperationFailed]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _now() -> float:
    return asyncio.get_running_loop().time()


if __name__ == "__main__":
    sys.exit(asyncio.run(run(Path(sys.argv[1]))))
