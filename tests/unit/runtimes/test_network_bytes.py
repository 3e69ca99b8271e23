"""What passes the network process, with real sockets: nothing is lost, reordered or held without bound."""

import asyncio
import contextlib
import functools
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from subjects.base import Direction, LinkRule, Scope
from subjects.runtimes.layout import Link
from subjects.runtimes.network.pipe import MAX_HELD
from subjects.runtimes.network.proxy import Proxy
from subjects.runtimes.network.sockdiag import Address
from subjects.runtimes.network.sockdiag import Ends as Both
from subjects.runtimes.ports import HOST
from tests.waiting import until

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
BOUND_S = 60.0
SHORT_S = 0.15
"""Long enough for what would pass to have passed."""


class Line:
    """One link of a network, with a node that listens behind it."""

    def __init__(self, scope: Scope = Scope.CLIENTS) -> None:
        self.dialled_by: dict[Address, str] = {}
        self.proxy = Proxy(self._who)
        self._scope = scope
        self._node: asyncio.Server | None = None
        self._front: asyncio.Server | None = None
        self._arrived: asyncio.Queue[Ends] = asyncio.Queue()
        self._open: list[asyncio.StreamWriter] = []
        self.port = 0

    async def __aenter__(self) -> "Line":
        self._node = await asyncio.start_server(lambda r, w: self._arrived.put_nowait((r, w)), HOST, 0)
        target = self._node.sockets[0].getsockname()[1]
        listening = socket.create_server((HOST, 0))
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        link = Link("n1", self._scope, self.port, target)
        self._front = await self.proxy.serve(link, listening)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.proxy.apply(())
        while not self._arrived.empty():
            self._open.append(self._arrived.get_nowait()[1])
        for writer in self._open:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await self.close_node()
        assert self._front is not None
        self._front.close()
        await until(lambda: not len(self.proxy))

    def _who(self, connections: Sequence[Both]) -> Mapping[Both, str]:
        return {each: self.dialled_by[each[0]] for each in connections if each[0] in self.dialled_by}

    async def dial(self) -> Ends:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        self._open.append(writer)
        return reader, writer

    async def arrived(self) -> Ends:
        async with asyncio.timeout(BOUND_S):
            ends = await self._arrived.get()
        self._open.append(ends[1])
        return ends

    async def connect(self, dialler: str | None = None) -> tuple[Ends, Ends]:
        """Return (the dialler's end, the node's end)."""
        near = await self.dial()
        if dialler is not None:
            self.dialled_by[near[1].get_extra_info("sockname")] = dialler
        return near, await self.arrived()

    async def close_node(self) -> None:
        if self._node is not None:
            self._node.close()
            self._node = None


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with Line() as made:
        yield made


async def read(reader: asyncio.StreamReader, count: int) -> bytes:
    async with asyncio.timeout(BOUND_S):
        return await reader.readexactly(count)


