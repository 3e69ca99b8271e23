"""A store or a PD that drips, or never ends, holds no look up; one that speaks TLS is not told as down."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from subjects.base import Connection
from subjects.clusters import attach
from subjects.errors import Unreachable, Unsupported
from subjects.tikv import store
from tests.standins.authority import Authority
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


async def test_a_pd_that_speaks_tls_is_refused_and_not_told_as_down(tmp_path: Path) -> None:
    signed = Authority(tmp_path).sign("pd", ["pd-0"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(signed.cert, signed.key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]

    with pytest.raises(Unsupported, match="Its PDs speak TLS"):
        await attach("tikv", [f"{HOST}:{port}"])
    server.close()
