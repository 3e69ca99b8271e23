"""A stand-in for tikv-server: its flags, status port, metrics and log lines, heartbeats, talk with peers.

Run as `python -m tests.standins.tikv_standin FLAGS`. On the data port it speaks gRPC with its peers and, in
TiKV's raw API, with clients; what is acknowledged is on a majority (`replicas_standin.py`).
"""

import argparse
import asyncio
import json
import os
import signal
import time
import tomllib
from pathlib import Path

import grpc.aio

from tests.standins.pd_standin import log
from tests.standins.raw_kv_standin import RawKv
from tests.standins.replicas_standin import HELLO, Peer, Replicas
from tests.standins.standin_http import Answer, Channel, host_port, serve

HEARTBEAT = "10s"
"""raftstore.pd-store-heartbeat-tick-interval."""
RAFT_HEARTBEAT_S = 2.0
KEEPALIVE_S = 13.0
"""gRPC between stores: 10 s ping and 3 s timeout."""
RECONNECT_S = 5.0
TABLE_S = 0.2
"""How often a store asks PD who leads what: quicker than an election, and not scaled."""
GIVE_UP_S = 10.0
"""After so long without a majority a leader steps down."""


class TikvStandin:
    """One store."""

    def __init__(self, options: argparse.Namespace, speed: float) -> None:
        self.options = options
        self.speed = speed
        self.pds = [Channel(url) for url in options.pd_endpoints.split(",")]
        self.file = Path(options.data_dir) / "standin.json"
        self.id = int(json.loads(self.file.read_text())["id"]) if self.file.exists() else 0
        self.names = names()
        self.started = time.time()
        self.heard: dict[int, int] = {}
        self.failed: dict[int, int] = {}
        self.unreachable: set[int] = set()
        self.slow_score = 1
        self.eaten: list[bytearray] = []
        self.full = False
        self.replicas = Replicas(Path(options.data_dir) / "standin.log", GIVE_UP_S / speed)
        self.data = RawKv(self.replicas, self._hear)
        self.heartbeat_s = self._heartbeat_s() / speed

    def _heartbeat_s(self) -> float:
        text = HEARTBEAT
        if self.options.config:
            config = tomllib.loads(Path(self.options.config).read_text())
            text = config.get("raftstore", {}).get("pd-store-heartbeat-tick-interval", HEARTBEAT)
        return float(text.removesuffix("s"))

    async def ask_pd(self, path: str, body: object = None) -> tuple[int, str]:
        """Ask one PD after the other."""
        method = "GET" if body is None else "POST"
        for channel in list(self.pds):
            try:
                status, text = await channel.ask(path, method, body, timeout_s=4 / self.speed + 0.5)
            except (OSError, TimeoutError):
                status, text = 0, "connection failed"
            if status in (200, 404):
                return status, text
            self.pds.append(self.pds.pop(0))
        log("WARN", "util.rs:550", "PD failed to respond", f'err="{text}"')
        return status, text

    async def join(self) -> None:
        """Put the store to PD, as often as it takes."""
        log("INFO", "server.rs:150", "connect to PD cluster")
        body = {
            "id": self.id,
            "address": self._named(self.options.advertise_addr),
            "status_address": self.options.advertise_status_addr or "",
            "started": self.started,
        }
        while True:
            status, text = await self.ask_pd("/pd/api/v1/standin/register", body)
            if status == 200:
                break
            await asyncio.sleep(0.3)
        self.id = self.replicas.id = int(json.loads(text)["id"])
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps({"id": self.id}))
        log("INFO", "raft_server.rs:197", "put store to PD", f"store_id={self.id}")

    async def beat(self) -> None:
        """Send heartbeats for ever."""
        while True:
            await asyncio.sleep(self.heartbeat_s)
            status, text = await self.ask_pd(
                "/pd/api/v1/standin/heartbeat",
                {
                    "id": self.id,
                    "slow_score": self.slow_score,
                    "available": 100 << 20 if self.full else 8 << 30,
                    "unreachable": sorted(self.unreachable),
                },
            )
            if status != 200:
                log("ERROR", "pd.rs:1517", "store heartbeat failed", f'err="{text}"')

    async def follow(self) -> None:
        """Ask PD who holds and leads what, and tell it which replicas have all data."""
        while True:
            status, text = await self.ask_pd("/pd/api/v1/standin/regions")
            if status == 200:
                self.replicas.told(json.loads(text))
            while self.replicas.joined:
                region, store = self.replicas.joined.pop()
                await self.ask_pd("/pd/api/v1/standin/joined", {"region": region, "store": store})
            await asyncio.sleep(TABLE_S)

    async def talk(self) -> None:
        """Hold a connection to every other store that PD knows."""
        talking: set[int] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                status, text = await self.ask_pd("/pd/api/v1/stores")
                for item in json.loads(text)["stores"] if status == 200 else ():
                    store, address = item["store"]["id"], item["store"]["address"]
                    if store != self.id and store not in talking:
                        talking.add(store)
                        host, _, port = address.rpartition(":")
                        dialled = f"{self.names.get(host, host)}:{port}"
                        self.replicas.peers[store] = Peer(store, dialled)
                        group.create_task(self._talk_to(Peer(store, dialled)))
                await asyncio.sleep(1.0 / self.speed + 0.2)

    async def _talk_to(self, peer: Peer) -> None:
        try:
            await self._keep_talking(peer)
        finally:
            await peer.aclose()

    async def _keep_talking(self, peer: Peer) -> None:
        fields, established = (f"store_id={peer.store}", f"addr={peer.address}"), False
        while True:
            try:
                await peer.ask(HELLO, {"store": self.id}, KEEPALIVE_S / self.speed)
            except grpc.aio.AioRpcError as error:
                self.failed[peer.store] = self.failed.get(peer.store, 0) + 1
                self.unreachable.add(peer.store)
                established = False
                if "refused" not in (error.details() or ""):
                    log("WARN", "raft_client.rs:594", "connection aborted", *fields)
                about = (f"store_id={self.id}", f"unreachable_store_id={peer.store}")
                log("INFO", "store.rs:3276", "broadcasting unreachable", *about)
                await asyncio.sleep(RECONNECT_S / self.speed / 5)
                continue
            self.unreachable.discard(peer.store)
            if not established:
                log("INFO", "raft_client.rs:889", "connection established", *fields)
                established = True
            await asyncio.sleep(RAFT_HEARTBEAT_S / self.speed)

    def _hear(self, store: int) -> None:
        self.heard[store] = self.heard.get(store, 0) + 1

    def _named(self, address: str) -> str:
        """Return an address with the host's name, where it has one."""
        host, _, port = address.rpartition(":")
        return f"{next((name for name, at in self.names.items() if at == host), host)}:{port}"

    async def aclose(self) -> None:
        """Hang up on PD and the other stores."""
        for channel in self.pds:
            channel.close()
        await self.replicas.aclose()

    async def status(self, method: str, path: str, body: bytes) -> Answer:
        """The status port; `/standin/…` is what a test has the store suffer."""
        match method, path:
            case "GET", "/status":
                return 200, ""
            case "GET", "/metrics":
                return 200, self._metrics()
            case "GET", "/engine_type":
                return 200, "raft-kv"
            case "PUT", "/pause_grpc":
                await self.data.close()
                log("INFO", "server.rs:448", "paused the grpc server")
                return 200, ""
            case "PUT", "/standin/slow":
                self.slow_score = int(json.loads(body)["score"])
                return 200, ""
            case "PUT", "/standin/full":
                self.full = bool(json.loads(body)["full"])
                return 200, ""
            case "PUT", "/standin/answer":
                self.data.answers += json.loads(body)["errors"]
                return 200, ""
            case "PUT", "/standin/delay":
                self.data.delay_s = float(json.loads(body)["seconds"])
                return 200, ""
            case "PUT", "/standin/panic":
                log("FATAL", "lib.rs:512", "a stand-in's panic: index out of bounds", 'backtrace="..."')
                os._exit(1)
            case "PUT", "/standin/eat":
                self.eaten.append(bytearray(os.urandom(1 << 20) * int(json.loads(body)["mib"])))
                return 200, ""
            case "PUT", "/resume_grpc":
                await self.data.listen(self.options.addr)
                log("INFO", "server.rs:460", "resumed the grpc server")
                return 200, ""
        return 404, "path not found"

    def _metrics(self) -> str:
        rows = [
            "# TYPE tikv_server_report_failure_msg_total counter",
            *(
                f'tikv_server_report_failure_msg_total{{type="unreachable",store_id="{peer}"}} {count}'
                for peer, count in self.failed.items()
            ),
            "# TYPE tikv_raftstore_message_recv_by_store counter",
            *(
                f'tikv_raftstore_message_recv_by_store{{store="{p}"}} {count}'
                for p, count in self.heard.items()
            ),
            "# TYPE process_start_time_seconds gauge",
            f"process_start_time_seconds {self.started:.2f}",
            "# TYPE tikv_raftstore_slow_score gauge",
            f'tikv_raftstore_slow_score{{type="raft"}} {self.slow_score}',
            "# TYPE tikv_store_size_bytes gauge",
            f'tikv_store_size_bytes{{type="available"}} {8 << 30}',
        ]
        return "\n".join(rows) + "\n"


