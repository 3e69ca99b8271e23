"""TiKV as operator sees it: every store by itself, by its peers, by PD and by its clients; and the PDs."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from importlib.resources import files
from urllib.parse import urlsplit

from subjects import clock
from subjects.base import (
    ClusterSnapshot,
    ClusterState,
    Connection,
    FormerMember,
    LoadTarget,
    Metric,
    Nodes,
    Probe,
    Subject,
    UsualAlert,
)
from subjects.errors import Unreachable
from subjects.tikv import store as store_port
from subjects.tikv.go_ycsb import LOCAL, load_target
from subjects.tikv.judge import INVARIANTS, judge, quorum_of
from subjects.tikv.loads import Loads, operator_load
from subjects.tikv.members import Member, discovered, named
from subjects.tikv.pd import ITSELF, Group, NotBootstrapped, PdClient, Store
from subjects.tikv.peers import FAILED, HEARD, PeerViews
from subjects.tikv.replication import Placement, read_placement
from subjects.tikv.spread import spread
from subjects.tikv.stale_heartbeat import StaleHeartbeatFilter
from subjects.tikv.targets import TARGETS, USUAL_TARGET
from subjects.tikv.views import pd_view, store_view

LOOK_TIMEOUT_S = 1.0
PD_TIMEOUT_S = 1.6
METRICS_EVERY_S = 1.0
"""A store's page of metrics has one to three megabytes: it is not read more often."""

DEFAULT_REPLICAS = 3


