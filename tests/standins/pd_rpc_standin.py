"""PD's gRPC, for the stand-in of PD: what client-go asks before it reads or writes a raw key.

The real go-ycsb runs against it, by hand, for it is written in Go. It shares the port of PD's HTTP, as the
original does: `standin_http.serve` passes connections on that begin with HTTP/2's preface.
"""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from subjects.tikv.wire import tikv_pb2 as wire
from tests.standins.pd_state_standin import PdState, StoreRecord
from tests.standins.regions_standin import RegionRecord, peer_id
from tests.standins.wire_standin import message

CLUSTER = 7589123456789012345
Context = grpc.aio.ServicerContext[Any, Any]


class PdRpc:
    """The gRPC server of one PD. `members` returns the leader and then all; nothing while nobody leads."""

    def __init__(
        self, state: PdState, leads: Callable[[], bool], members: Callable[[], list[dict[str, Any]]]
    ) -> None:
        self.state = state
        self._leads = leads
        self._members = members
        self._server = grpc.aio.server()
        self._logical = 0

    async def listen(self) -> int:
        """Open a port on this host for itself, and return its number."""
        asked = {
            "GetMembers": self._get_members,
            "GetRegion": self._get_region,
            "GetRegionByID": self._get_region_by_id,
            "ScanRegions": self._scan_regions,
            "GetStore": self._get_store,
            "GetAllStores": self._get_all_stores,
        }
        handlers = {name: _unary(name, answer) for name, answer in asked.items()}
        handlers["Tso"] = grpc.stream_stream_rpc_method_handler(
            self._tso,
            request_deserializer=message("TsoRequest").FromString,
            response_serializer=message("TsoResponse").SerializeToString,
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("pdpb.PD", handlers),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port

    async def aclose(self) -> None:
        """Hang up on everybody."""
        await self._server.stop(None)

    async def _tso(self, requests: Any, context: Context) -> AsyncIterator[Any]:
        async for request in requests:
            await self._as_leader(context)
            self._logical += request.count
            stamp = message("Timestamp")(physical=int(time.time() * 1000), logical=self._logical)
            yield self._answer("TsoResponse", count=request.count, timestamp=stamp)

    async def _get_members(self, _request: Any, context: Context) -> Any:
        told = self._members()
        everybody = [message("Member")(**fields) for fields in told]
        if not told:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no leader")
        return self._answer(
            "GetMembersResponse", members=everybody[1:], leader=everybody[0], etcd_leader=everybody[0]
        )

    async def _get_region(self, request: Any, context: Context) -> Any:
        await self._as_leader(context)
        return self._region(self.state.regions.find(request.region_key.hex().upper()))

    async def _get_region_by_id(self, request: Any, context: Context) -> Any:
        await self._as_leader(context)
        return self._region(self.state.regions.regions.get(request.region_id))

    async def _scan_regions(self, request: Any, context: Context) -> Any:
        await self._as_leader(context)
        start, end = request.start_key.hex().upper(), request.end_key.hex().upper()
        held = [
            each
            for each in self.state.regions.in_order()
            if (not each.end or start < each.end) and (not end or each.start < end)
        ][: request.limit or None]
        metas, leaders = [_region(each) for each in held], [_leader(each) for each in held]
        pairs = [message("Held")(region=r, leader=p) for r, p in zip(metas, leaders, strict=True)]
        return self._answer("ScanRegionsResponse", region_metas=metas, leaders=leaders, regions=pairs)

    async def _get_store(self, request: Any, context: Context) -> Any:
        await self._as_leader(context)
        found = self.state.stores.get(request.store_id)
        if found is None:
            await context.abort(grpc.StatusCode.UNKNOWN, f"invalid store ID {request.store_id}, not found")
        return self._answer("GetStoreResponse", store=_store(found))

    async def _get_all_stores(self, request: Any, context: Context) -> Any:
        await self._as_leader(context)
        stores = [
            _store(each)
            for each in self.state.stores.values()
            if each.state != 2 or not request.exclude_tombstone_stores
        ]
        return self._answer("GetAllStoresResponse", stores=stores)

    async def _as_leader(self, context: Context) -> None:
        """A follower answers no question about the cluster: the client is to ask the leader."""
        if not self._leads():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not leader")
        self.state.tick()

    def _region(self, region: RegionRecord | None) -> Any:
        if region is None:
            return self._answer("GetRegionResponse")
        return self._answer("GetRegionResponse", region=_region(region), leader=_leader(region))

    def _answer(self, name: str, **fields: Any) -> Any:
        return message(name)(header=message("ResponseHeader")(cluster_id=CLUSTER), **fields)


def _unary(name: str, answer: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=message(f"{name}Request").FromString,
        response_serializer=message(
            "GetRegionResponse" if name == "GetRegionByID" else f"{name}Response"
        ).SerializeToString,
    )


def _store(store: StoreRecord) -> Any:
    return message("Store")(
        id=store.id,
        address=store.address,
        state=store.state,
        version="8.5.5",
        status_address=store.status_address,
    )


def _region(region: RegionRecord) -> wire.Region:
    return wire.Region(
        id=region.id,
        start_key=bytes.fromhex(region.start),
        end_key=bytes.fromhex(region.end),
        region_epoch=wire.RegionEpoch(conf_ver=region.conf_ver, version=region.version),
        peers=[wire.Peer(id=peer_id(region.id, store), store_id=store) for store in region.peers],
    )


def _leader(region: RegionRecord) -> wire.Peer:
    return wire.Peer(id=peer_id(region.id, region.leader), store_id=region.leader)
