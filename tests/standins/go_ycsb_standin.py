"""A stand-in for go-ycsb: its arguments and its output, over the stand-in stores.

Run as `python -m tests.standins.go_ycsb_standin load|run tikv FLAGS`. Like the original it prints cumulative
figures, tells errors only in rows of their own, retries for 20 s, and exits 0 whatever happened.
STANDIN_YCSB_FORMAT=old prints the format of before 2023: no TOTAL, no 50th, 90th and 95th.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from subjects.tikv.wire import tikv_pb2 as wire
from tests.standins.standin_http import Channel

RETRY_S = 20.0
"""client-go: rawkvMaxBackoff."""
OLD = os.environ.get("STANDIN_YCSB_FORMAT") == "old"
LOCAL = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
SPEED = float(os.environ.get("STANDIN_SPEED", "1"))


@dataclass
class Histogram:
    """One kind of operation since its first sample."""

    began: float = field(default_factory=time.monotonic)
    latencies_us: list[int] = field(default_factory=list)

    def row(self, name: str) -> str:
        """The line that go-ycsb prints (pkg/measurement)."""
        takes, ordered = time.monotonic() - self.began, sorted(self.latencies_us)
        count = len(ordered)

        def at(share: float) -> int:
            return ordered[min(count - 1, int(share * count))]

        shares = [("99th", 0.99), ("99.9th", 0.999), ("99.99th", 0.9999)]
        if not OLD:
            shares = [("50th", 0.5), ("90th", 0.9), ("95th", 0.95), *shares]
        columns = [
            f"Takes(s): {takes:.1f}",
            f"Count: {count}",
            f"OPS: {count / max(takes, 0.001):.1f}",
            f"Avg(us): {sum(ordered) // count}",
            f"Min(us): {ordered[0]}",
            f"Max(us): {ordered[-1]}",
            *(f"{label}(us): {at(share)}" for label, share in shares),
        ]
        return f"{name:<6} - {', '.join(columns)}"


class Client:
    """Finds regions through PD and keeps a connection to each store."""

    def __init__(self, pds: list[Channel]) -> None:
        self.pds = pds
        self.addresses: dict[int, str] = {}
        self.regions: list[dict[str, Any]] = []
        self.held: dict[int, grpc.aio.Channel] = {}

    async def refresh(self) -> None:
        """Ask PD where regions are led."""
        for pd in list(self.pds):
            try:
                _, stores = await pd.ask("/pd/api/v1/stores")
                _, regions = await pd.ask("/pd/api/v1/regions")
                found = json.loads(stores)["stores"]
                self.addresses = {each["store"]["id"]: each["store"]["address"] for each in found}
                self.regions = json.loads(regions)["regions"]
            except (OSError, TimeoutError, ValueError, TypeError, KeyError):
                self.pds.append(self.pds.pop(0))
                continue
            return

    async def call(self, key: bytes, value: bytes | None) -> None:
        """Send one request to the store that leads the key; TimeoutError after client-go's patience."""
        deadline = time.monotonic() + RETRY_S / SPEED
        while time.monotonic() < deadline:
            region = next((each for each in self.regions if _holds(each, key.hex().upper())), None)
            store = region["leader"]["store_id"] if region else 0
            if region and store in self.addresses and await self._ask(region, store, key, value):
                return
            await asyncio.sleep(0.1)
            await self.refresh()
        raise TimeoutError("loadRegion from PD failed: backoffer.maxSleep 20000ms is exceeded")

    async def _ask(self, region: dict[str, Any], store: int, key: bytes, value: bytes | None) -> bool:
        channel = self.held.setdefault(store, grpc.aio.insecure_channel(self.addresses[store], options=LOCAL))
        context = wire.Context(
            region_id=region["id"],
            region_epoch=wire.RegionEpoch(**region["epoch"]),
            peer=wire.Peer(id=region["leader"]["id"], store_id=store),
        )
        request: Any = wire.RawGetRequest(context=context, key=key)
        method: str = "RawGet"
        reply: Any = wire.RawGetResponse.FromString
        if value is not None:
            request = wire.RawPutRequest(context=context, key=key, value=value)
            method, reply = "RawPut", wire.RawPutResponse.FromString
        call = channel.unary_unary(f"/tikvpb.Tikv/{method}", type(request).SerializeToString, reply)
        try:
            return not (await call(request, timeout=1.0)).HasField("region_error")
        except grpc.aio.AioRpcError:
            if self.held.get(store) is channel:
                del self.held[store]
                await channel.close()
            return False


