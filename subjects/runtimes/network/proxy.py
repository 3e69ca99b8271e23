"""The worker's part of the network process: accepts, dials through, and puts rules in force.

A cut hides everything, also the end of one side from the other, as a network that loses packets does:
when it heals, what was held back arrives, and connections that were asked for in the meantime are reset.
"""

import asyncio
import random
import socket
from collections.abc import Callable, Collection, Mapping, Sequence

from subjects.base import LinkRule, Scope
from subjects.runtimes.layout import Link
from subjects.runtimes.network.connection import Connection
from subjects.runtimes.network.pipe import Pipe
from subjects.runtimes.network.sockdiag import Ends
from subjects.runtimes.ports import HOST

WhoDials = Callable[[Sequence[Ends]], Mapping[Ends, str]]
"""Which nodes dialled these connections (their end, ours); those that none did are left out."""

DIAL_TIMEOUT_S = 30.0
"""A frozen node's kernel accepts until its backlog is full; then dialling takes as long as it takes."""


class Proxy:
    """All links of one cluster under one set of rules."""

    def __init__(self, who_dials: WhoDials) -> None:
        self._who_dials = who_dials
        self._rules: tuple[LinkRule, ...] = ()
        self._connections: set[Connection] = set()
        self._dialling: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many connections it holds."""
        return len(self._connections)

    async def serve(self, link: Link, listening: socket.socket) -> asyncio.Server:
        """Accept connections for `link` on a socket that listens already."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Accepted(self, link), sock=listening)

    def apply(self, rules: tuple[LinkRule, ...]) -> None:
        """Put these rules in force on every connection, present and to come."""
        self._rules = rules
        self._find_sources(self._connections)
        for connection in list(self._connections):
            if not connection.held:
                connection.shape(rules)
            elif not connection.touched(rules, "cut") and not connection.touched(rules, "loss"):
                connection.near.abort(reset=True)

    def accepted(self, connection: Connection) -> None:
        """A new connection: dial through, or treat it as the rules say."""
        self._connections.add(connection)
        connection.near.on_closed = lambda: self._connections.discard(connection)
        if self._rules:
            self._find_sources([connection])
            if connection.touched(self._rules, "reset"):
                connection.near.abort(reset=True)
                return
            if self._swallowed(connection):
                connection.held = True
                return
        task = asyncio.get_running_loop().create_task(self._dial(connection))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def _swallowed(self, connection: Connection) -> bool:
        """Whether nobody will ever answer this new connection."""
        loss = connection.touched(self._rules, "loss")
        lost = loss is not None and random.random() < loss.value  # noqa: S311 - not a secret
        return lost or connection.touched(self._rules, "cut") is not None

    async def _dial(self, connection: Connection) -> None:
        connection.join(lambda: self._connections.discard(connection))
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection.far, HOST, connection.link.target
                )
        except (OSError, TimeoutError):
            # Nobody listens: the one who dialled must learn it as from the node itself.
            connection.near.abort(reset=True)
            self._connections.discard(connection)
            return
        connection.shape(self._rules)

    def _find_sources(self, connections: Collection[Connection]) -> None:
        """Learn who dialled peer links. Only asked once a rule is in force: it reads /proc."""
        if not self._rules:
            return
        unknown = {
            _ends(connection.near.transport): connection
            for connection in connections
            if connection.source is None
            and connection.link.scope is Scope.PEERS
            and connection.near.transport is not None
        }
        if unknown:
            for ends, name in self._who_dials(list(unknown)).items():
                unknown[ends].source = name


def _ends(transport: asyncio.Transport) -> Ends:
    theirs, ours = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return (theirs[0], theirs[1]), (ours[0], ours[1])


class _Accepted(Pipe):
    """The near end of a connection that was just accepted."""

    def __init__(self, proxy: Proxy, link: Link) -> None:
        super().__init__()
        self._proxy = proxy
        self._connection = Connection(link, self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._proxy.accepted(self._connection)

    def eof_received(self) -> bool:
        """Let go of a connection that nobody ever answers once the one who dialled has given up."""
        super().eof_received()
        return not self._connection.held
