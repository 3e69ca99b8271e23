"""What a stand-in of a store keeps: raw keys, each on a majority of stores before it is acknowledged.

Not Raft, and as safe for what is tried here: every value carries (term, number); whoever leads a region in a
new term first reads it from a majority, which then refuses all earlier terms, and writes it back to one.
Reads ask a majority too. What was acknowledged survives any minority, `kill -9` included; it is in a file.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from tests.standins.pd_standin import log

APPEND, DUMP, HELLO = "/standin.Peers/Append", "/standin.Peers/Dump", "/standin.Peers/Hello"
BATCH_S = 0.002
"""What comes within it is replicated together."""
REPLY_S = 1.0
MAX_BEHIND = 64
"""Messages that a peer may owe: to one that is gone no more are sent."""
MAX_BYTES = ("grpc.max_receive_message_length", 64 << 20)

Entry = tuple[int, int, bytes]
"""Term, number, value."""


@dataclass
class Row:
    """One region, as PD told it last."""

    id: int
    start: bytes
    end: bytes
    version: int
    conf_ver: int
    peers: list[int]
    leader: int
    term: int
    joining: int

    def holds(self, key: bytes) -> bool:
        return self.start <= key and (not self.end or key < self.end)


@dataclass
class Waiting:
    """One operation that waits for its majority."""

    region: int
    key: bytes = b""
    value: bytes | None = None
    """None for a read."""
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Peer:
    """Another store, over one connection that is made again when it fails."""

    def __init__(self, store: int, address: str) -> None:
        self.store = store
        self.address = address
        self.owed = 0
        self._channel: grpc.aio.Channel | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Hang up."""
        if self._channel is not None:
            await self._channel.close()
        await asyncio.gather(*self._closing)

    async def ask(self, path: str, body: object, timeout_s: float = REPLY_S) -> Any:
        """Ask; grpc.aio.AioRpcError when there is no answer."""
        if self._channel is None:
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0), MAX_BYTES]
            self._channel = grpc.aio.insecure_channel(self.address, options=options)
        channel: Any = self._channel
        self.owed += 1
        try:
            return json.loads(await channel.unary_unary(path)(json.dumps(body).encode(), timeout=timeout_s))
        except grpc.aio.AioRpcError:
            if self._channel is channel:
                self._channel = None
                closing = asyncio.create_task(channel.close(4 * REPLY_S))  # others still wait on it
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
            raise
        finally:
            self.owed -= 1


