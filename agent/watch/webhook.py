"""Telling a webhook of detections and recoveries: soon, in order, and never at the cost of detection."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2

from subjects.errors import BadSetup
from subjects.scrub import scrub
from tools.events import Emit, Notice

TIMEOUT_S = 5.0
"""For one attempt."""

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each further attempt; after the last the message is given up."""

MAX_WAITING = 100
"""Messages that wait for a slow webhook; the oldest is dropped for a new one."""

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be different next time."""


def receiver_host(option: str, url: str) -> str:
    """Return the host of a receiver's address, the only part of it that is shown: the rest may hold a key.

    Raises BadSetup for what is no http or https address.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and url.isprintable():
            httpx2.URL(url)
            return parts.hostname
    except (ValueError, httpx2.InvalidURL):  # a port that is no number, a bracket too many, no name of a host
        pass
    raise BadSetup(f"{option} is no address: give one such as http://HOST:PORT or https://HOST/PATH.")


class Webhook:
    """Posts JSON, one message at a time. `send` only puts it in line."""

    def __init__(self, url: str, emit: Emit, *, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        """Raises BadSetup for what is no http or https address."""
        self._host = receiver_host("--webhook", url)
        self.sent = 0
        self.failed = 0
        self.dropped = 0
        self._url = url
        self._emit = emit
        self._pauses_s = pauses_s
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._complained = False
        self._task = asyncio.get_running_loop().create_task(self._work(), name="webhook")

    def send(self, message: Mapping[str, Any]) -> None:
        """Put a message in line. Never blocks."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(message)
        self._idle.clear()
        self._more.set()

    async def aclose(self, timeout_s: float = TIMEOUT_S) -> None:
        """Give what is in line `timeout_s` to go out; what is left then counts as failed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.failed += len(self._waiting)
        self._waiting.clear()

    async def _work(self) -> None:
        async with httpx2.AsyncClient(timeout=TIMEOUT_S) as http:
            while True:
                await self._more.wait()
                self._more.clear()
                while self._waiting:
                    await self._deliver(http, self._waiting[0])
                self._idle.set()

    async def _deliver(self, http: httpx2.AsyncClient, message: Mapping[str, Any]) -> None:
        fault = ""
        for pause_s in (0.0, *self._pauses_s):
            await asyncio.sleep(pause_s)
            fault, again = await self._attempt(http, message)
            if not again:
                break
        if self._waiting and self._waiting[0] is message:
            self._waiting.popleft()
        if not fault:
            self.sent += 1
            self._complained = False
            return
        self.failed += 1
        if not self._complained:
            self._complained = True
            self._emit(
                Notice(f"The webhook at {self._host} takes nothing: {fault}. Watching goes on.", "warning")
            )

    async def _attempt(self, http: httpx2.AsyncClient, message: Mapping[str, Any]) -> tuple[str, bool]:
        """Return what went wrong (nothing: an empty text) and whether to try again."""
        try:
            async with http.stream("POST", self._url, json=scrub(message)) as response:
                status = response.status_code  # the body is not needed, and may never end
        except httpx2.HTTPError as error:
            return str(error) or type(error).__name__, True
        except ValueError as error:  # text that is no Unicode, from a stranger's member
            return f"it can't be told: {error}", False
        if 200 <= status < 300:
            return "", False
        return f"HTTP {status}", status in TRY_AGAIN
