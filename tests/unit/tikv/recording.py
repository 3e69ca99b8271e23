"""Looks at a TiKV cluster in its failures: recorded beside a real PD, replayed without it.

`python -m tests.unit.tikv.recording FILE "WHAT THESE ARE"` makes the recording anew, in seven minutes, beside
what OPERATOR_PD_SERVER and OPERATOR_TIKV_SERVER name. A look is every HTTP answer and every greeting of a
gRPC port that it took.
"""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2

from subjects import answers, clock
from subjects.access import Access
from subjects.answers import Answered
from subjects.base import Cluster, Connection, Deployment, Health, Identity, Kill, Lifecycle, Pause, Probe
from subjects.clusters import attach, decide, open_cluster
from subjects.state import open_state
from subjects.tikv import store as store_port
from tests.waiting import healthy
from tools.diagnosis.base import LOOKBACK_S
from tools.observe.targets import NO_ANSWER, ProbeTarget

_SILENT = {"error": "silent"}
_READ = re.compile(
    r"^(?:tikv_server_report_failure_msg_total|tikv_raftstore_\w+|process_start_time_seconds)\b"
)
_PATHS = re.compile(r'"(deploy_path|git_hash)": "[^"]*"')


def _key(method: str, url: str, headers: Mapping[str, str] | None) -> str:
    return " ".join([method, url, *(f"{name}={value}" for name, value in sorted((headers or {}).items()))])


