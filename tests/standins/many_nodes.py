"""Health servers: real listening sockets that answer as etcd's `/health` does, or in any wrong way.

As a program (`python -m tests.standins.many_nodes 1000`) it serves that many nodes from one process,
prints their ports as JSON, and takes commands on standard input: `kill N`, `silence N`, `revive N`.
"""

import asyncio
import contextlib
import json
import resource
import sys
from enum import StrEnum

HOST = "127.0.0.1"
HEALTHY = b'{"health":"true","reason":""}'
UNHEALTHY = b'{"health":"false","reason":"RAFT NO LEADER"}'


class Manner(StrEnum):
    """How a server answers."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    SILENT = "silent"
    GARBAGE = "garbage"
    ENDLESS = "endless"
    DRIPPING = "dripping"
    """Headers first, then one byte now and then, without an end."""
    OTHER_SERVICE = "other service"
    CLOSING = "closing"
    """A whole answer, and the connection is closed after each."""
    DROPPING = "dropping"
    """Accepts, and closes before it answers, as a published port of a dead container does."""
    HOSTILE = "hostile"
    """Escape sequences in the answer."""


class HealthServer:
    """One node's health port."""

    def __init__(self, manner: Manner = Manner.HEALTHY) -> None:
        self.manner = manner
        self.port = 0
        self.asked = 0
        self.newcomers_ignored = 0
        """Of every two connections that are made from now on, so many never get an answer."""
        self.newcomers_reset = False
        """Every connection that is made from now on is reset at once; those that are there are served."""
        self.delay_s = 0.0
        """How long a healthy answer takes on its way."""
        self.made = 0
        """Connections that were made so far."""
        self._server: asyncio.Server | None = None
        self._wires: set[_Wire] = set()

    async def start(self) -> int:
        """Listen, on the same port as before if it listened before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Wire(self), HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    def die(self) -> None:
        """Do what a kernel does to a dead process: refuse from now on, and reset what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for wire in list(self._wires):
            wire.cut()

    def hang_up(self) -> None:
        """Close the open connections and go on listening, as servers tidy up idle ones."""
        for wire in list(self._wires):
            wire.close()


class _Wire(asyncio.Protocol):
    def __init__(self, server: HealthServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._ignored = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._wires.add(self)
        self._ignored = self._server.made % 2 < self._server.newcomers_ignored
        self._server.made += 1
        if self._server.newcomers_reset:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._wires.discard(self)
        if self._feeding is not None:
            self._feeding.cancel()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._server.asked += 1
        if self._ignored:
            return
        match self._server.manner:
            case Manner.HEALTHY:
                loop = asyncio.get_running_loop()
                loop.call_later(self._server.delay_s, self._transport.write, _answer(200, HEALTHY))
            case Manner.UNHEALTHY:
                self._transport.write(_answer(503, UNHEALTHY))
            case Manner.GARBAGE:
                self._transport.write(b"SSH-2.0-OpenSSH_9.6\r\n")
            case Manner.OTHER_SERVICE:
                self._transport.write(_answer(200, b"<html><body>It works!</body></html>"))
            case Manner.CLOSING:
                self._transport.write(_answer(200, HEALTHY, b"Connection: close\r\n"))
                self._transport.close()
            case Manner.DROPPING:
                self._transport.close()
            case Manner.HOSTILE:
                self._transport.write(
                    _answer(503, b'{"health":"false","reason":"\x1b[2J\x1b]0;x\x07\r\nE99 forged"}')
                )
            case Manner.ENDLESS | Manner.DRIPPING as manner:
                self._transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                self._feeding = asyncio.get_running_loop().create_task(self._feed(manner))
            case Manner.SILENT:
                return

    async def _feed(self, manner: Manner) -> None:
        piece = b"1\r\n{\r\n" if manner is Manner.DRIPPING else b"1000\r\n" + b"x" * 4096 + b"\r\n"
        while self._transport is not None and not self._transport.is_closing():
            self._transport.write(piece)
            await asyncio.sleep(0.1 if manner is Manner.DRIPPING else 0.001)


def _answer(status: int, body: bytes, more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
    return head % (status, more, len(body)) + body


async def _serve(count: int) -> None:
    servers = [HealthServer() for _ in range(count)]
    for server in servers:
        await server.start()
    print(json.dumps([server.port for server in servers]), flush=True)
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        act, number = line.split()
        server = servers[int(number)]
        match act:
            case b"kill":
                server.die()
            case b"silence":
                server.manner = Manner.SILENT
            case b"revive":
                server.manner = Manner.HEALTHY
                with contextlib.suppress(OSError):
                    await server.start()
        print(json.dumps({"done": act.decode()}), flush=True)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve(int(sys.argv[1])))
