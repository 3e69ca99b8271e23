"""go-ycsb as a source of windows: its cumulative rows differenced, judged by counts and error rows.

It is a closed loop with latencies since its start only: so windows have no percentiles, and no record of
writes is kept to read back.
"""

import asyncio
import contextlib
import json
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator

from subjects import clock
from subjects.base import LoadTarget
from subjects.tikv.go_ycsb import DRIVER, TOTAL, Differences, Growth, command, read_row
from tools.load.settings import LoadSettings
from tools.load.source import LoadFailed, gone
from tools.load.workloads import Kind
from tools.observe.figures import LoadTotals, OperationFigures, Window, WriteCheck
from tools.tasks import uncancelled

THREADS = 8
"""Operations under way at once: go-ycsb has no other bound."""

BURST_S = 0.25
"""The rows of one interval come together; a pause of this length ends them."""

LOAD_S = 120.0
START_S = 30.0
"""A container may have to be made first."""

STOP_S = 15.0
"""go-ycsb gives up 10 s after a signal."""

_ERROR_TEXT = "operation err: "


class GoYcsb:
    """One go-ycsb, first its load phase and then its run phase."""

    unrecorded = "go-ycsb keeps no record of what it wrote: whether a write was lost is not measured"

    def __init__(self, target: LoadTarget, settings: LoadSettings) -> None:
        self._target = target
        self._settings = settings
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._stopping = False
        self._last_text = ""
        self._last_error = ""

    async def start(self) -> None:
        """Write the records, then begin. LoadFailed when there is no go-ycsb or no operation succeeds."""
        if self._target.driver != DRIVER or not json.loads(self._target.options.get("argv", "[]")):
            raise LoadFailed(
                "There is no go-ycsb here.", "Install it or set OPERATOR_GO_YCSB; or go on without."
            )
        await self._load()
        self._process = await self._spawn("run")
        self._reader = asyncio.create_task(self._read(self._process))
        succeeded = False
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_S):
                    succeeded = await self._first_success()
        finally:
            if not succeeded:
                await self.aclose()
        if not succeeded:
            why = self._last_error or self._last_text or "it printed nothing"
            raise LoadFailed(f"No operation of go-ycsb succeeded within {START_S:g} s: {why}")

    async def _first_success(self) -> bool:
        while (line := await self._lines.get()) is not None:
            row = read_row(line)
            if row is not None and not row.failed:
                return True
        return False

    async def windows(self) -> AsyncIterator[Window]:
        """Yield one window an interval."""
        differences, number, began = Differences(), 0, time.monotonic()
        first = True
        async for rows in self._bursts():
            growths = [differences.add(row) for line in rows if (row := read_row(line)) is not None]
            at, seconds = time.monotonic(), time.monotonic() - began
            began = at
            if first:  # what was done before we looked belongs to no interval
                first = False
                continue
            yield _window(number, at, seconds, growths, self._last_error)
            number += 1
        if not self._stopping:
            raise LoadFailed(f"go-ycsb has ended by itself: {self._last_text}", "Start it with load_start.")

    async def verify(self, *, resume: bool, timeout_s: float) -> WriteCheck:  # noqa: ARG002 - the protocol's
        """Refuse: go-ycsb does not tell what it wrote."""
        raise LoadFailed(f"{self.unrecorded}.")

    async def stop(self) -> LoadTotals | None:
        """Stop it; it has no totals of ours."""
        await self.aclose()
        return None

    async def aclose(self) -> None:
        """SIGTERM, which lets its container be removed, and SIGKILL when it doesn't end."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        await _end(process)
        if self._reader is not None:
            await asyncio.wait([self._reader])

    async def _load(self) -> None:
        process = await self._spawn("load")
        try:
            async with asyncio.timeout(LOAD_S):
                out, _ = await process.communicate()
        except TimeoutError:
            raise LoadFailed(f"go-ycsb did not write its records within {LOAD_S:g} s.") from None
        finally:
            await _end(process)
        text = out.decode("utf-8", "replace")
        rows = [row for line in text.splitlines() if (row := read_row(line)) is not None]
        # Its exit status is 0 even if everything failed.
        if process.returncode != 0 or not any(row.count for row in rows if not row.failed):
            last = text.strip().rpartition("\n")[2][:300]
            raise LoadFailed(f"go-ycsb wrote no records (exit status {process.returncode}): {last}")

    async def _spawn(self, phase: str) -> Process:
        mix = self._settings.chosen.mix
        argv = command(
            self._target,
            phase,
            records=self._settings.records,
            rate=self._settings.rate,
            threads=THREADS,
            proportions={f"{kind.value.replace('_', '')}proportion": mix.get(kind, 0.0) for kind in Kind},
        )
        try:
            return await asyncio.create_subprocess_exec(
                *argv, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
            )
        except OSError as error:
            raise LoadFailed(f"go-ycsb could not be started: {error}") from error

    async def _read(self, process: Process) -> None:
        if process.stdout is None:
            raise AssertionError("started with a pipe")
        try:
            while raw := await process.stdout.readline():
                line = raw.decode("utf-8", "replace").strip()
                self._last_text = line[:300] or self._last_text
                if line.startswith(_ERROR_TEXT):
                    self._last_error = line.removeprefix(_ERROR_TEXT)[:300]
                self._lines.put_nowait(line)
        finally:
            self._lines.put_nowait(None)

    async def _bursts(self) -> AsyncIterator[list[str]]:
        """Yield the rows of each interval together."""
        while True:
            line = await self._lines.get()
            if line is None:
                return
            if read_row(line) is None:
                continue
            rows = [line]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BURST_S):
                    while (line := await self._lines.get()) is not None:
                        rows.append(line)
            yield rows
            if line is None:
                return


def _window(number: int, at: float, seconds: float, growths: list[Growth], error: str) -> Window:
    done = [each for each in growths if not each.operation.endswith("_ERROR") and each.operation != TOTAL]
    failed = [each for each in growths if each.operation.endswith("_ERROR")]
    total = next((each.count for each in growths if each.operation == TOTAL), None)
    errors = {each.operation.removesuffix("_ERROR"): each.count for each in failed}
    kinds = {
        name.lower(): OperationFigures(
            operations=next((each.count for each in done if each.operation == name), 0),
            errors=errors.get(name, 0),
            timeouts=0,
            p50_ms=None,
            p95_ms=None,
            p99_ms=None,
            max_ms=None,
        )
        for name in dict.fromkeys([*(each.operation for each in done), *errors])
    }
    return Window(
        n=number,
        wall=clock.wall(at),
        at=at,
        seconds=round(seconds, 3),
        operations=sum(each.count for each in done) if total is None else total,
        errors=sum(errors.values()),
        timeouts=0,
        by_kind=kinds,
        last_error=error if errors else "",
    )


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await uncancelled(gone(process, STOP_S))
