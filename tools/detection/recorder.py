"""Writing incidents down, in order and off the event loop: a disk that is slow must not delay detection."""

import asyncio
import sqlite3
import time
from collections.abc import Callable

from subjects.errors import SubjectError
from tools.errors import ToolError
from tools.events import Emit, Notice
from tools.incidents.store import IncidentStore

Job = Callable[[IncidentStore], object]

MAX_WAITING = 10_000
"""Writes that may wait for a disk; what comes beyond is dropped and said."""

BUSY_PAUSE_S = 1.0
"""Before writes are tried again where another process keeps the file locked."""

COMPLAIN_EVERY_S = 3600.0
"""Between two words of it that incidents can't be written down: a watch of months may see two full disks."""

_FAILURES = (sqlite3.Error, SubjectError, ToolError, ValueError)
"""ValueError: text that is no Unicode, half a surrogate in the name of a stranger's member say."""


class Recorder:
    """Does jobs on the store one after another, in a thread, several in one durable write."""

    def __init__(self, store: IncidentStore, emit: Emit) -> None:
        self._store = store
        self._emit = emit
        self._waiting: list[Job] = []
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._told_at = float("-inf")

    def do(self, job: Job) -> None:
        """Have `job` done soon. Never blocks."""
        if len(self._waiting) >= MAX_WAITING:
            self._complain("the disk is too slow")
            return
        self._waiting.append(job)
        self._idle.clear()
        self._more.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            await self._work()

    async def flush(self, timeout_s: float = 2.0) -> bool:
        """Wait until all that was asked for is written; False when it takes longer than `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _work(self) -> None:
        while self._waiting:
            jobs, self._waiting = self._waiting, []
            left, error = await asyncio.to_thread(self._write, jobs)
            if error is not None:
                self._complain(error)
            if left:
                self._waiting = left + self._waiting
                await asyncio.sleep(BUSY_PAUSE_S)
        self._idle.set()

    def _write(self, jobs: list[Job]) -> tuple[list[Job], Exception | None]:
        """Write all together; where that fails, each by itself: one that fails must not cost the others.

        Returns what is to be tried again, as another process keeps the file locked, and the last failure.
        """
        try:
            with self._store.transaction():
                for job in jobs:
                    job(self._store)
        except _FAILURES as error:
            if _is_busy(error):
                return jobs, error
        else:
            return [], None
        failure: Exception | None = None
        for n, job in enumerate(jobs):
            try:
                job(self._store)
            except _FAILURES as error:
                failure = error
                if _is_busy(error):
                    return jobs[n:], error
        return [], failure

    def _complain(self, error: Exception | str) -> None:
        if time.monotonic() - self._told_at >= COMPLAIN_EVERY_S:
            self._told_at = time.monotonic()
            self._emit(Notice(f"Incidents can't be written down: {error}. Detection goes on.", "warning"))


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