async def nothing_comes(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(SHORT_S):
            await reader.read(1)
    except TimeoutError:
        return True
    return False


async def is_reset(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(BOUND_S):
        try:
            await reader.read()
        except ConnectionResetError:
            return True
    return False


def rule(effect: str, value: float = 0.0, direction: Direction = Direction.BOTH, **more: object) -> LinkRule:
    return LinkRule("n1", effect, value, direction=direction, **more)  # type: ignore[arg-type]


async def test_megabytes_pass_both_ways_at_once_unchanged(line: Line) -> None:
    near, far = await line.connect()
    there, back = random.randbytes(8 << 20), random.randbytes(8 << 20)

    async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    *_, at_node, at_dialler = await asyncio.gather(
        send(near[1], there), send(far[1], back), read(far[0], len(there)), read(near[0], len(back))
    )

    assert (there, back) == (at_node, at_dialler)


async def test_a_slow_reader_slows_its_sender_and_fills_no_memory(line: Line) -> None:
    (_, writer), (reader, _) = await line.connect()
    reader._transport.pause_reading()  # type: ignore[attr-defined] # a process that reads nothing
    sent = await _send_until_blocked(writer)

    assert sent < 32 << 20  # kernel buffers of four sockets, and ours

    reader._transport.resume_reading()  # type: ignore[attr-defined]
    assert await read(reader, sent) == _pattern(sent)


async def test_a_cut_holds_bytes_back_and_a_heal_delivers_them_in_order(line: Line) -> None:
    near, far = await line.connect()
    line.proxy.apply((rule("cut"),))
    for n in range(100):
        near[1].write(b"%03d" % n)
        far[1].write(b"%03d" % n)
        await asyncio.sleep(0)

    assert await nothing_comes(far[0])
    assert await nothing_comes(near[0])

    line.proxy.apply(())
    expected = b"".join(b"%03d" % n for n in range(100))
    assert await read(far[0], 300) == expected
    assert await read(near[0], 300) == expected


async def test_a_cut_blocks_a_sender_of_megabytes_and_loses_none_of_them(line: Line) -> None:
    (_, writer), (reader, _) = await line.connect()
    line.proxy.apply((rule("cut"),))
    sent = await _send_until_blocked(writer)

    assert MAX_HELD <= sent < 32 << 20

    line.proxy.apply(())
    assert await read(reader, sent) == _pattern(sent)


async def test_a_cut_hides_that_one_side_has_ended_until_it_heals(line: Line) -> None:
    near, far = await line.connect()
    line.proxy.apply((rule("cut"),))
    near[1].write(b"last words")
    near[1].close()

    assert await nothing_comes(far[0])

    line.proxy.apply(())
    async with asyncio.timeout(BOUND_S):
        assert await far[0].read() == b"last words"


@pytest.mark.parametrize("direction", [Direction.IN, Direction.OUT])
async def test_a_one_way_cut_stops_one_direction_only(line: Line, direction: Direction) -> None:
    near, far = await line.connect()
    line.proxy.apply((rule("cut", direction=direction),))
    near[1].write(b"to the node")
    far[1].write(b"from the node")

    passes, stopped = (near[0], far[0]) if direction is Direction.IN else (far[0], near[0])
    assert (await passes.read(20)).endswith(b"the node")
    assert await nothing_comes(stopped)


async def test_a_connection_asked_for_in_a_cut_gets_no_answer_and_is_reset_when_it_heals(line: Line) -> None:
    line.proxy.apply((rule("cut"),))
    reader, writer = await line.dial()
    writer.write(b"hello?")

    assert await nothing_comes(reader)

    line.proxy.apply(())
    assert await is_reset(reader)


async def test_connections_that_gave_up_in_a_cut_are_let_go(line: Line) -> None:
    line.proxy.apply((rule("cut"),))
    for _ in range(20):
        _, writer = await line.dial()
        writer.close()

    await until(lambda: not len(line.proxy))


async def test_reset_sends_rst_on_present_connections_and_on_new_ones(line: Line) -> None:
    near, far = await line.connect()
    line.proxy.apply((rule("reset"),))

    assert await is_reset(near[0])
    assert await is_reset(far[0])
    try:
        reader, _ = await line.dial()
        assert await is_reset(reader)
    except ConnectionResetError:
        pass  # it came even before the dialler could look


async def test_a_reset_by_one_side_reaches_the_other_as_a_reset(line: Line) -> None:
    near, far = await line.connect()
    sock = far[1].get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far[1].transport.abort()

    assert await is_reset(near[0])


async def test_where_nobody_listens_the_dialler_is_reset(line: Line) -> None:
    await line.close_node()
    try:
        reader, _ = await line.dial()
        assert await is_reset(reader)
    except ConnectionResetError:
        pass
    await until(lambda: not len(line.proxy))


async def test_half_closed_is_half_open_and_nothing_is_left_once_both_have_ended(line: Line) -> None:
    near, far = await line.connect()
    near[1].write(b"question")
    near[1].write_eof()
    async with asyncio.timeout(BOUND_S):
        assert await far[0].read() == b"question"
    far[1].write(b"answer")
    far[1].write_eof()
    async with asyncio.timeout(BOUND_S):
        assert await near[0].read() == b"answer"

    await until(lambda: not len(line.proxy))


async def test_an_end_that_was_held_back_for_one_who_was_reset_meanwhile_harms_nobody(line: Line) -> None:
    near, far = await line.connect()
    line.proxy.apply((rule("cut"),))
    near[1].write_eof()
    await asyncio.sleep(SHORT_S)
    sock = far[1].get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far[1].transport.abort()
    await asyncio.sleep(0)  # its reset is there, and the loop has not been told of it yet

    line.proxy.apply(())

    assert await is_reset(near[0])


async def test_delay_adds_its_time_and_keeps_the_order_also_when_it_is_lowered(line: Line) -> None:
    near, far = await line.connect()
    line.proxy.apply((rule("delay", 300, Direction.IN),))
    began = time.monotonic()
    near[1].write(b"first ")
    await asyncio.sleep(0.02)
    line.proxy.apply((rule("delay", 1, Direction.IN),))
    near[1].write(b"second")

    assert await read(far[0], 12) == b"first second"
    assert time.monotonic() - began >= 0.3


async def test_a_limited_rate_takes_its_time_and_drips(line: Line) -> None:
    near, far = await line.connect()
    line.proxy.apply((rule("rate", 20_000),))
    began = time.monotonic()
    near[1].write(_pattern(10_000))
    first = await far[0].read(10_000)
    rest = await read(far[0], 10_000 - len(first))

    assert first + rest == _pattern(10_000)
    assert time.monotonic() - began > 0.4
    assert len(first) < 5_000


async def test_loss_takes_the_share_that_was_asked_for(line: Line) -> None:
    line.proxy.apply((rule("loss", 1.0),))
    reader, writer = await line.dial()
    writer.write(b"hello?")
    assert await nothing_comes(reader)

    line.proxy.apply((rule("loss", 0.0),))
    near, far = await line.connect()
    near[1].write(b"hello")
    assert await read(far[0], 5) == b"hello"


async def test_a_cut_of_a_node_also_holds_what_it_dialled_itself() -> None:
    """n2 is cut from its peers; the connection that it made to n1 passes n1's link."""
    async with Line(Scope.PEERS) as line:
        near, far = await line.connect("n2")
        line.proxy.apply((LinkRule("n2", "cut", scope=Scope.PEERS, direction=Direction.OUT),))
        near[1].write(b"from n2")
        far[1].write(b"to n2")

        assert await read(near[0], 5) == b"to n2"
        assert await nothing_comes(far[0])


async def test_a_rule_for_peers_leaves_clients_alone(line: Line) -> None:
    line.proxy.apply((rule("cut", scope=Scope.PEERS),))
    near, far = await line.connect()
    near[1].write(b"hello")

    assert await read(far[0], 5) == b"hello"


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_rules_come_and_go_every_byte_arrives_once_and_in_order(line: Line, seed: int) -> None:
    choose = random.Random(seed)
    near, far = await line.connect()
    sent, data = 0, _pattern(600_000)
    reading = asyncio.create_task(read(far[0], len(data)))
    while sent < len(data):
        size = choose.choice((1, 100, 5_000, 70_000))
        near[1].write(data[sent : sent + size])
        sent += size
        if choose.random() < 0.4:
            effect = choose.choice(("cut", "delay", "rate", "none"))
            value = {"delay": choose.uniform(0, 30), "rate": 1e6}.get(effect, 0.0)
            line.proxy.apply(() if effect == "none" else (rule(effect, value),))
        await asyncio.sleep(choose.choice((0, 0.002)))
    line.proxy.apply(())

    assert await reading == data


def _pattern(count: int) -> bytes:
    """Bytes in which a lost, doubled or moved piece shows."""
    return _noise()[:count]


@functools.cache
def _noise() -> bytes:
    return random.Random(0).randbytes(40 << 20)


async def _send_until_blocked(writer: asyncio.StreamWriter) -> int:
    """Write the pattern until nothing more is taken for SHORT_S; returns how many bytes were taken."""
    sock = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
    data, sent, blocked = memoryview(_noise()), 0, 0.0
    deadline = time.monotonic() + BOUND_S
    while blocked < SHORT_S and sent < len(data) and time.monotonic() < deadline:
        try:
            sent += sock.send(data[sent : sent + 65536])
            blocked = 0.0
            await asyncio.sleep(0)
        except BlockingIOError:
            await asyncio.sleep(0.01)
            blocked += 0.01
    sock.close()
    return sent
