"""One TiKV store asked as itself: its status port, its metrics, and its gRPC port as clients find it."""

import asyncio
import socket
import time
from collections.abc import Iterable, Mapping, Sequence

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from subjects.answers import ask, unresolved
from subjects.base import Connection, Health, Metric, Probe
from subjects.dial import open_connection
from subjects.endpoints import netloc
from subjects.errors import Unreachable

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""What a client says first in HTTP/2 (RFC 9113 §3.4), with empty SETTINGS."""

_SETTINGS = 4
"""The type of the frame with which every server answers."""


async def look(
    client: httpx2.AsyncClient, url: str, timeout_s: float, headers: Mapping[str, str] | None = None
) -> Probe:
    """Ask a status page: TiKV's `/status` (200, empty body) or PD's `/ping`."""
    began = time.monotonic()
    try:
        code, content = await ask(client, "GET", url, timeout_s, headers=headers)
    except httpx2.TimeoutException:
        return Probe(Connection.SILENT, raw=f"GET {url}: no answer within {timeout_s:g} s")
    except httpx2.ConnectError as error:
        connection = Connection.UNKNOWN if unresolved(error) else Connection.REFUSED
        return Probe(connection, raw=f"GET {url}: {error or 'refused'}")
    except httpx2.HTTPError as error:
        return Probe(Connection.RESET, raw=f"GET {url}: {error or type(error).__name__}")
    health = Health.HEALTHY if code == 200 else Health.UNHEALTHY
    raw = f"GET {url}: {code} {content[:120].decode(errors='replace')}".strip()
    return Probe(Connection.ACCEPTED, health, _ms_since(began), raw)


async def probe_grpc_port(host: str, port: int, timeout_s: float) -> Probe:
    """Greet the gRPC port as a client does, and wait for the server's greeting.

    A connection that is accepted proves nothing: Docker's forwarder accepts for a paused container.
    """
    began, where = time.monotonic(), f"gRPC {netloc(host, port)}"
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await open_connection(host, port)
            writer.write(_PREFACE)
            frame = await reader.readexactly(9)
    except TimeoutError:
        return Probe(Connection.SILENT, raw=f"{where}: no greeting within {timeout_s:g} s")
    except ConnectionRefusedError:
        return Probe(Connection.REFUSED, raw=f"{where}: connection refused")
    except socket.gaierror as error:
        return Probe(Connection.UNKNOWN, raw=f"{where}: {error}")
    except (OSError, asyncio.IncompleteReadError) as error:
        return Probe(Connection.RESET, raw=f"{where}: {error or type(error).__name__}")
    finally:
        if writer is not None:
            writer.close()
    if frame[3] != _SETTINGS:
        return Probe(Connection.ACCEPTED, Health.UNHEALTHY, _ms_since(began), f"{where}: not HTTP/2")
    return Probe(Connection.ACCEPTED, Health.HEALTHY, _ms_since(began), f"{where}: SETTINGS received")


async def metrics(
    client: httpx2.AsyncClient, url: str, names: Sequence[str], timeout_s: float
) -> list[Metric]:
    """Read those samples whose name begins with one of `names`. Unreachable when the page isn't there."""
    try:
        code, content = await ask(client, "GET", f"{url}/metrics", timeout_s)
    except httpx2.HTTPError as error:
        raise Unreachable(f"GET {url}/metrics: {error or type(error).__name__}") from error
    if code != 200:
        raise Unreachable(f"GET {url}/metrics: {code}")
    try:
        return list(read_metrics(content.decode(errors="replace"), names))
    except ValueError as error:
        raise Unreachable(f"GET {url}/metrics: that is no page of metrics ({error})") from error


def read_metrics(text: str, names: Sequence[str]) -> Iterable[Metric]:
    """Read samples of a Prometheus page. A page has megabytes: only the lines asked for are parsed."""
    wanted = tuple(names)
    lines = "\n".join(line for line in text.splitlines() if line.startswith(wanted))
    for family in text_string_to_metric_families(lines + "\n"):
        for sample in family.samples:
            yield Metric(sample.name, dict(sample.labels), sample.value)


def _ms_since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 3)
