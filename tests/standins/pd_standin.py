"""A stand-in for pd-server: its flags, its HTTP API, its timings, so that operator is tried without PD.

Run as `python -m tests.standins.pd_standin FLAGS`. STANDIN_SPEED makes every threshold that many times
shorter. The election is far simpler than etcd's: of those PDs that see a majority, the first by name leads.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.standins.pd_rpc_standin import CLUSTER, PdRpc
from tests.standins.pd_state_standin import PdState
from tests.standins.regions_standin import RegionRecord
from tests.standins.regions_standin import body as region_body
from tests.standins.standin_http import Answer, Channel, host_port, serve

ELECTION_S, LEASE_S = 3.0, 5.0
"""server/config/config.go: PD's etcd election, and the leader's lease."""

NO_LEADER = "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader"
NOT_BOOTSTRAPPED = "[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first"
API = "/pd/api/v1"
VERSION = "v8.5.5-standin"


class PdStandin:
    """One PD."""

    def __init__(self, options: argparse.Namespace, speed: float) -> None:
        self.name: str = options.name
        self.client_url: str = options.advertise_client_urls
        self.peers = dict(item.split("=", 1) for item in options.initial_cluster.split(","))
        self.file = Path(options.data_dir) / "standin.json"
        self.state = PdState(speed=speed)
        self.speed = speed
        self.started = int(time.time())
        self.term = 0
        self.leader: str | None = None
        self.members: dict[str, dict[str, Any]] = {}
        self._no_leader_since = time.monotonic()
        self._channels: dict[str, Channel] = {}
        if self.file.exists():
            self.state.load(json.loads(self.file.read_text()))

    @property
    def leads(self) -> bool:
        return self.leader == self.name

    async def elect(self) -> None:
        """Look at the others, again and again, and settle who leads."""
        while True:
            answers = await asyncio.gather(*(self._ask_peer(name) for name in self.peers))
            seen = {name: answer for name, answer in zip(self.peers, answers, strict=True) if answer}
            self._settle(seen)
            if self.leads and self.state.stores:
                self.state.tick()
                self._keep()
            await asyncio.sleep(0.3 / self.speed)

    def _settle(self, seen: dict[str, dict[str, Any]]) -> None:
        majority = len(self.peers) // 2 + 1
        self.members.update(seen)
        leading = [answer for answer in seen.values() if answer["leader"] == answer["name"]]
        best = max(leading, key=lambda answer: answer["term"], default=None)
        now = time.monotonic()
        if len(seen) < majority:
            self._follow(None)
        elif best is not None:
            self.term = max(self.term, best["term"])
            self._follow(best["name"])
            if not self.leads:
                self._keep(best["dump"])
        else:
            self._without_leader(seen, now - self._no_leader_since)
        if best is not None:
            self._no_leader_since = now

    def _without_leader(self, seen: dict[str, dict[str, Any]], for_s: float) -> None:
        """Followers hold on to a leader that is gone until its lease has expired."""
        if self.leader is not None and for_s > LEASE_S / self.speed:
            self._follow(None)
        if min(seen) == self.name and for_s > self._election_s():
            self._lead(1 + max(answer["term"] for answer in seen.values()))

    def _election_s(self) -> float:
        return (LEASE_S + 1 if self.term else ELECTION_S) / self.speed

    def _lead(self, term: int) -> None:
        self.term = term
        if self.file.exists():
            self.state.load(json.loads(self.file.read_text()))
        log("INFO", "server.go:1802", "PD leader is ready to serve", f"leader-name={self.name}")
        self._follow(self.name)

    def _follow(self, leader: str | None) -> None:
        if leader is None and self.leads:
            log(
                "INFO",
                "server.go:1790",
                "no longer a leader because lease has expired, pd leader will step down",
            )
        if leader != self.leader and leader not in (None, self.name):
            log("INFO", "server.go:1690", "start to watch pd leader", f"pd-leader={leader}")
        self.leader = leader

    async def _ask_peer(self, name: str) -> dict[str, Any] | None:
        if name == self.name:
            return self.describe()
        try:
            status, text = await self._channel(self.peers[name]).ask("/standin/peer", timeout_s=0.5)
        except (OSError, TimeoutError):
            return None
        return json.loads(text) if status == 200 else None

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "leader": self.leader,
            "term": self.term,
            "client_url": self.client_url,
            "dump": self.state.dump(),
        }

    def _keep(self, dump: dict[str, Any] | None = None) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_suffix(".new")
        temporary.write_text(json.dumps(dump or self.state.dump()))
        temporary.replace(self.file)

    async def answer_peer(self, _method: str, _path: str, _body: bytes) -> Answer:
        return 200, json.dumps(self.describe())

    async def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Answer, or pass the question to the leader, as PD's middleware does."""
        parts = urlsplit(path)
        route = parts.path.removeprefix(API)
        local = self._local(route)
        if local is not None:
            return local
        if self.leader is None:
            await self._wait_for_leader()
        if self.leader is None:
            return 503, NO_LEADER
        if not self.leads:
            try:
                data = json.loads(body) if body else None
                return await self._channel(self._url_of(self.leader)).ask(path, method, data, timeout_s=3.0)
            except (OSError, TimeoutError):
                return 500, "[PD:apiutil:ErrRedirect]redirect failed"
        return self._as_leader(method, route, parse_qs(parts.query), json.loads(body) if body else {})

    async def _wait_for_leader(self) -> None:
        deadline = time.monotonic() + 3.0 / self.speed
        while self.leader is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    def _channel(self, url: str) -> Channel:
        return self._channels.setdefault(url, Channel(url))

    def _url_of(self, name: str) -> str:
        return str(self.members.get(name, {}).get("client_url") or self.client_url)

    def _local(self, route: str) -> Answer | None:
        if route == "/ping":
            return 200, ""
        if route == "/status":
            return 200, pretty({"version": VERSION, "git_hash": "standin", "start_timestamp": self.started})
        if route == "/version":
            return 200, pretty({"version": VERSION})
        if route == "/metrics":
            return 200, self._metrics()
        if route == "/health":
            now = [
                {"name": n, "client_urls": [self._url_of(n)], "health": self.leader is not None}
                for n in self.peers
            ]
            return 200, pretty(now)
        return None

    def _as_leader(
        self, method: str, route: str, query: dict[str, list[str]], body: dict[str, Any]
    ) -> Answer:
        match method, route.split("/")[1:]:
            case "POST", ["standin", "register"]:
                store_id = self.state.register(body)
                self._keep()
                log("INFO", "grpc_service.go:899", "put store ok", f"store-id={store_id}")
                return (200, pretty({"id": store_id})) if store_id else (500, '"duplicated store address"')
            case "POST", ["standin", "heartbeat"]:
                known = self.state.heartbeat(int(body.pop("id")), body)
                return (200, "{}") if known else (404, '"store not found"')
            case "POST", ["standin", "clock"]:
                self.state.ahead_s += float(body["ahead_s"])
                return 200, "{}"
            case "GET", ["members"]:
                return 200, pretty(self._members())
            case "GET", ["leader"]:
                return 200, pretty(self._member(self.name))
            case "POST", ["leader", "resign"]:
                self.leader = None
                return 200, '"The resign command is submitted."'
            case "POST", ["config"]:
                return 200, '"The config is updated."'
            case _, ["config", *rest]:
                replicate = {"max-replicas": 3}
                return 200, pretty(replicate if rest == ["replicate"] else {"replication": replicate})
        if not self.state.stores:
            return 500, json.dumps(NOT_BOOTSTRAPPED)
        self.state.tick()
        return self._change(method, route, body) or self._cluster(route, query)

    def _change(self, method: str, route: str, body: dict[str, Any]) -> Answer | None:
        regions = self.state.regions
        match method, route.split("/")[1:]:
            case "POST", ["standin", "joined"]:
                regions.joined(int(body["region"]), int(body["store"]), self.state.now())
                return 200, "{}"
            case "POST", ["standin", "bury"]:
                self.state.stores[int(body["id"])].state = 2
                return 200, "{}"
            case "POST", ["standin", "orphan"]:
                regions.regions[int(body["region"])].leader = 0
                return 200, "{}"
            case "GET", ["standin", "regions"]:
                return 200, json.dumps(regions.dump())
            case "POST", ["regions", "split"]:
                made = regions.split(body["split_keys"], self.state.new_id)
                self._keep()
                return 200, pretty({"processed-percentage": 100, "regions-id": made})
            case "POST", ["operators"]:
                if body.get("name") != "transfer-leader":
                    return 400, '"unknown operator"'
                done = regions.transfer(int(body["region_id"]), int(body["to_store_id"]))
                return (200, "null") if done else (500, '"region has no voter in the store"')
            case "DELETE", ["store", number] if int(number) in self.state.stores:
                self.state.stores[int(number)].state = 1
                return 200, '"The store is set as Offline."'
        return None

    def _cluster(self, route: str, query: dict[str, list[str]]) -> Answer:
        match route.split("/")[1:]:
            case ["stores"]:
                states = (
                    None if "state" not in query else {"up", "disconnected", "down", "offline", "tombstone"}
                )
                return 200, pretty(self.state.stores_body(states))
            case ["stores", "check"]:
                return 200, pretty(self.state.stores_body({name.lower() for name in query.get("state", [])}))
            case ["store", number]:
                store = self.state.stores.get(int(number))
                return (200, pretty(self.state.store_body(store))) if store else (404, '"store not found"')
            case ["regions"]:
                return 200, _regions(self.state.regions.in_order())
            case ["regions", "key"]:
                key = query.get("key", [""])[0].encode().hex().upper()
                limit = int(query.get("limit", ["16"])[0])
                held = [
                    region for region in self.state.regions.in_order() if not region.end or key < region.end
                ]
                return 200, _regions(held[:limit])
            case ["regions", "check", what]:
                gone = [store.id for store in self.state.stores.values() if self.state.gone(store)]
                return 200, _regions(self.state.regions.checked(what, gone))
            case ["regions", "count"]:
                return 200, pretty({"count": len(self.state.regions.regions), "regions": None})
            case ["cluster"]:
                return 200, pretty({"id": CLUSTER, "max_peer_count": 3})
        return 404, "404 page not found"

    def _member(self, name: str) -> dict[str, Any]:
        number = 3474484975246189105 + sorted(self.peers).index(name)
        return {
            "name": name,
            "member_id": number,
            "peer_urls": [self.peers[name]],
            "client_urls": [self._url_of(name)],
        }

    def _members(self) -> dict[str, Any]:
        members = [{**self._member(name), "binary_version": VERSION} for name in self.peers]
        leader = self._member(self.name)
        return {
            "header": {"cluster_id": CLUSTER},
            "members": members,
            "leader": leader,
            "etcd_leader": leader,
        }

    def known_members(self) -> list[dict[str, Any]]:
        """Return the leader and then all members; nothing while nobody leads."""
        if self.leader is None:
            return []
        return [self._member(self.leader), *(self._member(name) for name in self.peers)]

    def _metrics(self) -> str:
        rows = [f'service_member_role{{service="PD"}} {int(self.leads)}']
        for store in self.state.stores.values():
            gone = int(self.state.state_name(store) == "Disconnected")
            labels = f'type="store_disconnected_count",engine="tikv",store="{store.id}"'
            rows.append(f"pd_cluster_status{{{labels}}} {gone}")
        return "\n".join(rows) + "\n"


