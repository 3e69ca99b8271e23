"""The frames of a client, each checked before the protocol's own reader sees it.

That reader passes over what it cannot read, and its client would wait for an answer for ever.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

from subjects.untrusted import NotJson, read_json

PARSE_ERROR = -32700
INVALID_REQUEST = -32600

LAST_ANSWERS_S = 5.0
"""How long a client that closed its end is still answered; the official ones end the server after 2 s."""

Refuse = Callable[[int | str | None, int, str], Awaitable[None]]
"""Answers a frame that cannot be served: its id if it has one, JSON-RPC's code, what is wrong."""


async def frames(
    lines: AsyncIterable[str], is_valid: Callable[[str], bool], refuse: Refuse
) -> AsyncIterator[str]:
    """Yield the frames that the protocol knows, their texts well formed; `refuse` gets the others."""
    async for line in lines:
        if not line.strip():
            continue
        try:
            message: Any = read_json(line)
        except NotJson as error:
            await refuse(None, PARSE_ERROR, f"Parse error: {error}")
            continue
        found = message.get("id") if isinstance(message, dict) else None
        known = found if isinstance(found, str | int) and not isinstance(found, bool) else None
        # With an id that is null, or a number without end, it would pass for a notification.
        asks = isinstance(message, dict) and "id" in message and "method" in message
        frame = json.dumps(message)
        if known == found and not (asks and known is None) and is_valid(frame):
            yield frame
            continue
        await refuse(known, INVALID_REQUEST, "Invalid request: not a JSON-RPC 2.0 message of MCP")


class Owed:
    """The requests that wait for an answer: a client that pipes them in closes its end before it reads."""

    def __init__(self) -> None:
        self._ids: set[int | str] = set()
        self._settled = asyncio.Event()

    async def noting(self, taken: AsyncIterable[str]) -> AsyncIterator[str]:
        """Yield the frames, and end only when they are answered or LAST_ANSWERS_S are over."""
        async for frame in taken:
            message = json.loads(frame)
            if "id" in message and "method" in message:
                self._ids.add(message["id"])
                self._settled.clear()
            elif message.get("method") == "notifications/cancelled":
                self.settle((message.get("params") or {}).get("requestId"))
            yield frame
        if self._ids:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), LAST_ANSWERS_S)

    def settle(self, call_id: object) -> None:
        """Take that request as answered."""
        self._ids = {each for each in self._ids if each != call_id}
        if not self._ids:
            self._settled.set()
