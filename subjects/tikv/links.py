"""One client's connections to TiKV's stores; a store that fails or falls silent is left alone for a while."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it would write of every lost connection

import grpc
import grpc.aio

CONNECT_S = 0.5
"""The longest that a connection may take to be made, up to the server's first frame."""

REST_S = 1.0
"""How long a store that failed is left alone; then one operation a second tries it, on a new connection."""

SILENT_S = 1.0
"""A store that owes answers and has given none for so long is held for gone. Its connection may be dead with
the fault over: TCP would repeat itself ever more seldom."""

DRAIN_S = 60.0
"""How long requests may stay on a connection that was replaced: each has a deadline, none a longer one."""

_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel would share the connection that is dead
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),  # a write is sent once
    ("grpc.enable_http_proxy", 0),
)


Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[Any, Any]"


def _serialize(message: Any) -> bytes:
    raw: bytes = message.SerializeToString()
    return raw


@dataclass(slots=True)
class Line:
    """One connection, and what became of the requests on it."""

    channel: grpc.aio.Channel
    owed: int = 0
    """Requests that were sent and have not ended."""
    heard: float = 0.0
    """When the store answered last, or began to owe."""
    attempt: asyncio.Task[bool] | None = None
    """The latest attempt to make the connection, which all operations share."""
    _calls: dict[str, Call] = field(default_factory=dict)

    def call(self, path: str, parse: Callable[[bytes], Any]) -> Call:
        """Return the method at `path`."""
        known = self._calls.get(path)
        if known is None:
            known = self._calls[path] = self.channel.unary_unary(
                path, request_serializer=_serialize, response_deserializer=parse
            )
        return known

    def asked(self) -> None:
        """Note that a request goes out."""
        if not self.owed:
            self.heard = time.monotonic()
        self.owed += 1

    def ended(self, *, answered: bool) -> None:
        """Note that a request has ended."""
        self.owed -= 1
        if answered:
            self.heard = time.monotonic()

    async def close(self, grace_s: float | None) -> None:
        """Give up connecting; close the connection when its requests have ended, or after `grace_s`."""
        if self.attempt is not None:
            self.attempt.cancel()
            await asyncio.wait([self.attempt])
        await self.channel.close(grace_s)

    @property
    def silent(self) -> bool:
        """Whether it owes answers and has given none for SILENT_S."""
        return bool(self.owed) and time.monotonic() - self.heard > SILENT_S


@dataclass(slots=True)
class StoreLink:
    """One store, as one client finds it."""

    address: str
    """Where it is reached from here, `host:port`."""
    _line: Line | None = None
    _failed: bool = False
    _rests_until: float = 0.0
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def fit(self) -> bool:
        """Whether requests may be expected to be answered."""
        return not self._failed and not (self._line is not None and self._line.silent)

    async def line(self, deadline: float) -> Line | None:
        """Return a connection that stands; None when there is none in time, or the store is left alone."""
        now = time.monotonic()
        if not self.fit:
            if now < self._rests_until:
                return None
            self._rests_until = now + REST_S
            self._retire()
        if self._line is None:
            self._line = Line(grpc.aio.insecure_channel(self.address, options=_OPTIONS))
        line = self._line
        if line.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
            return line
        if line.attempt is None or line.attempt.done():
            line.attempt = asyncio.create_task(self._connect(line))
        # Who has no time left waits no more, and says nothing of the store: others wait for the attempt.
        done, _ = await asyncio.wait([line.attempt], timeout=max(0.0, deadline - now))
        return line if any(not attempt.cancelled() and attempt.result() for attempt in done) else None

    async def _connect(self, line: Line) -> bool:
        if await _connected(line.channel, time.monotonic() + CONNECT_S):
            return True
        self.broke(line)
        return False

    def broke(self, line: Line) -> None:
        """Note that a connection could not be made, or broke; one of earlier says nothing any more."""
        if line is self._line:
            self._failed = True
            self._rests_until = time.monotonic() + REST_S

    async def aclose(self) -> None:
        """Close all connections."""
        self._retire(at_once=True)
        for task in list(self._closing):
            await asyncio.wait([task])

    def _retire(self, *, at_once: bool = False) -> None:
        """Leave the present connection to the requests that wait on it, and close it when they have ended."""
        line, self._line, self._failed = self._line, None, False
        if line is not None:
            task = asyncio.create_task(line.close(None if at_once else DRAIN_S))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


class StoreLinks:
    """All stores of one cluster."""

    def __init__(self, reached_at: Mapping[str, str]) -> None:
        """`reached_at` maps the addresses that PD gives to those that answer here, where they differ."""
        self._reached_at = reached_at
        self._links: dict[int, StoreLink] = {}

    def learn(self, addresses: Mapping[int, str]) -> None:
        """Take the stores' addresses from PD."""
        for store, given in addresses.items():
            address = self._reached_at.get(given, given)
            known = self._links.get(store)
            if known is None or known.address != address:
                self._links[store] = StoreLink(address)

    def get(self, store: int) -> StoreLink | None:
        """Return the link to a store; None for one that PD has not named."""
        return self._links.get(store)

    async def aclose(self) -> None:
        """Close all connections."""
        for link in self._links.values():
            await link.aclose()


async def _connected(channel: grpc.aio.Channel, until: float) -> bool:
    """Wait for the connection; False as soon as an attempt has failed, or at `until`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                if state in (
                    grpc.ChannelConnectivity.TRANSIENT_FAILURE,
                    grpc.ChannelConnectivity.SHUTDOWN,
                ):
                    return False
                await channel.wait_for_state_change(state)
            return True
    return False