class Replicas:
    """The keys of one store, and the regions that it leads."""

    def __init__(self, file: Path, give_up_s: float) -> None:
        self.id = 0
        self.peers: dict[int, Peer] = {}
        self.rows: dict[int, Row] = {}
        self.keys: dict[bytes, Entry] = {}
        self.promised: dict[int, int] = {}
        """Region → the term below which nothing is accepted."""
        self.led: dict[int, int] = {}
        """Region → the term in which this store leads it and has read it from a majority."""
        self.joined: list[tuple[int, int]] = []
        """Region and store that have all data by now; PD is still to be told."""
        self._give_up_s = give_up_s
        self._number = 0
        self._queue: list[Waiting] = []
        self._in_round = False
        """One round at a time, until all of it has its majority: what comes meanwhile goes together."""
        self._busy: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            for line in file.read_bytes().split(b"\n"):
                self._read_line(line)
        self._file = file.open("ab", buffering=0)

    def _read_line(self, line: bytes) -> None:
        try:
            kept = json.loads(line)
        except ValueError:
            return  # torn by the end of the process: nobody acknowledged it
        if "promised" in kept:
            self.promised[kept["region"]] = kept["promised"]
        else:
            self.keys[kept["k"].encode("latin-1")] = (kept["t"], kept["n"], kept["v"].encode("latin-1"))

    async def aclose(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for peer in self.peers.values():
            await peer.aclose()
        self._file.close()

    def told(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take PD's table, and begin to lead what is to be led."""
        self.rows = {
            row["id"]: Row(
                row["id"],
                bytes.fromhex(row["start"]),
                bytes.fromhex(row["end"]),
                row["version"],
                row["conf_ver"],
                row["peers"],
                row["leader"],
                row["term"],
                row["joining"],
            )
            for row in rows
        }
        for row in self.rows.values():
            if row.leader != self.id:
                self.led.pop(row.id, None)
            elif (self.led.get(row.id) != row.term or row.joining) and row.id not in self._busy:
                self._busy.add(row.id)
                self._start(self._take_over(row))

    def row_of(self, key: bytes) -> Row | None:
        """Return the region that holds a key."""
        return next((row for row in self.rows.values() if row.holds(key)), None)

    def leads(self, row: Row) -> bool:
        """Whether this store may answer for a region."""
        return self.led.get(row.id) == row.term

    async def agree(self, region: int, key: bytes = b"", value: bytes | None = None) -> bool:
        """Wait until a majority has taken a write, or has confirmed who leads; False if it doesn't."""
        waiting = Waiting(region, key, value)
        self._queue.append(waiting)
        self._begin_round()
        try:
            async with asyncio.timeout(self._give_up_s):
                return await waiting.done
        except TimeoutError:
            return False

    def appended(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take what a leader sends."""
        refused = []
        for region, term in ((int(region), term) for region, term in body["terms"].items()):
            if term < self.promised.get(region, 0):
                refused.append(region)
                continue
            self._promise(region, term)
        for region, key, term, number, value in body["entries"]:
            if region not in refused:
                self._keep(key.encode("latin-1"), (term, number, value.encode("latin-1")))
        return {"refused": refused}

    def dumped(self, body: dict[str, Any]) -> dict[str, Any]:
        """Promise a new leader to refuse earlier terms, and give it all keys of its region."""
        region, term = body["region"], body["term"]
        if term < self.promised.get(region, 0):
            return {"refused": True}
        self._promise(region, term)
        row = Row(region, bytes.fromhex(body["start"]), bytes.fromhex(body["end"]), 0, 0, [], 0, term, 0)
        return {"entries": self._entries(row)}

    def _promise(self, region: int, term: int) -> None:
        if term > self.promised.get(region, 0):
            self.promised[region] = term
            self._write({"region": region, "promised": term})

    def _entries(self, row: Row) -> list[list[Any]]:
        return [
            [row.id, key.decode("latin-1"), term, number, value.decode("latin-1")]
            for key, (term, number, value) in self.keys.items()
            if row.holds(key)
        ]

    def _keep(self, key: bytes, entry: Entry) -> None:
        if key not in self.keys or self.keys[key][:2] < entry[:2]:
            self.keys[key] = entry
            term, number, value = entry
            self._write({"k": key.decode("latin-1"), "t": term, "n": number, "v": value.decode("latin-1")})

    def _write(self, line: dict[str, Any]) -> None:
        """Keep a line on disk. A store that can't ends by a panic, as TiKV does where its raft log fails."""
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            log("FATAL", "lib.rs:512", f"a stand-in's panic: {error.strerror} (os error {error.errno})")
            os._exit(1)

    async def _take_over(self, row: Row) -> None:
        """Read a region from a majority and write it back to one, then lead it; give it to who joins."""
        try:
            if self.led.get(row.id) != row.term:
                self._promise(row.id, row.term)
                ask = {"region": row.id, "term": row.term, "start": row.start.hex(), "end": row.end.hex()}
                others = [store for store in row.peers if store != self.id]
                answers = await asyncio.gather(*(self._ask(store, DUMP, ask) for store in others))
                given = [answer["entries"] for answer in answers if answer and "entries" in answer]
                if 1 + len(given) <= len(row.peers) // 2:
                    return
                for _, key, term, number, value in (entry for entries in given for entry in entries):
                    self._keep(key.encode("latin-1"), (term, number, value.encode("latin-1")))
                if not await self._give(row, others, len(row.peers) // 2):
                    return
                self.led[row.id] = row.term
            if row.joining and await self._give(row, [row.joining], 1):
                self.joined.append((row.id, row.joining))
        finally:
            self._busy.discard(row.id)

    async def _give(self, row: Row, stores: list[int], needed: int) -> bool:
        body = {"terms": {row.id: row.term}, "entries": self._entries(row)}
        answers = await asyncio.gather(*(self._ask(store, APPEND, body) for store in stores))
        return sum(answer is not None and not answer["refused"] for answer in answers) >= needed

    async def _ask(self, store: int, path: str, body: object) -> Any:
        peer = self.peers.get(store)
        if peer is None or peer.owed > MAX_BEHIND:
            return None
        try:
            return await peer.ask(path, body, 3 * REPLY_S if path == DUMP else REPLY_S)
        except (grpc.aio.AioRpcError, ValueError):
            return None

    def _begin_round(self) -> None:
        if self._queue and not self._in_round:
            self._in_round = True
            self._start(self._round())

    def _next_round(self, *, over: bool) -> None:
        if over:
            self._in_round = False
            self._begin_round()

    async def _round(self) -> None:
        """Replicate all that has come, and answer each operation as soon as its region has a majority."""
        await asyncio.sleep(BATCH_S)
        batch, self._queue = self._queue, []
        rows = {each.region: self.rows[each.region] for each in batch if each.region in self.rows}
        terms = {region: row.term for region, row in rows.items() if self.leads(row)}
        entries, kept = [], []
        for each in batch:
            if each.value is not None and each.region in terms:
                self._number = max(self._number + 1, time.time_ns())
                entry = (terms[each.region], self._number, each.value)
                entries.append(
                    [each.region, each.key.decode("latin-1"), *entry[:2], each.value.decode("latin-1")]
                )
                kept.append((each.key, entry))
        acks = dict.fromkeys(terms, 1)

        def settle() -> None:
            for each in batch:
                if each.done.done():
                    continue
                if each.region not in terms:
                    each.done.set_result(False)
                elif acks[each.region] > len(rows[each.region].peers) // 2:
                    each.done.set_result(True)

        for key, entry in kept:
            self._keep(key, entry)
        settle()
        stores = {store for region in terms for store in (*rows[region].peers, rows[region].joining)}
        body = {"terms": terms, "entries": entries}
        over = False
        asked = [self._ask_as(store, body) for store in stores - {self.id, 0}]
        for answered in asyncio.as_completed(asked):
            store, answer = await answered
            for region in terms if answer is not None else ():
                if region in answer["refused"]:
                    self.led.pop(region, None)
                elif store in rows[region].peers:
                    acks[region] += 1
            settle()
            if not over:
                over = all(each.done.done() for each in batch)
                self._next_round(over=over)
        for each in batch:
            if not each.done.done():
                each.done.set_result(False)
        self._next_round(over=not over)

    async def _ask_as(self, store: int, body: object) -> tuple[int, Any]:
        return store, await self._ask(store, APPEND, body)

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()
