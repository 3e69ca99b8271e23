"""Writing incidents down, in order and off the event loop: a disk that is slow must not delay detection."""

import asyncio
import sqlite3
from collections.abc import Callable

from subjects.errors import SubjectError
from tools.errors import ToolError
from tools.events import Emit, Notice
from tools.incidents.store import IncidentStore

Job = Callable[[IncidentStore], object]

MAX_WAITING = 10_000
"""Writes that may wait for a disk; what comes beyond is dropped and said."""

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
        self._told = False

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
            await asyncio.to_thread(self._write, jobs)
        self._idle.set()

    def _write(self, jobs: list[Job]) -> None:
        """Write all together; where that fails, each by itself: one that fails must not cost the others."""
        try:
            with self._store.transaction():
                for job in jobs:
                    job(self._store)
        except _FAILURES:
            for job in jobs:
                try:
                    job(self._store)
                except _FAILURES as error:
                    self._complain(error)

    def _complain(self, error: Exception | str) -> None:
        if not self._told:
            self._told = True
            self._emit(Notice(f"Incidents can't be written down: {error}. Detection goes on.", "warning"))
