"""A server that answers each request with given bytes: what stands where an API was expected."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[[Mapping[str, Any]], bytes]


@dataclass
class StrangeService:
    """What came, and how it is answered: `answer` gets the request's JSON and returns raw bytes."""

    answer: Answer
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            first = await reader.readexactly(1)
            if first == b"\x16":  # a TLS handshake: a plain HTTP server takes it for a bad request
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                writer.close()
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            size = int((re.findall(r"(?i)content-length: (\d+)", head) or ["0"])[0])
            body = await reader.readexactly(size)
            self.heads.append(head)
            self.bodies.append(json.loads(body or b"{}"))
            writer.write(self.answer(self.bodies[-1]))
            await writer.drain()
        writer.close()


@asynccontextmanager
async def strange_service(
    answer: bytes | Callable[[Mapping[str, Any]], bytes],
) -> AsyncIterator[StrangeService]:
    service = StrangeService(answer if callable(answer) else lambda _: answer)
    server = await asyncio.start_server(service.connection, "127.0.0.1", 0, limit=1 << 22)
    service.port = server.sockets[0].getsockname()[1]
    async with server:
        yield service


def http(body: bytes | str, status: str = "200 OK", kind: str = "text/event-stream", more: str = "") -> bytes:
    """An answer whose end is the connection's."""
    raw = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}connection: close\r\n\r\n".encode() + raw


def sse(*events: Mapping[str, Any] | bytes) -> bytes:
    """A stream of these events; bytes stand as they are in the place of the JSON."""
    pieces = []
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        name = "" if isinstance(event, bytes) else str(event.get("type", ""))
        pieces.append((f"event: {name}\n".encode() if name else b"") + b"data: " + data + b"\n\n")
    return b"".join(pieces)


def refusal(message: str, status: str = "400 Bad Request", kind: str = "invalid_request_error") -> bytes:
    """A refusal in the API's own form."""
    error = {"type": "error", "error": {"type": kind, "message": message}}
    return http(json.dumps(error), status, "application/json")


def spoken(*blocks: Mapping[str, Any], stop: str | None = "end_turn") -> bytes:
    """A whole reply of text blocks, as the API sends it."""
    events: list[Mapping[str, Any] | bytes] = [{"type": "message_start", "message": {"usage": {}}}]
    for index, block in enumerate(blocks):
        events += [
            {"type": "content_block_start", "index": index, "content_block": block},
            {"type": "content_block_stop", "index": index},
        ]
    events += [{"type": "message_delta", "delta": {"stop_reason": stop}}, {"type": "message_stop"}]
    return http(sse(*events))