class TikvSubject:
    """A cluster of PDs and stores."""

    name = "tikv"
    targets = TARGETS
    usual_target = USUAL_TARGET
    invariants = INVARIANTS
    stop_timeout_s = 30.0
    """From v8.5.5 on a store moves its leaders away for up to 20 s after SIGTERM."""
    stall_s = 20.0
    """10 to 20 raft ticks of 1 s: TiKV's election timeout."""
    usual_alert = UsualAlert(
        "PD_cluster_lost_connect_tikv_nums",
        75.0,
        "PD: Disconnected after 10-20 s, then for 1m, scraped every 15 s",
    )

    def __init__(
        self, members: Sequence[Member], nodes: Nodes, pd: PdClient, loads: Loads | None = None
    ) -> None:
        """`members` may be empty: then PD is asked who they are, at every look, and the PDs it names, too."""
        self._given = tuple(members)
        self._members = tuple(members)
        self._nodes = nodes
        self._pd = pd
        self._endpoints = tuple(pd.urls)
        self._loads = loads
        self._peers = PeerViews()
        self._trap = StaleHeartbeatFilter()
        self._metrics_at: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._replicas: int | None = None
        self._unresolved: frozenset[str] = frozenset()
        """Nodes whose names did not resolve here at the last look."""
        self._reached: set[str] = set()
        """Nodes that have answered."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The PDs, then the stores."""
        return tuple(member.name for member in self._members)

    @property
    def stores(self) -> tuple[str, ...]:
        """The stores."""
        return tuple(member.name for member in self._members if member.kind == "store")

    @cached_property
    def knowledge(self) -> str:
        """Failure signatures of TiKV and PD."""
        return files("subjects.tikv").joinpath("knowledge.md").read_text(encoding="utf-8")

    def watch_address(self, node: str) -> tuple[str, int]:
        """Return a store's status port, a PD's client port."""
        parts = urlsplit(self._member(node).url)
        return parts.hostname or "127.0.0.1", parts.port or 80

    def health_request(self, node: str) -> bytes:
        """`/status` of a store and `/ping` of a PD: each answers by itself, 200 with an empty body."""
        host, port = self.watch_address(node)
        member = self._member(node)
        lines = [f"GET {_health_path(member)} HTTP/1.1", f"Host: {host}:{port}"]
        lines += [f"{name}: {value}" for name, value in _headers(member).items()]
        return "\r\n".join((*lines, "", "")).encode()

    def can_be_held(self, node: str) -> bool:
        """Whether a connection to this node can be held."""
        return self._member(node).unseen is None and node not in self._unresolved

    async def observe(self) -> ClusterSnapshot:
        """Ask PD and every node everything at once."""
        at, began = clock.wall(), time.monotonic()
        group, everyone, regions, trouble = await self._control()
        group = named(group, self._members) if group else None
        stores = None if everyone is None else [store for store in everyone if not store.tombstone]
        self._members = tuple(self._members_now(group, everyone))
        names, members = self.nodes, self._members
        by_name = {member.name: _find(member, stores or ()) for member in members}
        learners = sum(store is not None and store.learner for store in by_name.values())
        replicas = min(self._replicas or DEFAULT_REPLICAS, max(len(self.stores) - learners, 1))
        placement, itself, clients, processes, started, _ = await asyncio.gather(
            self._placement(regions, stores, replicas),
            asyncio.gather(*(self._health(member) for member in members)),
            asyncio.gather(*(self._greet(member, LOOK_TIMEOUT_S) for member in members)),
            asyncio.gather(*(self._nodes.inspect(name) for name in names)),
            asyncio.gather(*(self._pd_started(member) for member in members)),
            self._read_peers(stores or ()),
        )
        leader = group.leader if group else None
        self._trap.leader(leader, began)
        ids = {store.id: name for name, store in by_name.items() if store is not None}
        nodes = []
        for index, member in enumerate(members):
            process, said, client = processes[index], itself[index], clients[index]
            if member.kind == "pd":
                nodes.append(pd_view(member, group, process, said, started[index], at))
                continue
            store = by_name[member.name]
            reports = self._peers.of(store.id) if store else {}
            peers = {ids[teller]: holds for teller, holds in reports.items() if teller in ids}
            missing = placement.missing_by_store.get(store.id, 0) if store else None
            view = store_view(member, store, process, said, client, peers, at, missing)
            nodes.append(self._trap.judged(view, began))
        views = tuple(nodes)
        self._unresolved = frozenset(node.name for node in views if node.unseen is not None)
        snapshot = ClusterSnapshot(
            at=at,
            took_s=round(time.monotonic() - began, 4),
            nodes=views,
            leader=leader,
            term=None,
            quorum=quorum_of(views, replicas),
            state=ClusterState.DOWN,
            left=tuple(
                FormerMember(f"tikv-{store.id}", store.id, store.last_heartbeat or at)
                for store in everyone or ()
                if store.tombstone
            ),
            cluster_id=group.cluster_id if group else None,
            replication=placement.replication,
        )
        return judge(snapshot, trouble, replicas)

    async def probe(self, node: str, timeout_s: float) -> Probe:
        """Greet a store's gRPC port as clients do; ask a PD's client port."""
        member = self._member(node)
        return await (
            self._health(member, timeout_s) if member.kind == "pd" else self._greet(member, timeout_s)
        )

    async def metrics(self, node: str, names: Sequence[str]) -> list[Metric]:
        """Read from `/metrics`; of a PD only the leader's cluster gauges mean something."""
        member = self._member(node)
        if member.unseen is not None:
            raise Unreachable(f"{node}: {member.unseen.text}.", member.unseen)
        return await store_port.metrics(self._pd.client, member.url, names, LOOK_TIMEOUT_S)

    def on_host(self, node: str) -> bool:
        """Whether the node is asked past the network that the others use."""
        return self._member(node).on_host

    async def ask_cheaply(self, node: str) -> None:
        """Have a status page without content: a store's page of metrics has megabytes, which take time."""
        said = await self._health(self._member(node))
        if said.connection is not Connection.ACCEPTED:
            raise Unreachable(said.raw)

    async def prepare(self) -> str:
        """Split the data into regions, and have every store lead some."""
        try:
            stores = await self._pd.stores(PD_TIMEOUT_S)
        except Unreachable as error:
            return f"the regions could not be spread over the stores: {error}"
        return await spread(self._pd, sorted(int(store.id) for store in stores if not store.tombstone))

    def load_target(self, wanted: str = "auto") -> LoadTarget:
        """operator's generator over the raw API where gRPC is installed, else go-ycsb."""
        pds = tuple(urlsplit(url).netloc for url in self._pd.urls)
        loads = self._loads or Loads(operator_load(pds), load_target((), pds, LOCAL))
        return loads.choose(wanted)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pd.aclose()

    def _member(self, node: str) -> Member:
        for member in self._members:
            if member.name == node:
                return member
        raise KeyError(node)

    def _members_now(self, group: Group | None, stores: Sequence[Store] | None) -> Sequence[Member]:
        """Return who the nodes are, by what PD says; `stores` has those that were removed for good, too."""
        if self._given or group is None or stores is None:
            return self._members
        members = discovered(group, [store for store in stores if not store.tombstone])
        named_by_pd = [member.url for member in members if member.kind == "pd" and member.unseen is None]
        self._pd.urls = list(dict.fromkeys((*self._endpoints, *named_by_pd)))
        return members

    async def _placement(
        self, regions: int | None, stores: Sequence[Store] | None, replicas: int
    ) -> Placement:
        if regions is None or stores is None:  # it would not answer this either
            return Placement()
        return await read_placement(self._pd, regions, stores, replicas, PD_TIMEOUT_S)

    async def _regions_then_stores(self) -> tuple[int, tuple[Store, ...]]:
        """Count the regions first: of leaders that are counted later none is missing for being new."""
        regions = await self._pd.regions(PD_TIMEOUT_S)
        return regions, await self._pd.stores(PD_TIMEOUT_S)

    async def _control(self) -> tuple[Group | None, tuple[Store, ...] | None, int | None, str]:
        """Return what PD says of itself, of the stores, and how many regions there are; or why it can't."""
        group, counted = await asyncio.gather(
            self._pd.group(PD_TIMEOUT_S), self._regions_then_stores(), return_exceptions=True
        )
        for answer in (group, counted):
            if isinstance(answer, BaseException) and not isinstance(answer, Unreachable):
                raise answer
        stores, regions = (None, None) if isinstance(counted, BaseException) else counted[::-1]
        trouble = next((str(answer) for answer in (group, counted) if isinstance(answer, Unreachable)), "")
        if isinstance(counted, NotBootstrapped):
            stores = ()
        if self._replicas is None and not trouble:
            with suppress(Unreachable):
                self._replicas = await self._pd.replicas(PD_TIMEOUT_S)
        return group if isinstance(group, Group) else None, stores, regions, trouble

    async def _health(self, member: Member, timeout_s: float = LOOK_TIMEOUT_S) -> Probe:
        if (unseen := member.unseen) is not None:
            return Probe(Connection.UNKNOWN if unseen.ours else Connection.REFUSED, raw=unseen.text)
        url = f"{member.url}{_health_path(member)}"
        said = await store_port.look(self._pd.client, url, timeout_s, _headers(member))
        return self._resolved_before(member, said)

    async def _greet(self, member: Member, timeout_s: float) -> Probe:
        if member.data is None or member.unseen is not None:
            return await self._health(member, timeout_s)
        return self._resolved_before(member, await store_port.probe_grpc_port(*member.data, timeout_s))

    def _resolved_before(self, member: Member, said: Probe) -> Probe:
        """Return it; a name that resolved before and does not any more has gone with its pod or container."""
        if said.connection is Connection.ACCEPTED:
            self._reached.add(member.name)
        gone = said.connection is Connection.UNKNOWN and member.name in self._reached
        return replace(said, connection=Connection.REFUSED) if gone else said

    async def _pd_started(self, member: Member) -> float | None:
        if member.kind != "pd" or member.unseen is not None:
            return None
        try:
            return await self._pd.started(member.url, LOOK_TIMEOUT_S)
        except Unreachable:
            return None

    async def _read_peers(self, stores: Sequence[Store]) -> None:
        """Read what every store says of the others, if that was not done just now."""
        self._forget_ends(stores)
        now = time.monotonic()
        due: dict[str, Member] = {}
        for member in self._members:
            store = _find(member, stores)
            if (
                store is not None
                and now - self._metrics_at.get(store.id, -METRICS_EVERY_S) >= METRICS_EVERY_S
            ):
                due[store.id] = member
        await asyncio.gather(*(self._read_teller(teller, member) for teller, member in due.items()))

    def _forget_ends(self, stores: Sequence[Store]) -> None:
        """Let a store that was started again begin with a clean name."""
        for store in stores:
            if store.started is not None and self._started.get(store.id) != store.started:
                if store.id in self._started:
                    self._peers.restarted(store.id)
                self._started[store.id] = store.started

    async def _read_teller(self, teller: str, member: Member) -> None:
        self._metrics_at[teller] = time.monotonic()
        try:
            samples = await self.metrics(member.name, (FAILED, HEARD))
        except Unreachable:
            self._peers.silence(teller)
            return
        self._peers.take(teller, samples, time.monotonic())


def _find(member: Member, stores: Sequence[Store]) -> Store | None:
    """Return the store that PD means; of two with one address the newer, the other was replaced."""
    found = [store for store in stores if member.is_store(store)]
    return max(found, key=lambda store: int(store.id or 0), default=None)


def _health_path(member: Member) -> str:
    return "/pd/api/v1/ping" if member.kind == "pd" else "/status"


def _headers(member: Member) -> Mapping[str, str]:
    return ITSELF if member.kind == "pd" else {}


def _proof(subject: TikvSubject) -> Subject:
    return subject
