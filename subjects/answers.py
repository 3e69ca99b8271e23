"""HTTP answers, bounded in time and in size: a server that drips, or never ends, holds nobody up."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2

MAX_BODY = 32 << 20
"""Bytes; TiKV's page of metrics has megabytes."""


async def ask(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    timeout_s: float,
    *,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
) -> tuple[int, bytes]:
    """Return status and body. `timeout_s` bounds the whole answer, not each piece of it.

    Raises httpx2.HTTPError: a ReadTimeout where it takes longer, a ReadError for a body beyond MAX_BODY.
    """
    options = {"headers": headers, "json": json, "timeout": timeout_s}
    try:
        async with asyncio.timeout(timeout_s), client.stream(method, url, **options) as response:
            return response.status_code, await _body(response)
    except TimeoutError as error:
        raise httpx2.ReadTimeout(f"no answer within {timeout_s:g} s") from error


async def _body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_BODY:
            raise httpx2.ReadError("the answer does not end")
    return bytes(body)
