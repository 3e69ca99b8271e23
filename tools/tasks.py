"""Tasks: work that a Ctrl-C does not leave half done, and work that is done once at a time for each node."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tools.events import Emit, Failed

T = TypeVar("T")


async def uncancelled(work: Coroutine[Any, Any, T]) -> T:
    """Wait for the end of `work`, however often this task is cancelled; raises CancelledError only then."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            cancelled = True
    if cancelled:
        task.result()
        raise asyncio.CancelledError
    return task.result()


def told_if_it_fails(task: asyncio.Task[None], emit: Emit) -> None:
    """Have it told when `task` ends by an error: a part that ends by itself must not do so in silence."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            emit(Failed(f"{task.get_name()} has ended: {type(error).__name__}: {error}"))

    task.add_done_callback(ended)


class TaskPerNode:
    """At most one task for each node; a node that has one is not given another."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """How many nodes have one."""
        return len(self._running)

    def start(self, node: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin `work` for the node unless it has a task."""
        if node in self._running:
            return
        task = asyncio.get_running_loop().create_task(work())
        self._running[node] = task
        task.add_done_callback(lambda _: self._running.pop(node, None))

    async def aclose(self) -> None:
        """Cancel them all, and wait until they have ended."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
