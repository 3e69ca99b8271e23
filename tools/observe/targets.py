"""Where each node is asked: its health port, and its client port where HTTP is spoken there."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from subjects.base import Subject
from subjects.dial import open_connection, refuses_us
from tools.observe.signal import CLIENT_PORT, HEALTH_PORT

WITHIN_S = 0.75
"""A new connection without an answer by then is lost. Of 6,816 probes with every core burning the slowest
took 62 ms."""

WITHIN_TLS_S = 2.0
"""The same with a TLS handshake, for which both ends need a processor in turn."""

TRAVELS = 4
"""So many round trips take a new connection and its first answer at the most: over TLS; two without."""

UNREAD_S = 0.05
"""To take what has come already: a turn of the event loop."""

LOST = 2
"""Of several new connections so many must be lost: one is, now and then, on a busy machine."""


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """What to ask, and where."""

    node: str
    via: str
    """Which port it is: HEALTH_PORT or CLIENT_PORT."""
    host: str
    port: int
    request: bytes
    tls: ssl.SSLContext | None = None

    @property
    def where(self) -> str:
        """Address for messages."""
        return f"{self.host}:{self.port}"


@runtime_checkable
class AsksClientPort(Protocol):
    """A subject whose client port can be asked over a held HTTP/1.1 connection."""

    def client_request(self, node: str) -> tuple[str, int, bytes]:
        """Return host and port that clients use, and a request that the node answers all by itself."""
        ...


@runtime_checkable
class WatchedOverTls(Protocol):
    """A subject whose ports speak TLS."""

    def watch_tls(self, node: str) -> ssl.SSLContext | None:
        """Return what to verify the node with; None for a plain port."""
        ...


@runtime_checkable
class KnowsWhoCanBeHeld(Protocol):
    """A subject of which not every node has an address of its own that can be asked."""

    def can_be_held(self, node: str) -> bool:
        """Return whether a connection to this node, and no other, can be held."""
        ...


def targets_of(subject: Subject) -> Iterator[ProbeTarget]:
    """Yield where to ask every node that the subject has now."""
    for node in subject.nodes:
        if isinstance(subject, KnowsWhoCanBeHeld) and not subject.can_be_held(node):
            continue
        tls = subject.watch_tls(node) if isinstance(subject, WatchedOverTls) else None
        host, port = subject.watch_address(node)
        yield ProbeTarget(node, HEALTH_PORT, host, port, subject.health_request(node), tls)
        if isinstance(subject, AsksClientPort):
            host, port, request = subject.client_request(node)
            yield ProbeTarget(node, CLIENT_PORT, host, port, request, tls)


async def probe_new_connection(target: ProbeTarget, way_s: float = 0.0) -> str | None:
    """Ask over a new connection; return None if anything was answered, else what became of it.

    `way_s` is how long a question and its answer usually travel, and is given besides.
    """
    reader, writer = asyncio.StreamReader(), None
    try:
        within_s = WITHIN_S if target.tls is None else WITHIN_TLS_S
        async with asyncio.timeout(within_s + TRAVELS * way_s):
            reader, writer = await open_connection(target.host, target.port, target.tls)
            writer.write(target.request)
            return None if await reader.read(4096) else "closed without an answer"
    except ssl.SSLCertVerificationError as error:
        return f"{UNTRUSTED}: {error.verify_message}"
    except TimeoutError:
        if writer is None:
            return NO_CONNECTION
        return None if await _lies_there(reader) else NO_ANSWER
    except OSError as error:
        return DENIED if refuses_us(error) else error.strerror or type(error).__name__
    finally:
        if writer is not None:
            writer.close()


async def _lies_there(reader: asyncio.StreamReader) -> bool:
    """Whether an answer came while this process was kept from reading it: then we were late, not the node."""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(UNREAD_S):
            return bool(await reader.read(4096))
    return False


DENIED = "our client certificate is refused, or missing"
UNTRUSTED = "its certificate does not verify"
NO_CONNECTION = f"no connection within {WITHIN_S * 1000:.0f} ms"
NO_ANSWER = f"connected, and no answer within {WITHIN_S * 1000:.0f} ms"
