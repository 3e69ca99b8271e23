"""What the engine tells of a project's containers: one long-lived stream, read in a thread of its own.

When the stream breaks it is opened again, and every container is inspected: what changed in between is
told as if it had been seen. An event that the containers' own times prove old is dropped.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from docker.errors import DockerException
from requests.exceptions import RequestException

from subjects.base import RuntimeEvent
from subjects.runtimes.docker_containers import PROJECT, SERVICE
from subjects.runtimes.docker_layout import DockerLayout
from subjects.runtimes.engine import Engine

Kind = Literal["exit", "stopped", "continued", "start", "oom"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
"""Between attempts to open the stream again."""

_AFTER: Mapping[str, tuple[Kind, str]] = {
    "die": ("exit", "exited"),
    "pause": ("stopped", "paused"),
    "unpause": ("continued", "running"),
    "start": ("start", "running"),
}
"""Docker's action → our kind of event, and the state that follows."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What we last knew of a node's container."""

    container: str
    status: str
    started: float


class EventStream:
    """The events of one project, for any number of readers. Open while there is one."""

    def __init__(
        self,
        engine: Engine,
        layout: DockerLayout,
        list_containers: Callable[[], Mapping[str, Mapping[str, Any]]],
    ) -> None:
        self._engine = engine
        self._nodes = layout.nodes
        self._project = layout.project
        self._list = list_containers
        """Inspect all containers, by node; blocking."""
        self._readers: set[asyncio.Queue[RuntimeEvent]] = set()
        self._known: dict[str, _Known] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._source: Any = None

    async def read(self) -> AsyncGenerator[RuntimeEvent, None]:
        """Yield what happens from now on."""
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._readers.add(queue)
        if self._thread is None:
            self._start()
        try:
            while True:
                yield await queue.get()
        finally:
            self._readers.discard(queue)
            if not self._readers:
                await self.aclose()

    async def aclose(self) -> None:
        """End the stream and its thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._closing.set()
        self.hang_up()
        await asyncio.to_thread(thread.join, 5.0)

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._known = {}
        self._thread = threading.Thread(
            target=self._run, args=(self._closing,), name=f"events of {self._project}", daemon=True
        )
        self._thread.start()

    def hang_up(self) -> None:
        """Break the connection as a network would; it is opened again."""
        source = self._source
        if source is not None:
            with contextlib.suppress(OSError, AttributeError, DockerException):
                source.close()

    def _run(self, closing: threading.Event) -> None:
        pause = _FIRST_PAUSE_S
        while not closing.is_set():
            try:
                self._follow(closing)
                pause = _FIRST_PAUSE_S
            except (DockerException, RequestException, OSError, ValueError):
                pause = min(2 * pause, _LONGEST_PAUSE_S)  # the engine is away: it may be restarting
            closing.wait(pause)

    def _follow(self, closing: threading.Event) -> None:
        """Read one stream to its end. What happens while we inspect waits in the stream."""
        self._source = self._engine.client.api.events(
            decode=True,
            filters={"type": "container", "label": [f"{PROJECT}={self._project}"]},
        )
        if closing.is_set():
            self.hang_up()
            return
        self._resync()
        for event in self._source:
            if closing.is_set():
                return
            self._take(event)

    def _resync(self) -> None:
        """Compare every container with what we knew of it, and tell the differences."""
        for node, container in self._list().items():
            now, state = _known(container), container["State"]
            before = self._known.get(node)
            self._known[node] = now
            if before is None:
                continue
            raw = f"container {now.container[:12]} is {now.status} (seen after the event stream was restored)"
            restarted = (before.container, before.started) != (now.container, now.started)
            if before.status != "exited" and (restarted or now.status == "exited"):
                code = state.get("ExitCode") if now.status == "exited" else None
                self._tell(node, "exit", raw, code)
                before = _Known(now.container, "exited", now.started)
            if before.status == "exited" and now.status != "exited":
                self._tell(node, "start", raw)
                before = _Known(now.container, "running", now.started)
            if before.status != now.status:
                self._tell(node, "stopped" if now.status == "paused" else "continued", raw)

    def _take(self, event: Mapping[str, Any]) -> None:
        action = str(event.get("Action") or event.get("status") or "")
        actor = event.get("Actor") or {}
        attributes = actor.get("Attributes") or {}
        node = attributes.get(SERVICE)
        container, at = str(actor.get("ID") or ""), float(event.get("timeNano") or 0) / 1e9
        if node not in self._nodes:
            return
        raw = f"container {container[:12]} {action}"
        if action == "oom":
            self._tell(node, "oom", raw)
            return
        if action not in _AFTER:
            return
        kind, status = _AFTER[action]
        before = self._known.get(node)  # none of one whose container was made since the look at all
        if before and before.container == container and (at < before.started or before.status == status):
            return  # told already: by the look at all containers, or in an earlier stream
        started = at if kind == "start" or before is None else before.started
        self._known[node] = _Known(container, status, started)
        code = attributes.get("exitCode")
        self._tell(node, kind, _with_code(raw, code), int(code) if code is not None else None)

    def _tell(self, node: str, kind: Kind, raw: str, code: int | None = None) -> None:
        event = RuntimeEvent(node, kind, time.monotonic(), raw, code)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before us
                self._loop.call_soon_threadsafe(self._spread, event)

    def _spread(self, event: RuntimeEvent) -> None:
        for queue in self._readers:
            queue.put_nowait(event)


def engine_time(text: str) -> float:
    """Read the engine's RFC 3339 time, to the microsecond; 0.0 for its zero time."""
    return 0.0 if not text or text.startswith("0001-") else datetime.fromisoformat(text).timestamp()


def _known(container: Mapping[str, Any]) -> _Known:
    state = container["State"]
    status = str(state["Status"])
    if status not in ("running", "paused"):
        status = "exited"  # created, dead and removing run as little
    return _Known(str(container["Id"]), status, engine_time(str(state.get("StartedAt") or "")))


def _with_code(raw: str, code: object) -> str:
    return raw if code is None else f"{raw}, exitCode={code}"
