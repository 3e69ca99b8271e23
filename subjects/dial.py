"""Connections to names with several addresses: the name is up if any of its addresses answers.

asyncio tries the addresses one after the other, so one that drops packets uses up the whole timeout. And
where several refuse, its error no longer says that the connection was refused.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

NEXT_S = 0.25
"""After so long without a connection the next address is tried as well (RFC 8305, section 5: 250 ms)."""


def refuses_us(error: BaseException | None) -> bool:
    """Whether a TLS connection was ended by an alert about us: our certificate, or that there is none.

    Over TLS 1.3 that comes only with what is read after the handshake. An internal error is the server's own.
    """
    if not isinstance(error, ssl.SSLError):
        return False
    said = f"{error.reason or ''} {error}".upper()
    return "ALERT" in said and "INTERNAL" not in said


async def create_connection(
    factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, tls: ssl.SSLContext | None = None
) -> None:
    """Connect as the loop does. OSError if no address answers, ConnectionRefusedError if one refused."""
    await asyncio.get_running_loop().create_connection(factory, **await _reached(host, port, tls))


async def open_connection(
    host: str, port: int, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as `asyncio.open_connection` does, with the same errors as `create_connection`."""
    return await asyncio.open_connection(**await _reached(host, port, tls))


async def first_of(addresses: Sequence[T], connect: Callable[[T], Awaitable[socket.socket]]) -> socket.socket:
    """Return the first connection. The next address is tried once one fails or takes over NEXT_S."""
    left, running, failed = list(addresses), set[asyncio.Task[socket.socket]](), list[OSError]()
    won: socket.socket | None = None
    try:
        while won is None and (left or running):
            if left:
                running.add(asyncio.ensure_future(connect(left.pop(0))))
            ended, running = await asyncio.wait(
                running, timeout=NEXT_S if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in ended:
                error = task.exception()
                if isinstance(error, OSError):
                    failed.append(error)
                elif error is not None:
                    raise error
                elif won is None:
                    won = task.result()
                else:
                    task.result().close()
    finally:
        for task in running:
            task.cancel()
        try:
            losers = await asyncio.gather(*running, return_exceptions=True)
        except asyncio.CancelledError:
            if won is not None:
                won.close()
            raise
        for late in losers:
            if isinstance(late, socket.socket):
                late.close()
    if won is None:
        raise next((each for each in failed if isinstance(each, ConnectionRefusedError)), failed[0])
    return won


async def _reached(host: str, port: int, tls: ssl.SSLContext | None) -> dict[str, Any]:
    """Return the arguments with which asyncio's own functions connect there."""
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return {"host": host, "port": port, "ssl": tls}
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label of more than 63 signs
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is no name") from error
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))

    async def connect(to: tuple[int, Any]) -> socket.socket:
        made = socket.socket(to[0], socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            await loop.sock_connect(made, to[1])
        except BaseException:
            made.close()
            raise
        return made

    return {
        "sock": await first_of(addresses, connect),
        "ssl": tls,
        "server_hostname": host if tls is not None else None,
    }
