"""The load driver of etcd: its JSON gateway (`/v3/kv/…`) over kept-alive HTTP connections.

aiohttp, because it costs half of what httpx2 does (docs/performance.md). A write is sent once: it goes
elsewhere only if its connection was never made. A read is repeated at the next endpoint.
"""

import asyncio
import json
import os
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp

from subjects.load import OperationFailed, Record
from subjects.rotation import Rotation
from subjects.untrusted import read_object

CONNECT_S = 0.5
"""The longest that a connection may take to be made."""

ATTEMPT_S = 0.5
"""The longest that a read waits at one endpoint while there is another to ask."""

CERTAIN_REFUSALS = {3, 7, 8, 9, 12, 16}
"""gRPC codes after which a write certainly did not happen: invalid argument, permission denied, resource
exhausted (etcd: too many requests, no space), failed precondition, unimplemented, unauthenticated.
Of all others (unavailable, deadline exceeded, leader lost) the request may have been proposed."""

T = TypeVar("T")

_KEYS_END = b64encode(b"user\xff").decode()


class EtcdDriver:
    """Reads, writes and scans records in etcd; made for `tools.load.driver.Driver`."""

    def __init__(self, endpoints: Sequence[str], options: Mapping[str, str]) -> None:
        if options:
            raise ValueError(f"the etcd driver takes no options, but was given {', '.join(options)}")
        self._rotation = Rotation([endpoint.rstrip("/") for endpoint in endpoints])
        self._session: aiohttp.ClientSession | None = None
        self._failures: Counter[str] = Counter()

    async def connect(self) -> None:
        """Make the session; connections are made as they are needed."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def read(self, key: str, deadline: float) -> Record | None:
        """Read one record, linearizably; None when there is none."""
        return await self._repeat(f'{{"key":"{_encoded(key)}"}}', deadline, _one_record)

    async def update(self, key: str, value: bytes, deadline: float) -> int:
        """Write one record and return the revision of the write."""
        body = f'{{"key":"{_encoded(key)}","value":"{b64encode(value).decode()}"}}'
        return await self._once(body, deadline)

    async def insert(self, key: str, value: bytes, deadline: float) -> int:
        """Write a new record and return the revision of the write."""
        return await self.update(key, value, deadline)

    async def scan(self, start: str, count: int, deadline: float) -> int:
        """Read up to `count` records from `start` on, in key order; return how many there were."""
        body = f'{{"key":"{_encoded(start)}","range_end":"{_KEYS_END}","limit":{count}}}'
        return await self._repeat(body, deadline, _count)

    def take_failures(self) -> dict[str, int]:
        """Return the failed attempts by endpoint since the last call, also those made up for elsewhere."""
        taken, self._failures = dict(self._failures), Counter()
        return taken

    async def _repeat(self, body: str, deadline: float, meaning: Callable[[Any], T]) -> T:
        """Ask one endpoint after the other until one answers; the last is given all the time that is left."""
        urls = self._rotation.order(trial=True)
        for url in urls[:-1]:
            bound = min(deadline, time.monotonic() + ATTEMPT_S)
            try:
                return await self._ask(url, "range", body, bound, meaning)
            except OperationFailed:
                if time.monotonic() >= deadline:
                    raise
        return await self._ask(urls[-1], "range", body, deadline, meaning)

    async def _once(self, body: str, deadline: float) -> int:
        """Send a write to the first endpoint that takes the connection, and nowhere else."""
        urls = self._rotation.order(trial=False)
        for url in urls[:-1]:
            try:
                return await self._ask(url, "put", body, deadline, _revision, writes=True)
            except OperationFailed as error:
                if not error.unsent or time.monotonic() >= deadline:
                    raise
        return await self._ask(urls[-1], "put", body, deadline, _revision, writes=True)

    async def _ask(
        self,
        url: str,
        method: str,
        body: str,
        deadline: float,
        meaning: Callable[[Any], T],
        *,
        writes: bool = False,
    ) -> T:
        self._rotation.asked(url)
        try:
            status, answer = await self._post(f"{url}/v3/kv/{method}", body, deadline)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._failed(url, _why(error), unsent=True) from error
        except TimeoutError as error:
            raise self._failed(url, "no answer in time", timed_out=True, indeterminate=writes) from error
        except aiohttp.ClientError as error:
            raise self._failed(url, _why(error), indeterminate=writes) from error
        except asyncio.CancelledError:
            self._rotation.dropped(url)
            raise
        if status != 200:
            raise self._refused(url, status, answer, writes=writes)
        try:
            # Bare, as it is done thousands of times a second; no text of it is kept.
            found = meaning(json.loads(answer))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
            raise self._failed(url, "an answer that is not etcd's JSON", indeterminate=writes) from error
        self._rotation.answered(url)
        return found

    async def _post(self, url: str, body: str, deadline: float) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("connect() comes first")
        async with asyncio.timeout_at(deadline), self._session.post(url, data=body.encode()) as response:
            return response.status, await response.read()

    def _refused(self, url: str, status: int, answer: bytes, *, writes: bool) -> OperationFailed:
        """Tell what etcd says is wrong; it is healthy itself if it refuses for certain."""
        try:
            said = read_object(answer)
            text = f"HTTP {status}: {str(said.get('message') or said['error'])[:200]}"
            certain = said.get("code") in CERTAIN_REFUSALS
        except (KeyError, TypeError, ValueError, AttributeError):
            text, certain = f"HTTP {status} that is not etcd's JSON", False
        if not certain:
            return self._failed(url, text, indeterminate=writes)
        self._rotation.answered(url)
        self._failures[url] += 1
        return OperationFailed(f"{url}: {text}")

    def _failed(
        self,
        url: str,
        text: str,
        *,
        timed_out: bool = False,
        indeterminate: bool = False,
        unsent: bool = False,
    ) -> OperationFailed:
        self._rotation.failed(url)
        self._failures[url] += 1
        return OperationFailed(
            f"{url}: {text}", timed_out=timed_out, indeterminate=indeterminate, unsent=unsent
        )


def _one_record(reply: Any) -> Record | None:
    rows = reply.get("kvs")
    if not rows:
        int(reply["header"]["revision"])  # nothing found is only believed of an etcd
        return None
    return Record(b64decode(rows[0].get("value", "")), int(rows[0]["mod_revision"]))


def _count(reply: Any) -> int:
    int(reply["header"]["revision"])
    return len(reply.get("kvs", ()))


def _revision(reply: Any) -> int:
    return int(reply["header"]["revision"])


def _encoded(key: str) -> str:
    return b64encode(key.encode()).decode()


def _why(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or error.os_error}"
    # Its own words are of a library: "[Errno None] Can not write …".
    if isinstance(error, aiohttp.ClientOSError):
        return os.strerror(error.errno) if error.errno else "the connection broke while the request was sent"
    return str(error) or type(error).__name__
