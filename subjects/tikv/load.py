"""The load driver of TiKV: its raw API over gRPC, with regions and stores found through PD.

A write is sent once: it goes elsewhere only if it certainly was not done. A read is repeated where the region
is led by then. No single attempt uses up an operation's time: after ATTEMPT_S the region is looked up again.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc
import grpc.aio

from subjects.errors import Unreachable
from subjects.load import OperationFailed, Record
from subjects.tikv.links import Line, StoreLink, StoreLinks
from subjects.tikv.pd import PdClient
from subjects.tikv.regions import Peer, Region, Regions, read_regions
from subjects.tikv.wire import tikv_pb2 as wire

ATTEMPT_S = 0.5
"""How long an answer is waited for before it is asked whether the region is led elsewhere by now."""

LOOK_UP_S = 1.0
"""The longest that PD is waited for."""

AGAIN_S = 0.2
"""Between two questions to PD while a region has no leader that answers."""

BUSY_S = 0.1
"""The pause before a store that said it is busy is asked again."""

LIMIT = 256
"""Regions that are read from PD at once, from the key on that is looked for."""

KEYS_END = b"user\xff"

_MOVED = (
    "region_not_found",
    "key_not_in_region",
    "store_not_match",
    "mismatch_peer_id",
    "region_not_initialized",
)
"""The region is not there as it was known; refused before anything was proposed."""

_LATER = ("server_is_busy", "read_index_not_ready", "proposal_in_merging_mode")
"""Refused for now, before anything was proposed."""

_NEVER = ("raft_entry_too_large", "disk_full", "recovery_in_progress", "flashback_in_progress")
"""Refused for certain, and repeating would not help."""


@dataclass(frozen=True, slots=True)
class Method:
    """One call of the raw API."""

    path: str
    parse: Callable[[bytes], Any]
    writes: bool = False


GET = Method("/tikvpb.Tikv/RawGet", wire.RawGetResponse.FromString)
PUT = Method("/tikvpb.Tikv/RawPut", wire.RawPutResponse.FromString, writes=True)
SCAN = Method("/tikvpb.Tikv/RawScan", wire.RawScanResponse.FromString)

Make = Callable[[wire.Context], Any]
"""Makes the request of what says which region it is for."""


class _LedElsewhere(Exception):
    """A read was given up where it was waiting: its region is led by another store by now."""


class TikvDriver:
    """Reads, writes and scans raw keys of TiKV; made for `tools.load.driver.Driver`."""

    def __init__(self, endpoints: Sequence[str], options: Mapping[str, str]) -> None:
        """`endpoints` are PDs; the option `addresses` is JSON: PD's address of a store → ours for it."""
        unknown = set(options) - {"addresses"}
        if unknown:
            raise ValueError(f"the TiKV driver has no option {', '.join(sorted(unknown))}")
        urls = [endpoint if "://" in endpoint else f"http://{endpoint}" for endpoint in endpoints]
        self._pd = PdClient([url.rstrip("/") for url in urls])
        self._links = StoreLinks(json.loads(options.get("addresses", "{}")))
        self._regions = Regions()
        self._failures: Counter[str] = Counter()
        self._look_up: asyncio.Task[None] | None = None
        self._looked_up_at = float("-inf")
        self._trouble = ""

    async def connect(self) -> None:
        """Do nothing yet: connections are made as they are needed."""

    async def close(self) -> None:
        """Close all connections."""
        if self._look_up is not None:
            self._look_up.cancel()
            await asyncio.wait([self._look_up])
        await self._links.aclose()
        await self._pd.aclose()

    async def read(self, key: str, deadline: float) -> Record | None:
        """Read one record of its region's leader, which reads linearizably; None when there is none."""
        raw = key.encode()
        reply: wire.RawGetResponse = await self._do(
            GET, raw, deadline, lambda context: wire.RawGetRequest(context=context, key=raw)
        )
        return None if reply.not_found else Record(reply.value, None)

    async def update(self, key: str, value: bytes, deadline: float) -> None:
        """Write one record. Raw keys have no revisions."""
        raw = key.encode()
        await self._do(
            PUT, raw, deadline, lambda context: wire.RawPutRequest(context=context, key=raw, value=value)
        )

    async def insert(self, key: str, value: bytes, deadline: float) -> None:
        """Write a new record."""
        await self.update(key, value, deadline)

    async def scan(self, start: str, count: int, deadline: float) -> int:
        """Read up to `count` records from `start` on, region by region; return how many there were."""
        found, key = 0, start.encode()
        while found < count and key < KEYS_END:

            def make(context: wire.Context, key: bytes = key, left: int = count - found) -> Any:
                return wire.RawScanRequest(context=context, start_key=key, limit=left, end_key=KEYS_END)

            reply: wire.RawScanResponse = await self._do(SCAN, key, deadline, make)
            found += len(reply.kvs)
            region = self._regions.find(key)
            if region is None or not region.end:
                break
            key = region.end
        return found

    def take_failures(self) -> dict[str, int]:
        """Return the failed attempts by store since the last call, also those made up for elsewhere."""
        taken, self._failures = dict(self._failures), Counter()
        return taken

    async def _do(self, method: Method, key: bytes, deadline: float, make: Make) -> Any:
        """Ask the leader of the key's region, wherever it is by then, until it answers."""
        while True:
            region, leader, link, line = await self._route(key, deadline)
            request = make(_context(region, leader))
            try:
                reply = await self._attempt(method, request, key, leader, link, line, deadline)
            except _LedElsewhere:
                continue
            if reply is None:
                continue
            if reply.HasField("region_error"):
                await self._follow(region, leader, link, reply.region_error, method, deadline)
                continue
            if error := getattr(reply, "error", ""):
                raise self._failed(link, error, indeterminate=method.writes)
            return reply

    async def _route(self, key: bytes, deadline: float) -> tuple[Region, Peer, StoreLink, Line]:
        """Return the key's region, its leader, and a connection that stands."""
        why = "PD names no leader"
        while time.monotonic() < deadline:
            region = self._regions.find(key)
            if region is None or region.doubted or region.leader is None:
                await self._find(key, deadline)
                region = self._regions.find(key)
            if region is not None and region.leader is not None:
                leader, link = region.leader, self._links.get(region.leader.store)
                line = await link.line(deadline) if link is not None else None
                if link is not None and line is not None:
                    return region, leader, link, line
                why = f"{link.address if link else f'store {leader.store}'}: no connection"
                if region.doubted and self._trouble:  # PD can't say: the others know who leads
                    region.leader = _next(region)
                region.doubted = True
        raise OperationFailed(self._trouble or why, timed_out=True, unsent=True)

    async def _attempt(
        self,
        method: Method,
        request: Any,
        key: bytes,
        leader: Peer,
        link: StoreLink,
        line: Line,
        deadline: float,
    ) -> Any:
        """Send one request. None where it was a read, and may be sent again."""
        loop, moved = asyncio.get_running_loop(), False
        timer: asyncio.TimerHandle
        call = line.call(method.path, method.parse)(request, timeout=max(0.001, deadline - loop.time()))

        def look() -> None:
            nonlocal moved, timer
            region = self._regions.find(key)
            if region is not None and region.leader is not None and region.leader.store != leader.store:
                moved = not method.writes and call.cancel()
            else:
                self._hurry(key)
            timer = loop.call_later(AGAIN_S, look)

        timer = loop.call_later(ATTEMPT_S, look)
        answered = False
        line.asked()
        try:
            reply = await call
            answered = True
        except grpc.aio.AioRpcError as error:
            code = error.code()
            answered = code is grpc.StatusCode.UNIMPLEMENTED
            if code is grpc.StatusCode.UNAVAILABLE:
                link.broke(line)
                self._doubt(key, leader)
            failed = self._failed(
                link,
                f"{code.name.lower().replace('_', ' ')}: {(error.details() or '')[:200]}",
                timed_out=code is grpc.StatusCode.DEADLINE_EXCEEDED,
                indeterminate=method.writes and not answered,
            )
            if method.writes or code is not grpc.StatusCode.UNAVAILABLE:
                raise failed from error
            return None
        except asyncio.CancelledError:
            if not moved:
                raise
            self._failures[link.address] += 1
            raise _LedElsewhere from None
        finally:
            timer.cancel()
            line.ended(answered=answered)
        return reply

    async def _follow(
        self,
        region: Region,
        leader: Peer,
        link: StoreLink,
        error: wire.Error,
        method: Method,
        deadline: float,
    ) -> None:
        """Learn from what a store says is wrong with the region; raise where nothing is to be sent again."""
        self._failures[link.address] += 1
        if error.HasField("not_leader"):
            hint = error.not_leader.leader
            if hint.store_id and hint.store_id != leader.store:
                region.leader = Peer(hint.id, hint.store_id)
            else:
                region.doubted = True
        elif error.HasField("epoch_not_match"):
            self._regions.forget(region)
            self._regions.take(_told(each, leader.store) for each in error.epoch_not_match.current_regions)
        elif any(error.HasField(name) for name in _MOVED):
            self._regions.forget(region)
        elif any(error.HasField(name) for name in _LATER):
            await asyncio.sleep(max(0.0, min(BUSY_S, deadline - time.monotonic())))
        elif any(error.HasField(name) for name in _NEVER):
            raise OperationFailed(f"{link.address}: {_words(error)}")
        elif method.writes:  # a stale command, or what we don't know: it may have been proposed
            raise OperationFailed(f"{link.address}: {_words(error)}", indeterminate=True)
        else:
            region.doubted = True

    async def _find(self, key: bytes, deadline: float) -> None:
        """Wait until PD has been asked, by whoever asks it first."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(self._hurry(key))

    def _hurry(self, key: bytes) -> asyncio.Task[None]:
        """Have PD asked, if that does not happen already."""
        if self._look_up is None or self._look_up.done():
            self._look_up = asyncio.create_task(self._ask_pd(key))
        return self._look_up

    async def _ask_pd(self, key: bytes) -> None:
        await asyncio.sleep(max(0.0, self._looked_up_at + AGAIN_S - time.monotonic()))
        try:
            body, stores = await asyncio.gather(
                self._pd.get(f"/regions/key?key={quote(key)}&limit={LIMIT}", LOOK_UP_S),
                self._pd.stores(LOOK_UP_S),
            )
            regions = read_regions(body)
        except Unreachable as error:
            self._trouble = str(error)
        except (KeyError, TypeError, ValueError) as error:
            self._trouble = f"PD: regions that cannot be read: {error}"
        else:
            self._trouble = ""
            self._links.learn({int(store.id): store.address for store in stores})
            self._regions.take(regions)
        self._looked_up_at = time.monotonic()

    def _doubt(self, key: bytes, leader: Peer) -> None:
        region = self._regions.find(key)
        if region is not None and region.leader == leader:
            region.doubted = True

    def _failed(
        self, link: StoreLink, text: str, *, timed_out: bool = False, indeterminate: bool = False
    ) -> OperationFailed:
        self._failures[link.address] += 1
        return OperationFailed(f"{link.address}: {text}", timed_out=timed_out, indeterminate=indeterminate)


def _context(region: Region, leader: Peer) -> wire.Context:
    return wire.Context(
        region_id=region.id,
        region_epoch=wire.RegionEpoch(conf_ver=region.conf_ver, version=region.version),
        peer=wire.Peer(id=leader.id, store_id=leader.store),
    )


def _told(region: wire.Region, store: int) -> Region:
    """Return a region as a store tells it; most likely the store that tells leads it."""
    peers = tuple(Peer(peer.id, peer.store_id) for peer in region.peers)
    return Region(
        id=region.id,
        start=region.start_key,
        end=region.end_key,
        version=region.region_epoch.version,
        conf_ver=region.region_epoch.conf_ver,
        peers=peers,
        leader=next((peer for peer in peers if peer.store == store), None),
    )


def _next(region: Region) -> Peer | None:
    """Return the replica after the present leader."""
    if region.leader not in region.peers:
        return region.peers[0] if region.peers else region.leader
    return region.peers[(region.peers.index(region.leader) + 1) % len(region.peers)]


def _words(error: wire.Error) -> str:
    return error.message[:200] or ", ".join(field.name.replace("_", " ") for field, _ in error.ListFields())
