"""A load as operator's own process sees it: the last windows, figures over them, and the end."""

import asyncio
import shutil
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from subjects.base import LoadTarget
from subjects.tikv.go_ycsb import DRIVER as GO_YCSB
from tools.load.process import GeneratorProcess
from tools.load.settings import LoadSettings
from tools.load.source import LoadFailed, LoadSource
from tools.load.spans import between, summed
from tools.observe.figures import LoadFigures, LoadTotals, Window, WriteCheck

KEPT_WINDOWS = 3600
"""The windows kept in memory, an hour; all are in the run's folder."""

VERIFY_S = 60.0
"""How long reading back every acknowledged write may take; what is unread by then is told as such."""

KEPT_RUNS = 20
"""Of earlier runs so many keep their folders."""
_PREFIX = "run-"

OnWindow = Callable[[Window], None]
OnEnd = Callable[[str], None]


def new_folder(state_root: Path) -> Path:
    """Return a path for a new run under `load/`; only the latest runs are kept beside it."""
    root = state_root / "load"
    earlier = sorted(path for path in root.glob(f"{_PREFIX}*") if path.is_dir())
    for path in earlier[: -(KEPT_RUNS - 1)]:
        shutil.rmtree(path, ignore_errors=True)
    return root / f"{_PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"


class LoadRun:
    """One load, from its start to its end. Whoever starts it stops it."""

    def __init__(self, source: LoadSource, settings: LoadSettings) -> None:
        self.settings = settings
        self.windows: deque[Window] = deque(maxlen=KEPT_WINDOWS)
        self.problem = ""
        """Why it ended, when nobody stopped it."""
        self.checked: WriteCheck | None = None
        """What the last read-back of acknowledged writes showed."""
        self.alone: IO[str] | None = None
        """A lock that no other load gets before this one has ended."""
        self._source = source
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._ended = False

    @classmethod
    async def start(
        cls,
        target: LoadTarget,
        settings: LoadSettings,
        folder: Path,
        on_window: OnWindow,
        on_end: OnEnd | None = None,
    ) -> "LoadRun":
        """Start our generator (or go-ycsb) on `target` and return when its run phase has begun.

        `on_window` is called with each window; `on_end` with the reason, if it ends by itself. Raises
        ToolError for settings that make no sense, LoadFailed when the records can't be written.
        """
        settings = settings.checked()
        source: LoadSource
        if target.driver == GO_YCSB:
            from tools.load.go_ycsb import GoYcsb

            source = GoYcsb(target, settings)
        else:
            source = GeneratorProcess(target, settings, folder)
        return await cls.over(source, settings, on_window, on_end)

    @classmethod
    async def over(
        cls, source: LoadSource, settings: LoadSettings, on_window: OnWindow, on_end: OnEnd | None = None
    ) -> "LoadRun":
        """Start a load on any source of windows."""
        run = cls(source, settings)
        await source.start()
        run._reader = asyncio.create_task(run._read(on_window, on_end))
        return run

    @property
    def label(self) -> str:
        """The load in a few words: workload, records, rate."""
        settings = self.settings
        return f"workload {settings.workload}, {settings.records:,} records, {settings.rate:g} operations/s"

    @property
    def unrecorded(self) -> str:
        """Why acknowledged writes can't be read back from this load; empty where they can."""
        return self._source.unrecorded

    @property
    def running(self) -> bool:
        """Whether windows still come."""
        return self._reader is not None and not self._ended

    def figures(self, since: float, until: float) -> LoadFigures:
        """Return the figures of the windows wholly between two monotonic times; None where there are none."""
        return summed(between(self.windows, since, until))

    def latest(self, count: int) -> LoadFigures:
        """Return the figures of the last `count` windows."""
        return summed(list(self.windows)[-count:])

    async def wait_windows(self, count: int, timeout_s: float) -> bool:
        """Wait until there have been `count` windows; False when they did not come in time."""
        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(lambda: len(self.windows) >= count or not self.running)
        except TimeoutError:
            return False
        return len(self.windows) >= count

    async def verify(self, *, resume: bool = True, timeout_s: float = VERIFY_S) -> WriteCheck:
        """Pause, let what is under way end, read back every acknowledged write, and go on if `resume`.

        No windows come meanwhile. LoadFailed when the generator is gone, or keeps no record of writes.
        """
        self.checked = await self._source.verify(resume=resume, timeout_s=timeout_s)
        return self.checked

    async def stop(self) -> LoadTotals | None:
        """Stop, and return the totals where the source has any. Safe to call again."""
        totals = await self._source.stop()
        await self._over()
        return totals

    async def aclose(self) -> None:
        """End it at once; nothing of it runs afterwards."""
        await self._source.aclose()
        await self._over()

    async def _over(self) -> None:
        if self._reader is not None:
            await asyncio.wait([self._reader])
        if self.alone is not None:
            self.alone.close()

    async def _read(self, on_window: OnWindow, on_end: OnEnd | None) -> None:
        try:
            async for window in self._source.windows():
                self.windows.append(window)
                on_window(window)
                async with self._news:
                    self._news.notify_all()
        except LoadFailed as error:
            self.problem = str(error)
            if on_end is not None:
                on_end(self.problem)
        finally:
            self._ended = True
            async with self._news:
                self._news.notify_all()
