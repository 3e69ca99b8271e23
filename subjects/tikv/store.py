"""One TiKV store asked as itself: its status port, its metrics, and its gRPC port as clients find it."""

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence

import httpx2

from subjects.answers import ask, unresolved
from subjects.base import Connection, Health, Metric, Probe
from subjects.dial import open_connection
from subjects.endpoints import netloc
from subjects.errors import Unreachable
from subjects.spoken import PREFACE, SETTINGS
from subjects.traffic import read_metrics


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
            writer.write(PREFACE)
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
    if frame[3] != SETTINGS:
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
        return read_metrics(content, names)
    except ValueError as error:
        raise Unreachable(f"GET {url}/metrics: that is no page of metrics ({error})") from error


def _ms_since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 3)
