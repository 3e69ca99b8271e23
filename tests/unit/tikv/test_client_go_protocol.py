"""The stand-ins answer what client-go asks on PD's port and on the stores': the real go-ycsb runs on them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc.aio import UnaryUnaryMultiCallable

from subjects.tikv.go_ycsb import go_ycsb_key
from subjects.tikv.wire import tikv_pb2 as wire
from tests.standins.wire_standin import message
from tests.unit.tikv.raw_cluster import RawCluster, raw_cluster

LOCAL = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
KEY = go_ycsb_key(0).encode()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[RawCluster]:
    async with raw_cluster(tmp_path) as (found, _driver):
        yield found


async def ask(address: str, path: str, reply: str, request: Any) -> Any:
    async with grpc.aio.insecure_channel(address, options=LOCAL) as channel:
        call = channel.unary_unary(path, type(request).SerializeToString, message(reply).FromString)
        return await call(request, timeout=5)


async def test_a_client_finds_the_leader_of_a_key_over_the_port_of_pds_http(cluster: RawCluster) -> None:
    pd = cluster.url.removeprefix("http://")
    members = await ask(pd, "/pdpb.PD/GetMembers", "GetMembersResponse", message("GetMembersRequest")())
    region = await ask(
        pd, "/pdpb.PD/GetRegion", "GetRegionResponse", message("GetRegionRequest")(region_key=KEY)
    )
    store = await ask(
        pd,
        "/pdpb.PD/GetStore",
        "GetStoreResponse",
        message("GetStoreRequest")(store_id=region.leader.store_id),
    )

    assert members.leader.client_urls == [cluster.url]
    assert store.store.address == cluster.leader_of(KEY.decode()).options.addr


async def test_one_stream_carries_writes_and_reads_as_client_go_sends_them(cluster: RawCluster) -> None:
    store = cluster.leader_of(KEY.decode())
    region = cluster.regions.find(KEY.hex().upper())
    context = wire.Context(
        region_id=region.id,
        region_epoch=wire.RegionEpoch(conf_ver=region.conf_ver, version=region.version),
        peer=wire.Peer(store_id=store.id),
    )
    put = wire.RawPutRequest(context=context, key=KEY, value=b"v").SerializeToString()
    get = wire.RawGetRequest(context=context, key=KEY).SerializeToString()
    command, batch = message("Command"), message("BatchCommandsRequest")

    async with grpc.aio.insecure_channel(store.options.addr, options=LOCAL) as channel:
        stream = channel.stream_stream(
            "/tikvpb.Tikv/BatchCommands",
            batch.SerializeToString,
            message("BatchCommandsResponse").FromString,
        )()
        await stream.write(batch(requests=[command(raw_put=put)], request_ids=[7]))
        written: Any = await stream.read()
        await stream.write(batch(requests=[command(raw_get=get)], request_ids=[8]))
        read: Any = await stream.read()
        await stream.done_writing()

    assert (list(written.request_ids), written.responses[0].WhichOneof("kind")) == ([7], "raw_put")
    answer = wire.RawGetResponse.FromString(read.responses[0].raw_get)
    assert (list(read.request_ids), answer.value) == ([8], b"v")


async def test_a_store_says_that_it_serves(cluster: RawCluster) -> None:
    address = cluster.stores[0].options.addr
    async with grpc.aio.insecure_channel(address, options=LOCAL) as channel:
        check: UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert await check(b"", timeout=5) == b"\x08\x01"
