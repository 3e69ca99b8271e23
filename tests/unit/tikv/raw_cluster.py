"""One PD and three stores, all stand-ins in this process: the raw API as the driver finds it."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from subjects.runtimes.ports import HOST, free_ports
from subjects.tikv.load import TikvDriver
from tests.standins.pd_rpc_standin import PdRpc
from tests.standins.pd_standin import PdStandin
from tests.standins.regions_standin import RegionTable
from tests.standins.standin_http import serve
from tests.standins.tikv_standin import TikvStandin

ROOT = Path(__file__).parents[3]
SPEED = 5.0
READY_S = 20.0


class RawCluster:
    """What a test does to the stores, and what it may ask."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = free_ports(8)
        client, peer = (f"http://{HOST}:{port}" for port in ports[:2])
        self.url = client
        self.pd = PdStandin(
            argparse.Namespace(
                name="pd0",
                data_dir=folder / "pd0",
                client_urls=client,
                advertise_client_urls=client,
                initial_cluster=f"pd0={peer}",
            ),
            SPEED,
        )
        self.rpc = PdRpc(self.pd.state, lambda: self.pd.leads, self.pd.known_members)
        self.peer_port = ports[1]
        self.stores = [self._store(number, ports[2 + 2 * number]) for number in range(3)]
        self._tasks: list[asyncio.Task[None]] = []
        self._before: set[asyncio.Task[Any]] = set()
        self._servers: list[asyncio.Server] = []

    def _store(self, number: int, port: int) -> TikvStandin:
        options = argparse.Namespace(
            addr=f"{HOST}:{port}",
            advertise_addr=f"{HOST}:{port}",
            advertise_status_addr="",
            data_dir=self._folder / f"tikv{number}",
            pd_endpoints=self.url,
            config=ROOT / "subjects/tikv/tikv.toml",
        )
        return TikvStandin(options, SPEED)

    @property
    def regions(self) -> RegionTable:
        return self.pd.state.regions

    async def start(self) -> None:
        self._before = asyncio.all_tasks()
        grpc_port = await self.rpc.listen()
        self._servers = [
            await serve(self.pd.answer, HOST, int(self.url.rpartition(":")[2]), grpc_port),
            await serve(self.pd.answer_peer, HOST, self.peer_port),
        ]
        self._tasks.append(asyncio.create_task(self.pd.elect()))
        for store in self.stores:
            await store.join()
            await store.data.listen(store.options.addr)
            self._tasks += [asyncio.create_task(work()) for work in (store.beat, store.talk, store.follow)]
        async with asyncio.timeout(READY_S):
            while not self.replicated():
                await asyncio.sleep(0.05)

    def replicated(self) -> bool:
        regions = self.regions.in_order()
        leading = {store.id: store.replicas for store in self.stores}
        return bool(regions) and all(
            len(region.peers) == 3 and leading[region.leader].led.get(region.id) == region.term
            for region in regions
        )

    async def split(self, *keys: str) -> None:
        self.regions.split([key.encode().hex() for key in keys], self.pd.state.new_id)
        await self.settled()

    async def settled(self) -> None:
        """Wait until every store has heard of the regions as they are."""
        now = {region.id: (region.version, region.leader) for region in self.regions.in_order()}
        async with asyncio.timeout(READY_S):
            while not self.replicated() or any(
                {row.id: (row.version, row.leader) for row in store.replicas.rows.values()} != now
                for store in self.stores
            ):
                await asyncio.sleep(0.05)

    def leader_of(self, key: str) -> TikvStandin:
        leader = self.regions.find(key.encode().hex().upper()).leader
        return next(store for store in self.stores if store.id == leader)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for store in self.stores:
            await store.data.close()
            await store.aclose()
        await self.rpc.aclose()
        for server in self._servers:
            server.close()
        async with asyncio.timeout(READY_S):  # handlers end once the other side has hung up
            while asyncio.all_tasks() - self._before - {asyncio.current_task()}:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def raw_cluster(folder: Path) -> AsyncIterator[tuple[RawCluster, TikvDriver]]:
    """Have the cluster and a driver for it."""
    cluster = RawCluster(folder)
    await cluster.start()
    driver = TikvDriver([cluster.url], {"addresses": json.dumps({})})
    await driver.connect()
    try:
        yield cluster, driver
    finally:
        await driver.close()
        await cluster.stop()
