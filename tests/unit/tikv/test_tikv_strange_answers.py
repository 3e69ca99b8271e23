"""A store or a PD that drips, or never ends, holds no look up."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from subjects.base import Connection
from subjects.errors import Unreachable
from subjects.tikv import store
from tests.standins.many_nodes import HOST, HealthServer, Manner


@pytest.fixture(params=[Manner.DRIPPING, Manner.SILENT])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    server = HealthServer(request.param)
    await server.start()
    yield f"http://{HOST}:{server.port}"
    server.die()


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as made:
        yield made


async def test_a_stores_status(url: str, client: httpx2.AsyncClient) -> None:
    probe = await store.look(client, f"{url}/status", 0.3)

    assert probe.connection is Connection.SILENT


async def test_a_stores_metrics(url: str, client: httpx2.AsyncClient) -> None:
    with pytest.raises(Unreachable, match="no answer within"):
        await store.metrics(client, url, ["tikv_"], 0.3)