def names() -> dict[str, str]:
    """Return addresses by the names that a DNS would have for them.

    STANDIN_NAMES holds pairs `name=address`, with slashes for the name's dots.
    """
    pairs = (each.partition("=") for each in os.environ.get("STANDIN_NAMES", "").split())
    return {name.replace("/", "."): address for name, _, address in pairs}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Take tikv-server's flags."""
    parser = argparse.ArgumentParser(prog="tikv-server (stand-in)", allow_abbrev=False)
    for name in ("addr", "advertise-addr", "status-addr", "data-dir", "pd-endpoints"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("config", "advertise-status-addr", "capacity", "labels", "log-level", "log-file"):
        parser.add_argument(f"--{name}")
    return parser.parse_args(argv)


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    store = TikvStandin(options, float(os.environ.get("STANDIN_SPEED", "1")))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    log("INFO", "lib.rs:80", "Welcome to TiKV", "stand-in=true")
    joining = asyncio.create_task(store.join())
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait([joining, ending], return_when=asyncio.FIRST_COMPLETED)
    if not ended.is_set():
        joining.result()
        await store.data.listen(options.addr)
        await serve(store.status, *host_port(options.status_addr))
        log("INFO", "server.rs:420", "TiKV is ready to serve")
        tasks = [asyncio.create_task(work()) for work in (store.beat, store.talk, store.follow)]
        await asyncio.wait([*tasks, ending], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    log("INFO", "signal_handler.rs:40", "receive signal 15, starting graceful shutdown...")
    log("INFO", "server.rs:500", "Graceful shutdown completed")


if __name__ == "__main__":
    asyncio.run(run(parse()))
