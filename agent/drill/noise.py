"""The red herring: requests that keep a healthy node busy while its connections come and go."""

import asyncio
import contextlib

from subjects.base import Subject

CONNECTIONS_PER_S = 40
_GARBAGE = b"GET /nothing-here HTTP/1.1\r\nHost: noise\r\nConnection: close\r\n\r\n"


async def generate_noise(subject: Subject, node: str, seconds: float) -> None:
    """Open connections to the node's watched port, ask for what is not there, and hang up."""
    host, port = subject.watch_address(node)
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                _, writer = await asyncio.open_connection(host, port)
                writer.write(_GARBAGE)
                await writer.drain()
                writer.transport.abort()
        await asyncio.sleep(1 / CONNECTIONS_PER_S)
