"""A name that leads to several addresses is there if any of them answers, and down only if none does."""

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from subjects import dial
from subjects.errors import Unreachable
from subjects.etcd.addresses import Addresses, spread
from subjects.etcd.client import EtcdClient
from subjects.etcd.status import Member, Status
from tests.standins.many_nodes import HealthServer
from tools.detection.probe import HeldProbe, Reports
from tools.observe.signal import HEALTH_PORT
from tools.observe.targets import ProbeTarget, probe_new_connection

NAME, DEAD, ALSO_DEAD, LIVE = "members.example", "127.0.0.3", "127.0.0.4", "127.0.0.1"
Resolves = Callable[..., None]


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Resolves:
    """Have NAME lead to these addresses."""

    def to(*addresses: str) -> None:
        async def getaddrinfo(host: Any, port: Any, **_: Any) -> list[Any]:
            name = host.decode() if isinstance(host, bytes) else host
            found = addresses if name == NAME else (name,)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    return to


async def asked(port: int) -> str:
    """Hold a connection to the name; return what came of the first question, in a word."""
    came: asyncio.Queue[str] = asyncio.Queue()
    probe = HeldProbe(
        ProbeTarget("m1", HEALTH_PORT, NAME, port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"),
        Reports(lambda seen: came.put_nowait(seen.kind), lambda _: came.put_nowait("good")),
    )
    probe.ask()
    async with asyncio.timeout(60):
        first = await came.get()
    await probe.aclose()
    return first


async def test_one_address_that_answers_is_enough_for_every_way_of_asking(resolves: Resolves) -> None:
    server = HealthServer()
    await server.start()
    resolves(DEAD, LIVE)
    target = ProbeTarget("m1", HEALTH_PORT, NAME, server.port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    client = EtcdClient()
    try:
        assert await asked(server.port) == "good"
        assert await probe_new_connection(target) is None
        assert (await client.health(f"http://{NAME}:{server.port}", 5.0)).health == "healthy"
    finally:
        await client.aclose()
        server.die()


async def test_a_name_of_which_all_addresses_refuse_refuses(resolves: Resolves) -> None:
    server = HealthServer()
    await server.start()
    server.die()
    resolves(DEAD, ALSO_DEAD)

    assert await asked(server.port) == "refused"


async def test_an_address_that_swallows_packets_holds_up_no_other() -> None:
    ours, theirs = socket.socketpair()
    given_up = asyncio.Event()

    async def connect(address: str) -> socket.socket:
        if address == LIVE:
            return ours
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError

    async with asyncio.timeout(dial.NEXT_S * 20):
        assert await dial.first_of([DEAD, LIVE], connect) is ours
    assert given_up.is_set()
    ours.close()
    theirs.close()


async def test_a_connection_that_was_made_is_closed_if_nobody_wants_it_any_more() -> None:
    ours, theirs = socket.socketpair()
    tidying = asyncio.Event()

    async def connect(address: str) -> socket.socket:
        if address == LIVE:
            return ours
        try:
            await asyncio.Event().wait()
        finally:
            tidying.set()
            await asyncio.sleep(0)
        raise AssertionError

    asking = asyncio.create_task(dial.first_of([DEAD, LIVE], connect))
    await tidying.wait()
    asking.cancel()
    await asyncio.wait({asking})

    assert (asking.cancelled(), ours.fileno()) == (True, -1)
    theirs.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.3 is nobody's address")
async def test_when_the_address_in_use_dies_another_one_is_used(resolves: Resolves) -> None:
    asked_at: asyncio.Queue[str] = asyncio.Queue()
    open_now: dict[str, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        open_now[address] = writer
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                asked_at.put_nowait(address)
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"health":"true"}')

    first = await asyncio.start_server(serve, DEAD, 0)
    port = first.sockets[0].getsockname()[1]
    other = await asyncio.start_server(serve, LIVE, port)
    resolves(DEAD, LIVE)
    bad: list[str] = []
    probe = HeldProbe(
        ProbeTarget("m1", HEALTH_PORT, NAME, port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"),
        Reports(lambda seen: bad.append(seen.kind), lambda _: None),
    )
    probe.ask()
    async with asyncio.timeout(60):
        assert await asked_at.get() == DEAD
        first.close()
        open_now[DEAD].transport.abort()
        assert await asked_at.get() == LIVE
    await probe.aclose()
    other.close()

    assert bad == []


async def test_an_endpoints_name_is_asked_at_each_of_its_addresses(resolves: Resolves) -> None:
    resolves(DEAD, LIVE)

    assert await spread([f"http://{NAME}:2379"], "http") == [f"http://{DEAD}:2379", f"http://{LIVE}:2379"]


async def test_of_a_members_addresses_one_that_answered_last_is_watched() -> None:
    addresses = Addresses(EtcdClient(), (f"http://{DEAD}:2379", f"http://{LIVE}:2379"))
    member = Member("a1", "m1", tuple(addresses.urls), learner=False)
    addresses.owners = dict.fromkeys(addresses.urls, member.id)
    addresses.answers = {
        addresses.urls[0]: Unreachable("refused"),
        addresses.urls[1]: Status("a1", "3.5.21", None, has_leader=True),
    }
    found = await addresses.endpoints([member])
    await addresses.client.aclose()

    assert found[member.name].client == addresses.urls[1]
