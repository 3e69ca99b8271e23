"""A limited rate is seen at a port that speaks gRPC, and none is seen where there is none."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine

import grpc.aio
import pytest

from subjects.base import NodeView, ProcessState, ProcessView, Role
from tools.faults import effects

RATE = 2000.0

Passing = Callable[[asyncio.StreamReader, asyncio.StreamWriter, float], Coroutine[None, None, None]]


async def passing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bytes_per_s: float) -> None:
    """Pass bytes on, in pieces, no faster than the rate."""
    with contextlib.suppress(OSError), contextlib.closing(writer):
        while piece := await reader.read(100):
            writer.write(piece)
            await asyncio.sleep(len(piece) / bytes_per_s)


@pytest.fixture
async def server() -> AsyncIterator[int]:
    """The port of a real gRPC server without a service."""
    running = grpc.aio.server()
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    yield port
    await running.stop(None)


@contextlib.asynccontextmanager
async def limited(port: int, bytes_per_s: float) -> AsyncIterator[int]:
    """A port through which `port` is reached at that rate."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(passing(reader, theirs[1], bytes_per_s), passing(theirs[0], writer, bytes_per_s))

    front = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with front:
        yield front.sockets[0].getsockname()[1]


def store(port: int) -> NodeView:
    return NodeView("tikv1", Role.STORE, f"127.0.0.1:{port}", ProcessView(ProcessState.RUNNING))


async def test_a_store_behind_a_limited_rate_is_seen_as_such(server: int) -> None:
    async with limited(server, RATE) as port:
        seen = await effects._throttled(store(port), RATE)

    assert seen is not None
    assert "a greeting of" in seen


async def test_a_store_that_is_not_limited_shows_nothing(server: int) -> None:
    assert await effects._throttled(store(server), RATE) is None


async def test_a_store_that_is_down_shows_nothing(unused_tcp_port: int) -> None:
    assert await effects._throttled(store(unused_tcp_port), RATE) is None
