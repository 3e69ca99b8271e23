"""Which lines to hold to a node: its health port, and its client port where HTTP is spoken there."""

import ssl
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from subjects.base import Subject
from tools.detection.probe import Line

HEALTH = "health port"
CLIENT = "client port"


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


def asks_client_port(subject: Subject) -> bool:
    """Tell whether client ports have held connections of their own."""
    return isinstance(subject, AsksClientPort)


def lines_of(subject: Subject) -> Iterator[Line]:
    """Yield the lines to every node that the subject has now."""
    for node in subject.nodes:
        if isinstance(subject, KnowsWhoCanBeHeld) and not subject.can_be_held(node):
            continue
        tls = subject.watch_tls(node) if isinstance(subject, WatchedOverTls) else None
        host, port = subject.watch_address(node)
        yield Line(node, HEALTH, host, port, subject.health_request(node), tls)
        if isinstance(subject, AsksClientPort):
            host, port, request = subject.client_request(node)
            yield Line(node, CLIENT, host, port, request, tls)