def _regions(regions: list[RegionRecord]) -> str:
    return pretty({"count": len(regions), "regions": [region_body(region) for region in regions]})


def pretty(body: object) -> str:
    """PD indents its JSON."""
    return json.dumps(body, indent=2)


def log(level: str, source: str, message: str, *fields: str) -> None:
    """Write a line as PD and TiKV write theirs."""
    at = datetime.now(UTC).strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]
    extra = "".join(f" [{each}]" for each in fields)
    print(f'[{at} +00:00] [{level}] [{source}] ["{message}"]{extra}', file=sys.stderr, flush=True)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Take pd-server's flags."""
    parser = argparse.ArgumentParser(prog="pd-server (stand-in)", allow_abbrev=False)
    for name in ("name", "data-dir", "client-urls", "advertise-client-urls", "peer-urls"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("advertise-peer-urls", "initial-cluster", "config", "log-level", "log-file"):
        parser.add_argument(f"--{name}")
    return parser.parse_args(argv)


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    pd = PdStandin(options, float(os.environ.get("STANDIN_SPEED", "1")))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    rpc = PdRpc(pd.state, lambda: pd.leads, pd.known_members)
    servers = [
        await serve(pd.answer, *host_port(options.client_urls), await rpc.listen()),
        await serve(pd.answer_peer, *host_port(options.peer_urls)),
    ]
    log("INFO", "main.go:240", "Welcome to Placement Driver (PD)", "stand-in=true")
    electing = asyncio.create_task(pd.elect())
    await asyncio.wait([electing, asyncio.create_task(ended.wait())], return_when=asyncio.FIRST_COMPLETED)
    if electing.done():
        electing.result()
    electing.cancel()
    await rpc.aclose()
    for server in servers:
        server.close()


if __name__ == "__main__":
    asyncio.run(run(parse()))