def key_of(record: int) -> bytes:
    """The raw key of a record (pkg/util/hash.go)."""
    digest = 14695981039346656037
    for byte in record.to_bytes(8, "big"):
        digest = ((digest ^ byte) * 1099511628211) & (2**64 - 1)
    return f"usertable:user{digest if digest < 2**63 else 2**64 - digest}".encode()


def _holds(region: dict[str, Any], key: str) -> bool:
    start, end = region.get("start_key", ""), region.get("end_key", "")
    return start <= key and (not end or key < end)


class Run:
    """One phase."""

    def __init__(self, options: argparse.Namespace, properties: dict[str, str]) -> None:
        self.options = options
        self.properties = properties
        self.histograms: dict[str, Histogram] = {}
        self.left = int(properties.get("operationcount") or properties.get("recordcount", "1000"))
        self.records = int(properties.get("recordcount", "1000"))
        self.pause_s = options.threads / options.target if options.target else 0.0
        if options.phase == "load":
            self.left = self.records

    def measure(self, name: str, began: float) -> None:
        """Note one sample; TOTAL counts successes only."""
        names = [name] if name.endswith("_ERROR") or OLD else [name, "TOTAL"]
        for each in names:
            histogram = self.histograms.setdefault(each, Histogram())
            histogram.latencies_us.append(int((time.monotonic() - began) * 1e6))

    async def thread(self, client: Client) -> None:
        """Issue operations until they are done."""
        await client.refresh()
        share = float(self.properties.get("readproportion", "0.5"))
        while self.left > 0:
            self.left -= 1
            key = random.randrange(self.records)
            kind = (
                "INSERT"
                if self.options.phase == "load"
                else ("READ" if random.random() < share else "UPDATE")
            )
            value = None if kind == "READ" else b"x" * 100
            began = time.monotonic()
            try:
                await client.call(key_of(key), value)
                self.measure(kind, began)
            except TimeoutError as error:
                print(f"operation err: {error}", flush=True)
                self.measure(f"{kind}_ERROR", began)
            if self.pause_s:
                await asyncio.sleep(max(0.0, self.pause_s - (time.monotonic() - began)))

    async def report(self) -> None:
        """Print every interval."""
        while True:
            await asyncio.sleep(self.options.interval)
            self.output()

    def output(self) -> None:
        """Print one line per kind of operation, sorted."""
        for name in sorted(self.histograms):
            print(self.histograms[name].row(name), flush=True)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Take go-ycsb's arguments."""
    parser = argparse.ArgumentParser(prog="go-ycsb (stand-in)", allow_abbrev=False)
    parser.add_argument("phase", choices=["load", "run"])
    parser.add_argument("db", choices=["tikv"])
    parser.add_argument("-p", "--prop", action="append", default=[])
    parser.add_argument("-P", "--property_file", action="append", default=[])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--target", type=float, default=0)
    parser.add_argument("--interval", type=float, default=10)
    return parser.parse_args(argv)


async def finish(threads: list[asyncio.Task[None]]) -> None:
    """Wait for all threads."""
    await asyncio.wait(threads)


async def run(options: argparse.Namespace) -> None:
    """Run one phase to its end, or until a signal."""
    properties = dict(item.split("=", 1) for item in options.prop)
    print("***************** properties *****************")
    for name, value in properties.items():
        print(f'"{name}"="{value}"')
    print("**********************************************", flush=True)
    began, job = time.monotonic(), Run(options, properties)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    pds = properties.get("tikv.pd", "127.0.0.1:2379").split(",")
    threads = [
        asyncio.create_task(job.thread(Client([Channel(pd) for pd in pds]))) for _ in range(options.threads)
    ]
    reporting = asyncio.create_task(job.report())
    waiting: asyncio.Task[object] = asyncio.create_task(ended.wait())
    await asyncio.wait([waiting, asyncio.create_task(finish(threads))], return_when=asyncio.FIRST_COMPLETED)
    if ended.is_set():
        print("\nGot signal [15] to exit.")
    for thread in threads:
        if not thread.cancel():
            thread.result()
    reporting.cancel()
    print("**********************************************")
    print(f"Run finished, takes {time.monotonic() - began:.6f}s")
    job.output()


if __name__ == "__main__":
    asyncio.run(run(parse()))
    sys.exit(0)
