"""An exchange that is given up, at whatever moment, leaves no connection open."""

import asyncio
import gc
from contextlib import closing, suppress
from typing import Any

import httpx2
import pytest

from subjects import answers
from subjects.answers import exchange

TURNS = 12
"""Of the loop, after which it is given up; the connections that had ended are closed in the first three."""


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with (
        suppress(asyncio.IncompleteReadError, ConnectionError),
        closing(writer),
    ):  # it may be given up at once
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.01)  # all four ask before the first is answered, each by its own connection
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_cut_short_while_the_client_tidies_up_connections_that_ended() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for turns in range(TURNS):
        async with httpx2.AsyncClient(trust_env=False) as client:
            await asyncio.gather(*(exchange(client, "GET", url, 5) for _ in range(4)))
            await asyncio.sleep(0.05)
            given_up = asyncio.create_task(exchange(client, "GET", url, 5))
            for _ in range(turns):
                await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.wait({given_up})
            await asyncio.sleep(0.02)
        assert given_up.cancelled() or turns > 3
        del client, given_up
        gc.collect()  # an open one fails the test: the suite takes such warnings for errors
    server.close()
    await server.wait_closed()


async def test_no_answer_in_time_is_a_timeout() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with httpx2.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx2.ReadTimeout, match=r"no answer within 0\.05 s"):
            await exchange(client, "GET", url, 0.05)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("given_up", [False, True])
async def test_a_handshake_that_does_not_end_leaves_no_connection_open(*, given_up: bool) -> None:
    connected, ended = asyncio.Event(), asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        ended.set()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with httpx2.AsyncClient(trust_env=False) as client:
        asking = asyncio.create_task(exchange(client, "GET", url, 5 if given_up else 0.1))
        await connected.wait()
        if given_up:
            await asyncio.sleep(0.02)
            asking.cancel()
        await asyncio.wait({asking})
        async with asyncio.timeout(60):
            await ended.wait()
        del asking
    server.close()
    await server.wait_closed()
    gc.collect()


async def test_what_becomes_of_an_exchange_that_was_given_up_is_no_news() -> None:
    """From Python 3.14 on a task under asyncio.shield has its exception logged, with a traceback."""
    logged: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    asked = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with httpx2.AsyncClient(trust_env=False) as client:
        given_up = asyncio.create_task(exchange(client, "GET", url, 5))
        await asked.wait()
        given_up.cancel()
        await asyncio.wait({given_up})
        while answers._under_way:
            await asyncio.sleep(0)
    server.close()
    await server.wait_closed()

    assert (given_up.cancelled(), logged) == (True, [])
