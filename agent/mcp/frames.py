"""The frames of a client, each checked before the protocol's own reader sees it.

That reader passes over what it cannot read, and its client would wait for an answer for ever.
"""

import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

from subjects.untrusted import NotJson, read_json

PARSE_ERROR = -32700
INVALID_REQUEST = -32600

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
