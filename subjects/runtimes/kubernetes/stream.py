"""Bytes to and from a pod: a program that runs in it (exec), or one of its ports (port-forward).

Both are websockets with a channel number before each message (v4.channel.k8s.io).
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import aiohttp

from subjects.errors import Unreachable
from subjects.runtimes.kubernetes.api import Api

_STDIN, _STDOUT, _STDERR = range(3)
_DATA, _ERROR = range(2)


class Stream(Protocol):
    """One connection."""

    async def send(self, data: bytes) -> None:
        """Send; Unreachable once it is closed."""
        ...

    async def receive(self) -> bytes:
        """Return what came next; empty at the end."""
        ...


class Exec:
    """A program in a container: its standard input and output."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.errors = ""
        """The end of what it wrote to its standard error."""

    async def send(self, data: bytes) -> None:
        """Write to its standard input."""
        await _send(self._socket, bytes([_STDIN]) + data)

    async def receive(self) -> bytes:
        """Return what it wrote next."""
        while (message := await _receive(self._socket)) is not None:
            channel, data = message[0], message[1:]
            if channel == _STDOUT and data:
                return data
            if channel == _STDERR:
                self.errors = (self.errors + data.decode("utf-8", "replace"))[-500:]
        return b""


class Forward:
    """A connection to a port of a pod, made by its node."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._greeted: set[int] = set()

    async def send(self, data: bytes) -> None:
        """Send to the port."""
        await _send(self._socket, bytes([_DATA]) + data)

    async def receive(self) -> bytes:
        """Return what came from the port."""
        while (message := await _receive(self._socket)) is not None:
            channel, data = message[0], message[1:]
            if channel not in self._greeted:  # each channel begins with the port's number
                self._greeted.add(channel)
            elif channel == _DATA and data:
                return data
            elif channel == _ERROR and data:
                return b""
        return b""


@contextlib.asynccontextmanager
async def execute(
    api: Api, namespace: str, pod: str, container: str, command: Sequence[str]
) -> AsyncIterator[Exec]:
    """Run a program in a container for as long as it is held."""
    query = [
        ("container", container),
        *(("command", each) for each in command),
        *((name, "true") for name in ("stdin", "stdout", "stderr")),
    ]
    async with api.socket(f"/api/v1/namespaces/{namespace}/pods/{pod}/exec", query) as socket:
        yield Exec(socket)


@contextlib.asynccontextmanager
async def forward(api: Api, namespace: str, pod: str, port: int) -> AsyncIterator[Forward]:
    """Hold a connection to a port of a pod."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    async with api.socket(path, [("ports", str(port))]) as socket:
        yield Forward(socket)


async def _send(socket: aiohttp.ClientWebSocketResponse, data: bytes) -> None:
    try:
        await socket.send_bytes(data)
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"The stream into the pod is closed: {error}.") from error


async def _receive(socket: aiohttp.ClientWebSocketResponse) -> bytes | None:
    """Return the next message with its channel; None at the end, however it came."""
    while True:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY and message.data:
            return bytes(message.data)
        if message.type is aiohttp.WSMsgType.TEXT and message.data:
            return str(message.data).encode()
        if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
            return None
