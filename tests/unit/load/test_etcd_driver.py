"""The etcd driver: what comes back, what is tried elsewhere, and what may never be sent twice."""

import errno
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientError, ClientOSError, ServerDisconnectedError, web

from subjects.etcd.load import EtcdDriver, _why
from subjects.load import OperationFailed
from subjects.runtimes.ports import free_ports
from tests.standins.etcd_gateway_standin import gateway
from tests.standins.etcd_members import Members
from tools.load.driver import Driver

PROOF: type[Driver] = EtcdDriver
"""mypy holds that the driver fits the protocol."""


@asynccontextmanager
async def driver(endpoints: Sequence[str]) -> AsyncIterator[EtcdDriver]:
    made = EtcdDriver(endpoints, {})
    await made.connect()
    try:
        yield made
    finally:
        await made.close()


def soon(seconds: float = 3.0) -> float:
    return time.monotonic() + seconds


def dead() -> str:
    return f"http://127.0.0.1:{free_ports(1)[0]}"


async def test_what_was_written_is_read_with_the_revision_of_its_write(member: Members) -> None:
    async with driver(member.endpoints) as client:
        first = await client.insert("userA", b"\x00one\xff", soon())
        second = await client.update("userA", b"two", soon())
        record = await client.read("userA", soon())

    assert record is not None
    assert (record.value, record.revision) == (b"two", second)
    assert second == first + 1


async def test_a_record_that_is_not_there_is_none(member: Members) -> None:
    async with driver(member.endpoints) as client:
        assert await client.read("nobody", soon()) is None


async def test_a_scan_counts_records_from_its_start_on(member: Members) -> None:
    async with driver(member.endpoints) as client:
        for n in range(5):
            await client.insert(f"userS{n}", b"x", soon())

        assert await client.scan("userS1", 3, soon()) == 3
        assert await client.scan("userS3", 10, soon()) == 2
        assert await client.scan("userT", 10, soon()) == 0


async def test_a_refused_connection_goes_elsewhere_for_reads_and_writes(member: Members) -> None:
    gone = dead()
    async with driver([gone, *member.endpoints]) as client:
        for _ in range(4):
            await client.update("userF", b"x", soon())
            await client.read("userF", soon())

        assert client.take_failures() == {gone: 1}
        assert client.take_failures() == {}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ClientOSError(None, "Can not write request body for http://h:1/v3/kv/put"),
            "the connection broke while",
        ),
        (ClientOSError(errno.ECONNRESET, "Connection reset by peer"), "Connection reset by peer"),
        (ServerDisconnectedError(), "Server disconnected"),
    ],
)
def test_a_failure_is_told_in_words_that_are_not_a_library_s(error: ClientError, told: str) -> None:
    assert _why(error).startswith(told)
    assert "Errno" not in _why(error)


async def test_nobody_there_is_an_error_that_comes_at_once_and_leaves_no_doubt() -> None:
    async with driver([dead(), dead()]) as client:
        with pytest.raises(OperationFailed, match="cannot connect") as failed:
            await client.update("userN", b"x", soon(30))

    assert not failed.value.indeterminate
    assert not failed.value.timed_out


async def test_a_write_without_an_answer_is_in_doubt_and_is_sent_once() -> None:
    async with gateway() as silent, gateway() as well, driver([silent.url, well.url]) as client:
        silent.stall_s = 5
        with pytest.raises(OperationFailed) as failed:
            await client.update("userD", b"x", soon(0.3))

        assert failed.value.timed_out
        assert failed.value.indeterminate
        assert str(failed.value).startswith(silent.url)
        assert (silent.puts, well.puts) == (1, 0)


async def test_a_read_without_an_answer_is_asked_elsewhere_within_its_deadline() -> None:
    async with gateway() as silent, gateway() as well, driver([silent.url, well.url]) as client:
        silent.stall_s = 5

        assert await client.read("userD", soon(2)) is None
        assert client.take_failures() == {silent.url: 1}


async def test_a_silent_endpoint_does_not_stall_the_operations_after() -> None:
    async with gateway() as silent, gateway() as well, driver([silent.url, well.url]) as client:
        silent.stall_s = 5
        await client.read("userD", soon(2))
        for _ in range(10):
            await client.update("userD", b"x", soon(2))

        assert well.puts == 10
        assert client.take_failures() == {silent.url: 1}


async def test_a_connection_that_breaks_under_a_write_leaves_it_in_doubt() -> None:
    def broken(_: str) -> web.StreamResponse:
        raise ConnectionResetError

    async with gateway() as breaking, driver([breaking.url]) as client:
        breaking.answer = broken
        with pytest.raises(OperationFailed) as failed:
            await client.update("userB", b"x", soon())

    assert failed.value.indeterminate
    assert not failed.value.timed_out


@pytest.mark.parametrize(
    ("code", "status", "doubt"),
    [
        (8, 429, False),  # too many requests, no space: refused before it was proposed
        (14, 503, True),  # leader lost, timed out: may have been proposed
        (4, 504, True),
    ],
)
async def test_only_a_certain_refusal_leaves_no_doubt(code: int, status: int, doubt: bool) -> None:
    async with gateway() as refusing, driver([refusing.url]) as client:
        refusing.answer = lambda _: web.json_response({"code": code, "message": "no"}, status=status)
        with pytest.raises(OperationFailed, match=f"HTTP {status}: no") as failed:
            await client.update("userC", b"x", soon())

    assert failed.value.indeterminate is doubt


@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b"[1]", b"\xff\xfe"])
async def test_another_service_on_the_port_is_told(body: bytes) -> None:
    async with gateway() as other, driver([other.url]) as client:
        other.answer = lambda _: web.Response(body=body)
        with pytest.raises(OperationFailed, match="not etcd's JSON"):
            await client.read("userO", soon())


@pytest.mark.parametrize(
    "reply", [{}, {"header": {}}, {"kvs": [{}], "header": 3}, {"kvs": "x", "header": {"revision": "y"}}]
)
async def test_json_of_another_shape_is_an_error_of_the_endpoint(reply: dict[str, object]) -> None:
    async with gateway() as other, driver([other.url]) as client:
        other.answer = lambda _: web.json_response(reply)
        with pytest.raises(OperationFailed, match="not etcd's JSON"):
            await client.update("userO", b"x", soon())
        with pytest.raises(OperationFailed, match="not etcd's JSON"):
            await client.read("userO", soon())
        with pytest.raises(OperationFailed, match="not etcd's JSON"):
            await client.scan("userO", 3, soon())


def test_options_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ValueError, match="no options"):
        EtcdDriver([dead()], {"fast": "yes"})
