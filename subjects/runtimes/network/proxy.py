"""The worker: one pair of sockets a connection, bytes passed as they come unless a rule touches them.

Without rules a piece of data costs one receive and one send. A cut holds bytes back instead of dropping
them and hides the end of one side from the other, as a network that loses packets does: when it heals,
what was held back arrives, and connections that were asked for in the meantime are reset.
"""

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from subjects.base import Direction, LinkRule, Scope
from subjects.runtimes.layout import Link
from subjects.runtimes.ports import HOST

WhoDials = Callable[[tuple[str, int]], str | None]
"""Which node owns the local end of a connection; None when none does: a client."""

_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Shaping:
    """What the rules make of one direction of one connection."""

    cut: bool = False
    delay_s: float = 0.0
    bytes_per_s: float = 0.0


_PLAIN = Shaping()


class Pipe(asyncio.Protocol):
    """One end of a connection; what it receives goes to `other`."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Pipe | None = None
        self.on_closed: Callable[[], None] = lambda: None
        self._shaping = _PLAIN
        self._held: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._free_at = 0.0
        self._ended = False
        self._broken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what TCP gives
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass it on; at once when no rule is in the way and nothing waits."""
        other = self.other
        if self._shaping is _PLAIN and not self._held and other is not None and other.transport is not None:
            other.transport.write(data)
            return
        self._hold(data)

    def eof_received(self) -> bool:
        """Keep our half open: the other side may still be sending."""
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the other side once all that was received has gone out; a reset is passed on as one."""
        self._broken = exc is not None
        self._end()
        self.on_closed()

    def pause_writing(self) -> None:
        """Stop the sender while this side can't take more."""
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Let the sender go on."""
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def shape(self, shaping: Shaping) -> None:
        """Put rules in force on what this end receives, or lift them."""
        self._shaping = shaping
        self._release()

    def abort(self, *, reset: bool = False) -> None:
        """Close at once; with `reset` the peer gets an RST instead of an end."""
        if self.transport is None or self.transport.is_closing():
            return
        if reset:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _hold(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        due = now + self._shaping.delay_s
        if self._shaping.bytes_per_s:
            self._free_at = max(self._free_at, now) + len(data) / self._shaping.bytes_per_s
            due = max(due, self._free_at)
        self._held.append((due, data))
        self._release()

    def _end(self) -> None:
        self._ended = True
        self._release()

    def _release(self) -> None:
        """Pass on what is due, then the end of the stream if it has come."""
        if self._shaping.cut or self.other is None or self.other.transport is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        plain = self._shaping is _PLAIN
        while self._held and (plain or self._held[0][0] <= loop.time()):
            self.other.transport.write(self._held.popleft()[1])
        if self._held:
            self._timer = loop.call_at(self._held[0][0], self._release)
        elif self._ended:
            self._pass_end(self.other, self.other.transport)

    def _pass_end(self, other: "Pipe", target: asyncio.Transport) -> None:
        if self._broken:
            other.abort(reset=True)
        elif self.transport is None or self.transport.is_closing():
            target.close()
        elif target.can_write_eof() and not target.is_closing():
            target.write_eof()


class Connection:
    """Both ends of one connection, and which rules touch it."""

    def __init__(self, link: Link, near: Pipe) -> None:
        self.link = link
        self.near = near
        """Towards the one who dialled."""
        self.far = Pipe()
        """Towards the node."""
        self.held = False
        """Asked for during a cut: never passed on, reset when the cut ends."""
        self.source: str | None = None
        self.source_known = link.scope is Scope.CLIENTS
        self._open_ends = 1

    def join(self, on_closed: Callable[[], None]) -> None:
        """Dialled through to the node: from now on each end feeds the other."""
        self._open_ends = 2
        self.near.other, self.far.other = self.far, self.near

        def closed() -> None:
            self._open_ends -= 1
            if not self._open_ends:
                on_closed()

        self.near.on_closed = self.far.on_closed = closed

    def shapings(self, rules: Sequence[LinkRule]) -> tuple[Shaping, Shaping]:
        """Return what `rules` make of (bytes to the node, bytes from the node)."""
        return self._shaping(rules, inward=True), self._shaping(rules, inward=False)

    def touched(self, rules: Sequence[LinkRule], effect: str) -> LinkRule | None:
        """Return the first rule with that effect that touches this connection in any direction."""
        for rule in rules:
            if rule.effect == effect and (
                self._matches(rule, inward=True) or self._matches(rule, inward=False)
            ):
                return rule
        return None

    def _shaping(self, rules: Sequence[LinkRule], *, inward: bool) -> Shaping:
        cut, delay_s, rate = False, 0.0, 0.0
        for rule in rules:
            if not self._matches(rule, inward=inward):
                continue
            cut = cut or rule.effect == "cut"
            if rule.effect == "delay":
                delay_s = max(delay_s, rule.value / 1000)
            if rule.effect == "rate":
                rate = min(rate, rule.value) if rate else rule.value
        return Shaping(cut, delay_s, rate) if cut or delay_s or rate else _PLAIN

    def _matches(self, rule: LinkRule, *, inward: bool) -> bool:
        """Whether the rule touches bytes that go to this link's node (`inward`) or come from it."""
        if rule.scope not in (self.link.scope, Scope.BOTH):
            return False
        if rule.node == self.link.node:
            other, into_rule_node = self.source, inward
        elif self.link.scope is Scope.PEERS and rule.node == self.source:
            other, into_rule_node = self.link.node, not inward
        else:
            return False
        if rule.peer is not None and rule.peer != other:
            return False
        return rule.direction is Direction.BOTH or (rule.direction is Direction.IN) == into_rule_node


