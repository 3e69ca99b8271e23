"""Whether the nodes can be seen at all: the way to them is asked for its own health, apart from theirs.

One API server that stalls makes every node that is seen through it look silent at once. So before anything
is held against a node, the way there must have answered.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from subjects.errors import SubjectError
from subjects.runtimes.kubernetes.api import Api

BOUND_S = 1.0
"""An answer takes 2 to 65 ms; one that takes longer than this is none."""
PERIOD_S = 1.0


class Canary:
    """Asks again and again, and at once when somebody must know."""

    def __init__(self, ask: Callable[[], Awaitable[object]], what: str) -> None:
        self._ask = ask
        self._what = what
        self._since: float | None = None
        """Monotonic time since when nothing was answered; None while all is healthy."""
        self._task: asyncio.Task[None] | None = None

    @property
    def stalled(self) -> str:
        """Why nothing can be seen now, a sentence; empty while it can."""
        if self._since is None:
            return ""
        return f"{self._what} has not answered for {time.monotonic() - self._since:.1f} s"

    def start(self) -> None:
        """Ask from now on."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="canary")

    async def probe_new_connection(self) -> str:
        """Ask now; return `stalled` as it is then."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(BOUND_S):
                await self._ask()
        except (SubjectError, OSError, TimeoutError):
            self._since = began if self._since is None else self._since
        else:
            self._since = None
        return self.stalled

    async def aclose(self) -> None:
        """Ask no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await self.probe_new_connection()
            await asyncio.sleep(PERIOD_S)


def of_api(api: Api) -> Canary:
    """Return a canary for the API server alone."""
    canary = Canary(lambda: api.get("/version"), f"The API server of the context {api.context}")
    canary.start()
    return canary