def _kept(url: str, body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    if url.endswith("/metrics"):
        return "".join(f"{line}\n" for line in text.splitlines() if _READ.match(line))
    return _PATHS.sub(r'"\1": ""', text)


@dataclass
class Look:
    """What was answered in one look at a cluster."""

    endpoint: str
    victims: list[str]
    """Who failed, by the names of who is only given an endpoint."""
    wall: float = 0.0
    http: dict[str, dict[str, Any]] = field(default_factory=dict)
    ports: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep what is answered meanwhile."""
        exchange, greet = answers.exchange, store_port.probe_grpc_port

        async def exchanged(
            client: httpx2.AsyncClient, method: str, url: str, timeout_s: float, **more: Any
        ) -> Answered:
            key = _key(method, url, more.get("headers"))
            self.http[key] = _SILENT  # until it has answered
            try:
                answered = await exchange(client, method, url, timeout_s, **more)
            except httpx2.HTTPError as error:
                self.http[key] = {"error": type(error).__name__}
                raise
            self.http[key] = {"code": answered.code, "body": _kept(url, answered.body)}
            return answered

        async def greeted(host: str, port: int, timeout_s: float) -> Probe:
            probe = await greet(host, port, timeout_s)
            self.ports[f"{host}:{port}"] = asdict(probe)
            return probe

        self.wall = clock.wall()
        with (
            patch.object(answers, "exchange", exchanged),
            patch.object(store_port, "probe_grpc_port", greeted),
        ):
            yield

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Answer as then, at that time; nothing else is reached."""

        async def exchanged(
            client: httpx2.AsyncClient, method: str, url: str, timeout_s: float, **more: Any
        ) -> Answered:
            said = self.http.get(_key(method, url, more.get("headers")), {"error": "ConnectError"})
            if said == _SILENT:
                await asyncio.sleep(timeout_s)
                raise httpx2.ReadTimeout("recorded")
            if error := said.get("error"):
                raise getattr(httpx2, error)("recorded")
            return Answered(said["code"], said["body"].encode())

        async def greeted(host: str, port: int, timeout_s: float) -> Probe:
            said = self.ports.get(f"{host}:{port}")
            if said is None:
                return Probe(Connection.REFUSED, raw="recorded: refused")
            return Probe(
                **{**said, "connection": Connection(said["connection"]), "health": Health(said["health"])}
            )

        with (
            patch.object(answers, "exchange", exchanged),
            patch.object(store_port, "probe_grpc_port", greeted),
            patch.object(clock, "wall", lambda at=None: self.wall),
            patch("time.time", lambda: self.wall),
            patch("tools.diagnosis.steady.probe_new_connection", self._new_connection),
        ):
            yield

    async def _new_connection(self, target: ProbeTarget, _way_s: float) -> str | None:
        """A port that was silent takes connections, as that of a paused process does; no other loses any."""
        ended = {said.get("error") for key, said in self.http.items() if f"//{target.where}/" in key}
        return NO_ANSWER if ended & {"silent", "ReadTimeout"} else None


class Recorder:
    """One cluster of operator's own, seen by who is only given its endpoint."""

    def __init__(self, cluster: Cluster, theirs: Cluster, endpoint: str) -> None:
        self.cluster, self.theirs, self.endpoint = cluster, theirs, endpoint
        self.looks: dict[str, Look] = {}
        self._held: dict[str, Identity] = {}

    async def row(self, victims: list[str], act: str, *looks: tuple[str, float]) -> None:
        """Kill or pause these members, look at those times after it, and undo it.

        Whoever was started in the last minute counts as restarted: that must be over.
        """
        await asyncio.sleep(LOOKBACK_S + 1)
        seen = [await self._seen_as(each) for each in victims]
        for each in victims:
            identity = (await self.cluster.nodes.inspect(each)).identity
            assert isinstance(identity, Identity)
            self._held[each] = identity
            if act == "kill":
                await self.cluster.require(Kill).kill(each, identity)
            else:
                await self.cluster.require(Pause).pause(each, identity)
        passed = 0.0
        for name, after_s in looks:
            await asyncio.sleep(after_s - passed)
            passed = after_s
            await self.look(name, seen)
        for each in victims:
            if act == "pause":
                await self.cluster.require(Pause).resume(each, self._held[each])
            await self.cluster.require(Lifecycle).start(each)
        await healthy(self.cluster)

    async def look(self, name: str, victims: list[str]) -> None:
        """Keep one look."""
        look = self.looks[name] = Look(self.endpoint, victims)
        with look.recording():
            await self.theirs.subject.observe()

    async def led(self) -> str:
        """Return the PD that leads."""
        leader = (await healthy(self.cluster)).leader
        assert leader is not None
        return leader

    async def _seen_as(self, name: str) -> str:
        member_id = (await healthy(self.cluster)).node(name).member_id
        nodes = (await self.theirs.subject.observe()).nodes
        return next(node.name for node in nodes if node.member_id == member_id)


async def record(file: Path, what: str) -> None:
    """Make the recording."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = await open_cluster(open_state(Path(folder)), await decide("tikv", "process"))
        try:
            await cluster.require(Deployment).up()
            endpoint = "http://{}:{}".format(*cluster.subject.watch_address("pd0"))
            theirs = await attach("tikv", [endpoint], Access())
            recorder = Recorder(cluster, theirs, endpoint)
            store, other, *_ = cluster.subject.stores
            await healthy(cluster)
            await recorder.look("all is well", [])
            await recorder.row(
                [store], "kill", ("a store killed", 1.0), ("a store killed, known to PD", 25.0)
            )
            await recorder.row(
                [store], "pause", ("a store paused", 2.0), ("a store paused, known to PD", 25.0)
            )
            await recorder.row([store, other], "kill", ("two of three stores killed", 2.0))
            leader = await recorder.led()
            await recorder.row([leader], "kill", ("the leading PD killed", 1.0), ("another PD leads", 15.0))
            left = [name for name in cluster.subject.nodes if name.startswith("pd")][1:]
            await recorder.row(left, "kill", ("two of three PDs killed", 8.0))
            await theirs.aclose()
        finally:
            await cluster.require(Deployment).down()
            await cluster.aclose()
    looks = {name: asdict(look) for name, look in recorder.looks.items()}
    file.write_text(json.dumps({"from": what, "looks": looks}, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1]), sys.argv[2]))