class Proxy:
    """All links of one cluster under one set of rules."""

    def __init__(self, who_dials: WhoDials) -> None:
        self._who_dials = who_dials
        self._rules: tuple[LinkRule, ...] = ()
        self._connections: set[Connection] = set()
        self._dialling: set[asyncio.Task[None]] = set()

    async def serve(self, link: Link, listening: socket.socket) -> None:
        """Accept connections for `link` on a socket that listens already."""
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: _Accepted(self, link), sock=listening)

    def apply(self, rules: tuple[LinkRule, ...]) -> None:
        """Put these rules in force on every connection, present and to come."""
        self._rules = rules
        for connection in list(self._connections):
            self._find_source(connection)
            if connection.held:
                if not connection.touched(rules, "cut") and not connection.touched(rules, "loss"):
                    connection.near.abort(reset=True)
                continue
            self._shape(connection)

    def accepted(self, connection: Connection) -> None:
        """A new connection: dial through, or treat it as the rules say."""
        self._connections.add(connection)
        connection.near.on_closed = lambda: self._connections.discard(connection)
        if self._rules:
            self._find_source(connection)
            if connection.touched(self._rules, "reset"):
                connection.near.abort(reset=True)
                return
            loss = connection.touched(self._rules, "loss")
            lost = loss is not None and random.random() < loss.value  # noqa: S311 - not a secret
            if lost or connection.touched(self._rules, "cut"):
                connection.held = True
                return
        task = asyncio.get_running_loop().create_task(self._dial(connection))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, connection: Connection) -> None:
        connection.join(lambda: self._connections.discard(connection))
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection.far, HOST, connection.link.target
            )
        except OSError:
            # Nobody listens: the one who dialled must learn it as from the node itself.
            connection.near.abort(reset=True)
            self._connections.discard(connection)
            return
        self._shape(connection)
        if connection.near.transport is None or connection.near.transport.is_closing():
            connection.far.abort()

    def _shape(self, connection: Connection) -> None:
        if connection.touched(self._rules, "reset"):
            connection.near.abort(reset=True)
            connection.far.abort(reset=True)
            return
        inward, outward = connection.shapings(self._rules)
        connection.near.shape(inward)
        connection.far.shape(outward)

    def _find_source(self, connection: Connection) -> None:
        """Learn who dialled a peer link. Only asked once a rule is in force: it reads /proc."""
        if connection.source_known or not self._rules or connection.near.transport is None:
            return
        connection.source = self._who_dials(connection.near.transport.get_extra_info("peername"))
        connection.source_known = connection.source is not None


class _Accepted(Pipe):
    """The near end of a connection that was just accepted."""

    def __init__(self, proxy: Proxy, link: Link) -> None:
        super().__init__()
        self._proxy = proxy
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._proxy.accepted(Connection(self._link, self))
