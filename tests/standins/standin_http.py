"""A small HTTP/1.1 server and client on asyncio alone: stand-ins also run in images that hold no more."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Answer = tuple[int, str]
Handler = Callable[[str, str, bytes], Awaitable[Answer]]
"""Takes method, path with query, and body; returns status and body."""

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes
    closes: bool


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; None when the peer has closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(int(headers.get("content-length") or 0))
    return Request(method, path, body, headers.get("connection", "").lower() == "close")


async def serve(handler: Handler, host: str, port: int, grpc_port: int = 0) -> asyncio.Server:
    """Serve until the returned server is closed; HTTP/2 is passed on to `grpc_port` of this host."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while (request := await read_request(reader)) is not None:
                if request.method == "PRI" and grpc_port:
                    await _pass_on(reader, writer, grpc_port)
                    break
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


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Carry what both say, until both have ended. The preface's first half is read already."""
    there, back = await asyncio.open_connection("127.0.0.1", port)
    back.write(b"PRI * HTTP/2.0\r\n\r\n")

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        sink.close()

    await asyncio.gather(carry(reader, back), carry(there, writer))


class Channel:
    """One kept-alive connection to one server, as gRPC and PD keep theirs; dialled again when it broke."""

    def __init__(self, url: str) -> None:
        self.host, self.port = host_port(url)
        self._lock = asyncio.Lock()
        self._held: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, path: str, method: str = "GET", body: object = None, timeout_s: float = 1.0
    ) -> Answer:
        """Ask once; OSError or TimeoutError when there is no answer."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {len(data)}\r\n\r\n"
        try:
            async with asyncio.timeout(timeout_s), self._lock:
                if self._held is None:
                    self._held = await asyncio.open_connection(self.host, self.port)
                reader, writer = self._held
                writer.write(head.encode() + data)
                return await self._read(reader)
        except BaseException as error:
            self.close()
            if isinstance(error, asyncio.IncompleteReadError):
                raise ConnectionResetError(path) from error
            raise

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length"))
        return int(lines[0].split(" ", 2)[1]), (await reader.readexactly(length)).decode()

    def close(self) -> None:
        """Hang up."""
        held, self._held = self._held, None
        if held is not None:
            held[1].close()


def host_port(url: str) -> tuple[str, int]:
    """Split `http://host:port` or `host:port`."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)
