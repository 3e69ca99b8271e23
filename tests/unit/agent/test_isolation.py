"""No test reaches a network, a home or a key that is not its own."""

import asyncio
import os
import socket
from pathlib import Path

import httpx2
import pytest

ELSEWHERE = "192.0.2.1"  # TEST-NET-1: never routed
Refused = pytest.fail.Exception


def test_a_plain_socket_cannot_reach_out(reached: list[str]) -> None:
    with socket.socket() as outward, pytest.raises(Refused, match="tests reach loopback only"):
        outward.connect((ELSEWHERE, 443))

    assert reached == [f"socket.connect '{ELSEWHERE}'"]
    reached.clear()


async def test_asyncio_cannot_reach_out(reached: list[str]) -> None:
    with pytest.raises(Refused):
        await asyncio.open_connection(ELSEWHERE, 443)
    reached.clear()


async def test_an_http_client_cannot_reach_out_and_cannot_swallow_the_refusal(reached: list[str]) -> None:
    async with httpx2.AsyncClient() as client:
        # anyio wraps the refusal in a group; what counts is that it is none of the client's own errors
        with pytest.raises(BaseException) as caught:  # noqa: PT011
            await client.get(f"http://{ELSEWHERE}/")

    assert not isinstance(caught.value, Exception)
    assert reached == [f"socket.connect '{ELSEWHERE}'"]
    reached.clear()


def test_no_name_is_looked_up(reached: list[str]) -> None:
    with pytest.raises(Refused):
        socket.getaddrinfo("api.anthropic.com", 443)
    reached.clear()


def test_no_datagram_leaves(reached: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward, pytest.raises(Refused):
        outward.sendto(b"x", (ELSEWHERE, 53))
    reached.clear()


async def test_loopback_is_open() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


def test_home_state_and_keys_are_the_tests_own() -> None:
    assert "home" in Path.home().name
    assert Path(os.environ["OPERATOR_STATE_DIR"]).is_relative_to(Path.home())
    assert [name for name in os.environ if name.startswith("ANTHROPIC_")] == []
