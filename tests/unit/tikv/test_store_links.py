"""A connection to a store is made for all operations, whatever time the one that asks for it has left."""

import time
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from subjects.tikv.links import StoreLink


@pytest.fixture
async def store() -> AsyncIterator[str]:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_an_operation_without_time_left_does_not_break_it_for_the_others(store: str) -> None:
    """A client whose operations all waited until their deadline never found a store that was back."""
    link = StoreLink(store)
    try:
        await link.line(time.monotonic() - 0.001)  # a slow machine may be connected by the next look
        assert link.fit
        assert await link.line(time.monotonic() + 30) is not None
    finally:
        await link.aclose()


async def test_a_store_that_cannot_be_reached_is_left_alone_for_a_while(store: str) -> None:
    link = StoreLink("127.0.0.1:1")
    try:
        assert await link.line(time.monotonic() + 30) is None
        assert not link.fit
        link.address = store
        assert await link.line(time.monotonic() + 0.2) is None
    finally:
        await link.aclose()
