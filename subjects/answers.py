"""HTTP answers, bounded in time and in size: a server that drips, or never ends, holds nobody up."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

MAX_BODY = 32 << 20
"""Bytes; TiKV's page of metrics has megabytes."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One whole answer."""

    code: int
    body: bytes
    certificate_until: float | None = None
    """Wall time when the certificate of who answered ends; None over a plain connection."""


async def exchange(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    timeout_s: float,
    *,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
) -> Answered:
    """Return the answer. `timeout_s` bounds all of it, not each piece of it.

    Raises httpx2.HTTPError: a ReadTimeout where it takes longer, a ReadError for a body beyond MAX_BODY.
    """
    # One bound: two that fire in the same turn of the loop would each cancel the other's way out.
    options = {"headers": headers, "json": json, "timeout": None}
    try:
        async with asyncio.timeout(timeout_s), client.stream(method, url, **options) as response:
            until = _certificate_until(response)
            return Answered(response.status_code, await _body(response), until)
    except TimeoutError as error:
        raise httpx2.ReadTimeout(f"no answer within {timeout_s:g} s") from error


async def ask(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    timeout_s: float,
    *,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
) -> tuple[int, bytes]:
    """Return status and body of an `exchange`."""
    answer = await exchange(client, method, url, timeout_s, headers=headers, json=json)
    return answer.code, answer.body


def _certificate_until(response: httpx2.Response) -> float | None:
    stream = response.extensions.get("network_stream")
    secured = stream.get_extra_info("ssl_object") if stream is not None else None
    if not isinstance(secured, ssl.SSLObject | ssl.SSLSocket):
        return None
    ends = (secured.getpeercert() or {}).get("notAfter")
    return ssl.cert_time_to_seconds(ends) if isinstance(ends, str) else None


async def _body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_BODY:
            raise httpx2.ReadError("the answer does not end")
    return bytes(body)
