"""Where windows come from: our own generator, or another program that measures (go-ycsb)."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from typing import Protocol

from tools.errors import ToolError
from tools.observe.figures import LoadTotals, Window, WriteCheck


class LoadFailed(ToolError):
    """The load could not begin, or ended by itself; the text says why."""


class LoadSource(Protocol):
    """A load that runs outside this process. Used by one task at a time, except for `windows`."""

    unrecorded: str
    """Why what is acknowledged can't be read back later; empty where it can."""

    async def start(self) -> None:
        """Write the records and begin; returns when the run phase has begun. LoadFailed if it can't."""
        ...

    def windows(self) -> AsyncIterator[Window]:
        """Yield each window as it ends, until the load is stopped; LoadFailed if it ended by itself."""
        ...

    async def verify(self, *, resume: bool, timeout_s: float) -> WriteCheck:
        """Read back every acknowledged write; LoadFailed where that can't be done."""
        ...

    async def stop(self) -> LoadTotals | None:
        """Stop issuing and return the totals, if there are any; safe to call again."""
        ...

    async def aclose(self) -> None:
        """End the load at once, and wait until nothing of it runs."""
        ...


async def gone(process: Process, timeout_s: float) -> None:
    """Wait until a process that was told to end has ended; kill it when it takes longer than `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
