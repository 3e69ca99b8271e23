"""What is spoken at an address that hung up on HTTP: asked with a few bytes, once in a while."""

import asyncio
import ssl
from contextlib import suppress
from typing import Literal

from subjects.dial import open_connection

Spoken = Literal["http", "tls", "grpc"]

WITHIN_S = 0.5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""How HTTP/2 begins, and an empty SETTINGS frame (RFC 9113, 3.4)."""
SETTINGS = 4
"""The type of the frame with which every server answers."""
_REQUEST = b"GET /version HTTP/1.1\r\nHost: database\r\nConnection: close\r\n\r\n"


async def spoken_at(host: str, port: int, tls: ssl.SSLContext | None) -> Spoken | None:
    """Return what is spoken there: plain HTTP, TLS, or gRPC only; None when it is none of them.

    `tls` is what the address was asked with, None for a plain one.
    """
    if await _begins(host, port, _REQUEST, None) == b"HTTP/1.":
        return None if tls is None else "http"
    if tls is None and await _shakes_hands(host, port):
        return "tls"
    answer = await _begins(host, port, PREFACE, tls)
    return "grpc" if len(answer) >= 4 and answer[3] == SETTINGS else None


async def _begins(host: str, port: int, request: bytes, tls: ssl.SSLContext | None) -> bytes:
    """Return the first seven bytes of the answer to `request`; fewer, if there is none."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(WITHIN_S):
            reader, writer = await open_connection(host, port, tls)
            try:
                writer.write(request)
                return await reader.readexactly(7)
            finally:
                writer.transport.abort()
    return b""


async def _shakes_hands(host: str, port: int) -> bool:
    """Whether TLS is spoken, be it with a certificate that nobody knows: nothing is sent over it."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            try:
                _, writer = await open_connection(host, port, anybody)
            except ssl.SSLError as error:
                return "ALERT" in str(error).upper()  # it wants a certificate of ours: in TLS, too
            writer.transport.abort()
            return True
    return False
