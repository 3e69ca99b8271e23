"""TiKV's raw API over gRPC, as a stand-in of a store serves it: regions, epochs, leaders and their errors."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from subjects.tikv.wire import tikv_pb2 as wire
from tests.standins.regions_standin import peer_id
from tests.standins.replicas_standin import APPEND, DUMP, HELLO, MAX_BYTES, Replicas, Row
from tests.standins.wire_standin import message


class RawKv:
    """The gRPC server of one store: clients and peers on one port."""

    def __init__(self, replicas: Replicas, heard: Callable[[int], None]) -> None:
        self.replicas = replicas
        self.answers: list[str] = []
        """Region errors that the next requests are answered with, by name."""
        self.delay_s = 0.0
        """How long every answer to a client takes."""
        self._heard = heard
        self._server: grpc.aio.Server | None = None

    async def listen(self, address: str) -> None:
        """Open the port."""
        server = grpc.aio.server(options=[MAX_BYTES, ("grpc.so_reuseport", 0)])
        client = {
            "RawGet": _handler(self._get, wire.RawGetRequest, wire.RawGetResponse),
            "RawPut": _handler(self._put, wire.RawPutRequest, wire.RawPutResponse),
            "RawScan": _handler(self._scan, wire.RawScanRequest, wire.RawScanResponse),
            "BatchCommands": grpc.stream_stream_rpc_method_handler(
                self._batch,
                request_deserializer=message("BatchCommandsRequest").FromString,
                response_serializer=message("BatchCommandsResponse").SerializeToString,
            ),
        }
        peers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            path.rpartition("/")[2]: grpc.unary_unary_rpc_method_handler(_json(answer))
            for path, answer in (
                (APPEND, self.replicas.appended),
                (DUMP, self.replicas.dumped),
                (HELLO, self._hello),
            )
        }
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("tikvpb.Tikv", client),
                grpc.method_handlers_generic_handler("standin.Peers", peers),
                grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": _serving()}),
            )
        )
        if not server.add_insecure_port(address):
            raise OSError(f"{address} cannot be listened on")
        await server.start()
        self._server = server

    async def close(self) -> None:
        """Close the port."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    def _hello(self, body: dict[str, Any]) -> dict[str, Any]:
        self._heard(int(body["store"]))
        return {}

    async def _get(self, request: wire.RawGetRequest) -> wire.RawGetResponse:
        row, error = await self._region(request.context, request.key)
        if row is None or not await self.replicas.agree(row.id):
            return wire.RawGetResponse(
                region_error=error or wire.Error(message="stale", stale_command=wire.Nothing())
            )
        found = self.replicas.keys.get(request.key)
        return wire.RawGetResponse(value=found[2]) if found else wire.RawGetResponse(not_found=True)

    async def _put(self, request: wire.RawPutRequest) -> wire.RawPutResponse:
        row, error = await self._region(request.context, request.key)
        if row is None or not await self.replicas.agree(row.id, request.key, request.value):
            return wire.RawPutResponse(
                region_error=error or wire.Error(message="stale", stale_command=wire.Nothing())
            )
        return wire.RawPutResponse()

    async def _scan(self, request: wire.RawScanRequest) -> wire.RawScanResponse:
        row, error = await self._region(request.context, request.start_key)
        if row is None or not await self.replicas.agree(row.id):
            return wire.RawScanResponse(
                region_error=error or wire.Error(message="stale", stale_command=wire.Nothing())
            )
        keys = sorted(
            key
            for key in self.replicas.keys
            if row.holds(key) and request.start_key <= key and (not request.end_key or key < request.end_key)
        )
        pairs = [wire.KvPair(key=key, value=self.replicas.keys[key][2]) for key in keys[: request.limit]]
        return wire.RawScanResponse(kvs=pairs)

    async def _batch(self, requests: Any, context: Any) -> None:
        """Answer what client-go sends in one stream, each command when its answer is there."""
        reading, writing = set[asyncio.Task[None]](), asyncio.Lock()
        asked: dict[str, tuple[Any, Callable[[Any], Awaitable[Any]]]] = {
            "raw_get": (wire.RawGetRequest, self._get),
            "raw_put": (wire.RawPutRequest, self._put),
            "raw_scan": (wire.RawScanRequest, self._scan),
        }

        async def carry_out(number: int, command: Any) -> None:
            name = command.WhichOneof("kind")
            request, behave = asked[name]
            told = await behave(request.FromString(getattr(command, name)))
            answer = message("Command")(**{name: told.SerializeToString()})
            async with writing:
                await context.write(
                    message("BatchCommandsResponse")(responses=[answer], request_ids=[number])
                )

        async for batch in requests:
            for number, command in zip(batch.request_ids, batch.requests, strict=True):
                task = asyncio.create_task(carry_out(number, command))
                reading.add(task)
                task.add_done_callback(reading.discard)

    async def _region(self, context: wire.Context, key: bytes) -> tuple[Row | None, wire.Error | None]:
        """Return the region that is asked for, or what TiKV says where it can't be."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.answers:
            name = self.answers.pop(0)
            error = wire.Error(message=name.replace("_", " "))
            getattr(error, name).SetInParent()
            return None, error
        rows = self.replicas.rows
        row = rows.get(context.region_id)
        if row is None or self.replicas.id not in row.peers:
            return None, wire.Error(message="region not found", region_not_found=wire.Nothing())
        if context.peer.store_id != self.replicas.id:
            return None, wire.Error(message="store not match", store_not_match=wire.Nothing())
        if not self.replicas.leads(row):
            leader = wire.Peer()
            if row.leader != self.replicas.id:
                leader = wire.Peer(id=peer_id(row.id, row.leader), store_id=row.leader)
            return None, wire.Error(
                message="not leader", not_leader=wire.NotLeader(region_id=row.id, leader=leader)
            )
        if context.region_epoch.version != row.version:
            told = [_region(each) for each in rows.values()]
            return None, wire.Error(
                message="epoch not match", epoch_not_match=wire.EpochNotMatch(current_regions=told)
            )
        if not row.holds(key):
            return None, wire.Error(message="key not in region", key_not_in_region=wire.Nothing())
        return row, None


def _region(row: Row) -> wire.Region:
    return wire.Region(
        id=row.id,
        start_key=row.start,
        end_key=row.end,
        region_epoch=wire.RegionEpoch(conf_ver=row.conf_ver, version=row.version),
        peers=[wire.Peer(id=peer_id(row.id, store), store_id=store) for store in row.peers],
    )


def _handler(answer: Callable[[Any], Awaitable[Any]], request: Any, reply: Any) -> Any:
    async def behave(given: Any, _context: object) -> Any:
        return await answer(given)

    return grpc.unary_unary_rpc_method_handler(
        behave, request_deserializer=request.FromString, response_serializer=reply.SerializeToString
    )


def _serving() -> Any:
    """client-go takes a store that once failed for unreachable until its health check says SERVING (1)."""

    async def behave(_request: bytes, _context: object) -> bytes:
        return b"\x08\x01"

    return grpc.unary_unary_rpc_method_handler(behave)


def _json(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    async def behave(given: bytes, _context: object) -> bytes:
        return json.dumps(answer(json.loads(given))).encode()

    return behave
