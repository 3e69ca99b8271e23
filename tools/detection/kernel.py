"""What the kernel or the engine reports: by itself, and when it is asked about a node that fell silent."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from subjects.base import Nodes, ProcessState, RuntimeEvent
from subjects.errors import SubjectError
from tools.events import Emit, Failed
from tools.observe.kinds import signal
from tools.observe.signal import Signal
from tools.observe.snapshot_diff import end_of
from tools.tasks import TaskPerNode

INSPECT_BOUND_S = 0.5
"""How long the kernel or engine may take to be a second witness (docker: 26 ms)."""

AGAIN_S = 1.0
"""After a runtime stopped reporting, the pause before it is listened to again."""


class KernelView:
    """What the runtime says of its nodes' processes."""

    def __init__(
        self,
        nodes: Nodes,
        take: Callable[[Signal], object],
        emit: Emit,
        leaving: Callable[[str, str, float], None] = lambda _node, _raw, _grace_s: None,
    ) -> None:
        self.ended: set[str] = set()
        """The nodes whose process ended and did not start again."""
        self._nodes = nodes
        self._take = take
        self._emit = emit
        self._leaving = leaving
        self._asking = TaskPerNode()

    async def listen(self) -> None:
        """Take events until cancelled."""
        while True:
            try:
                async for event in self._nodes.events():
                    self._happened(event)
            except SubjectError as error:
                self._emit(Failed(f"The {self._nodes.name} runtime stopped reporting: {error}"))
            await asyncio.sleep(AGAIN_S)

    def ask(self, node: str) -> None:
        """Look for a second witness of a silence: whether the process is stopped or gone."""
        self._asking.start(node, lambda: self._inspect(node))

    async def aclose(self) -> None:
        """Ask no more."""
        await self._asking.aclose()

    def _happened(self, event: RuntimeEvent) -> None:
        match event.kind:
            case "leaving":
                self._leaving(event.node, event.raw, event.grace_s)
                return
            case "exit" | "oom" | "evicted" | "stopped":
                if event.kind != "stopped":
                    self.ended.add(event.node)
            case "start" | "continued":
                self.ended.discard(event.node)
        kind = "running" if event.kind in {"start", "continued"} else event.kind
        self._take(signal(kind, event.node, event.raw, at=event.at, exit_code=event.exit_code))

    async def _inspect(self, node: str) -> None:
        at = time.monotonic()
        with suppress(SubjectError, TimeoutError):
            async with asyncio.timeout(INSPECT_BOUND_S):
                view = await self._nodes.inspect(node)
            ended = view.state is ProcessState.EXITED
            kind = end_of(view) if ended else "stopped" if view.state is ProcessState.PAUSED else ""
            if kind:
                self._take(signal(kind, node, view.raw, exit_code=view.exit_code, as_of=at))
