"""HTTP answers, bounded in time and in size: a server that drips, or never ends, holds nobody up."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.abc
import httpx2

MAX_BODY = 32 << 20
"""Bytes; TiKV's page of metrics has megabytes."""


_under_way: "set[asyncio.Task[Answered]]" = set()
"""Exchanges in progress. One that was given up still closes what it opened, and nothing else refers to it."""


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
    scope = anyio.CancelScope(deadline=anyio.current_time() + timeout_s)
    options: dict[str, Any] = {"headers": headers, "json": json, "timeout": None}
    if url.startswith("https"):
        options["extensions"] = {"trace": _handshake_closer()}
    task = asyncio.create_task(_exchange(scope, client.stream(method, url, **options), timeout_s))
    _under_way.add(task)
    task.add_done_callback(_over)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        # The client closes connections under anyio's shields. asyncio's own cancellation breaks through them,
        # and leaves open whatever was still to be closed: so it ends here, and the scope's takes its place.
        scope.cancel()
        raise
    return task.result()


async def _exchange(
    scope: anyio.CancelScope, stream: AbstractAsyncContextManager[httpx2.Response], timeout_s: float
) -> Answered:
    with scope:
        async with stream as response:
            until = _certificate_until(response)
            return Answered(response.status_code, await _body(response), until)
    raise httpx2.ReadTimeout(f"no answer within {timeout_s:g} s")


def _handshake_closer() -> Callable[[str, dict[str, Any]], Awaitable[None]]:
    """Return what closes a connection whose TLS handshake is cancelled: the client forgets it then."""
    opened: list[anyio.abc.AsyncResource] = []

    async def trace(event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            opened.append(info["return_value"])
        elif event == "connection.start_tls.failed":
            with anyio.CancelScope(shield=True):
                for stream in opened:
                    await stream.aclose()

    return trace


def _over(task: "asyncio.Task[Answered]") -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # whoever gave it up does not ask for it


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


def unresolved(error: BaseException | None) -> bool:
    """Whether an error came of a name that does not resolve here, which says nothing of whoever has it."""
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return error is not None


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
