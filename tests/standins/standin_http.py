"""A small HTTP/1.1 server and client on asyncio alone: stand-ins also run in images that hold no more."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Answer = tuple[int, str]
Handler = Callable[[str, str, bytes], Awaitable[Answer]]
"""Takes method, path with query, and body; returns status and body."""

REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes
    closes: bool


async def read_request(reader: asyncio.StreamReader, first: bytes = b"") -> Request | None:
    """Read one request; None when the peer has closed."""
    try:
        head = first + await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(int(headers.get("content-length") or 0))
    return Request(method, path, body, headers.get("connection", "").lower() == "close")


async def serve(handler: Handler, host: str, port: int) -> asyncio.Server:
    """Serve until the returned server is closed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while (request := await read_request(reader)) is not None:
                status, text = await handler(request.method, request.path, request.body)
                body = text.encode()
                kind = "application/json" if body[:1] in (b"{", b"[", b'"') else "text/plain"
                writer.write(
                    f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
                if request.closes:
                    break
        writer.close()

    return await asyncio.start_server(connected, host, port)


async def fetch(url: str, method: str = "GET", body: object = None, timeout_s: float = 1.0) -> Answer:
    """Ask once; OSError or TimeoutError when there is no answer."""
    host, _, rest = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    data = b"" if body is None else json.dumps(body).encode()
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(name, int(port))
        try:
            writer.write(
                f"{method} /{rest} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
                f"Content-Length: {len(data)}\r\n\r\n".encode()
                + data
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            text = (await reader.read()).decode()
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError(url) from error
        finally:
            writer.close()
    return int(head.split(" ", 2)[1]), text


def host_port(url: str) -> tuple[str, int]:
    """Split `http://host:port` or `host:port`."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)
