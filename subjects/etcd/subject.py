"""etcd as operator sees it: every member by itself, by its peers, by raft and by its clients."""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files

from subjects import clock
from subjects.base import (
    ClusterSnapshot,
    ClusterState,
    Connection,
    Health,
    LoadTarget,
    Membership,
    Metric,
    Nodes,
    Probe,
    Subject,
    Unseen,
    UnseenReason,
    UsualAlert,
)
from subjects.endpoints import host_and_port
from subjects.errors import Unreachable, Unsupported
from subjects.etcd.client import HEALTH, EtcdClient
from subjects.etcd.judge import INVARIANTS, judge
from subjects.etcd.status import STATUS_METRICS, Status, status_of_metrics
from subjects.etcd.targets import TARGETS, USUAL_TARGET
from subjects.etcd.views import (
    DEFRAGMENTATIONS,
    DEFRAGMENTING,
    ELECTION_S,
    QUOTA,
    Asked,
    Known,
    alarms_of,
    leader_of,
    quorum_of,
    serving_of,
    view_of,
)

LOOK_TIMEOUT_S = 1.0
_METRICS = (
    "etcd_network_active_peers",
    "process_start_time_seconds",
    DEFRAGMENTATIONS,
    QUOTA,
    *STATUS_METRICS,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one member is asked."""

    client: str
    """The URL that clients use; faults on the way to the member show here. Empty where there is none."""
    direct: str
    """The same service asked on the member's own host; equal to `client` where there is no such way."""
    metrics: str
    """Where `/health` and `/metrics` are asked."""
    member_id: str | None = None
    """Who must answer there; None where that is learned from the answer."""
    membership: Membership = Membership.VOTER
    unseen: Unseen | None = None
    """Why it can't be asked at all, where that is known beforehand."""
    shared: bool = False
    """Whether other members answer there, too: nobody can hold a connection to this one."""


class EtcdSubject:
    """A cluster of etcd members."""

    name = "etcd"
    targets = TARGETS
    usual_target = USUAL_TARGET
    disk_wait_metric = "etcd_disk_wal_fsync_duration_seconds"
    invariants = INVARIANTS
    stop_timeout_s = 10.0
    """As long as Docker's own default."""
    stall_s = ELECTION_S
    """Twice the longest usual election (1.8 s measured)."""
    usual_alert = UsualAlert(
        "etcdMembersDown", 1200.0, "etcd-mixin: for 20m (InsufficientMembers 3m, NoLeader 1m)"
    )

    def __init__(self, endpoints: Mapping[str, Endpoint], nodes: Nodes, client: EtcdClient) -> None:
        self._endpoints = dict(endpoints)
        self._nodes = nodes
        self._client = client
        self._names: dict[str, str] = {}
        """Member id → node name, learned from the members themselves."""
        self._cluster_id: str | None = None
        """Of which cluster the members must be; None where that is not held against them."""
        self._since: dict[str, float] = {}
        """Node → monotonic time since when it has no leader."""
        self._seen: dict[str, float] = {}
        """Node → wall time when it last said anything."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The members' names."""
        return tuple(self._endpoints)

    @property
    def stores(self) -> tuple[str, ...]:
        """Every member holds the data."""
        return self.nodes

    @cached_property
    def knowledge(self) -> str:
        """Failure signatures of etcd."""
        return files("subjects.etcd").joinpath("knowledge.md").read_text(encoding="utf-8")

    def watch_address(self, node: str) -> tuple[str, int]:
        """Return where the member answers `/health`."""
        return host_and_port(self._endpoints[node].metrics)

    def health_request(self, node: str) -> bytes:
        """`/health` reads linearizably: a member that is cut off from its peers falls silent here too."""
        host, port = self.watch_address(node)
        return f"GET {HEALTH} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()

    def watch_tls(self, node: str) -> ssl.SSLContext | None:
        """Return what verifies the member's port; None where it is plain."""
        return self._client.tls if self._endpoints[node].metrics.startswith("https") else None

    def can_be_held(self, node: str) -> bool:
        """Whether a connection to this member, and no other, can be held."""
        endpoint = self._endpoints[node]
        return endpoint.unseen is None and not endpoint.shared

    def client_request(self, node: str) -> tuple[str, int, bytes]:
        """Ask `/version` on the port that clients use: answered by the member alone."""
        host, port = host_and_port(self._endpoints[node].client)
        return host, port, f"GET /version HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()

    async def observe(self) -> ClusterSnapshot:
        """Ask every member everything at once."""
        at, began = clock.wall(), time.monotonic()
        self._client.refresh()
        endpoints = dict(self._endpoints)
        asked = await self._ask_all(endpoints)
        processes = await asyncio.gather(*(self._nodes.inspect(name) for name in endpoints))
        for name, each in asked.items():
            if each.status is not None:
                self._names[each.status.member_id] = name
            if each.answered:
                self._seen[name] = at
        known = Known(
            asked,
            dict(zip(endpoints, processes, strict=True)),
            {name: _membership(endpoint, asked[name]) for name, endpoint in endpoints.items()},
            self._names,
            self._leaderless(asked, began),
        )
        leader, term = leader_of(known)
        nodes = tuple(
            view_of(name, endpoint.client, leader, known, self._seen.get(name))
            for name, endpoint in endpoints.items()
        )
        quorum, alarms = quorum_of({node.name: node.votes for node in nodes}, known), alarms_of(known)
        statuses = [each.status for each in asked.values() if each.status is not None]
        return judge(
            ClusterSnapshot(
                at=at,
                took_s=round(time.monotonic() - began, 4),
                nodes=nodes,
                leader=leader,
                term=term,
                quorum=quorum,
                state=ClusterState.UNKNOWN,
                alarms=alarms,
                alarms_known=any(each.errors is not None for each in statuses),
                serving=serving_of(quorum, leader, alarms, known),
                cluster_id=next((each.cluster_id for each in statuses if each.cluster_id), None),
                revision=max((each.revision for each in statuses if each.revision is not None), default=None),
            )
        )

    async def probe(self, node: str, timeout_s: float) -> Probe:
        """Ask the port that clients use."""
        endpoint = self._endpoints[node]
        if endpoint.unseen is not None:
            return Probe(Connection.UNKNOWN, raw=endpoint.unseen.text)
        return await self._client.reach(endpoint.client, timeout_s)

    async def metrics(self, node: str, names: Sequence[str]) -> list[Metric]:
        """Read from `/metrics`."""
        endpoint = self._endpoints[node]
        if endpoint.unseen is not None or endpoint.shared:
            why = endpoint.unseen.text if endpoint.unseen else f"{node} has no address of its own"
            raise Unreachable(f"{why}.", endpoint.unseen)
        return await self._client.metrics(endpoint.metrics, names, LOOK_TIMEOUT_S)

    def on_host(self, node: str) -> bool:
        """Whether the member is asked on its own host, past the network that clients use."""
        return self._endpoints[node].direct != self._endpoints[node].client

    async def upkeep(self, node: str) -> str | None:
        """Say that the member is being defragmented: it holds its database locked, and answers for that."""
        inflight = await self.metrics(node, (DEFRAGMENTING,))
        return "is being defragmented" if any(each.value for each in inflight) else None

    async def prepare(self) -> str:
        """Do nothing: a new cluster of etcd is as it should be."""
        return ""

    def load_target(self, wanted: str = "auto") -> LoadTarget:
        """YCSB over the JSON gateway, through the ports that clients use."""
        if wanted == "go-ycsb":
            raise Unsupported("etcd's load is operator's own: leave --load out.")
        return LoadTarget("subjects.etcd.load:EtcdDriver", tuple(e.client for e in self._endpoints.values()))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask_all(self, endpoints: Mapping[str, Endpoint]) -> dict[str, Asked]:
        asked = await asyncio.gather(*(self._ask(endpoint) for endpoint in endpoints.values()))
        return dict(zip(endpoints, asked, strict=True))

    def _leaderless(self, asked: Mapping[str, Asked], now: float) -> dict[str, float]:
        """Return for how long each member that answers has had no leader."""
        without = {name for name, each in asked.items() if each.status and not each.status.has_leader}
        self._since = {name: self._since.get(name, now) for name in without}
        return {name: now - since for name, since in self._since.items()}

    async def _ask(self, endpoint: Endpoint) -> Asked:
        if endpoint.unseen is not None:
            return Asked(unseen=endpoint.unseen)
        (status, unseen), health, reach, metrics = await asyncio.gather(
            self._status(endpoint),
            self._client.health(endpoint.metrics, LOOK_TIMEOUT_S),
            self._client.reach(endpoint.client, LOOK_TIMEOUT_S),
            self._metrics(endpoint),
        )
        if status is None and metrics is not None and (status := status_of_metrics(metrics)) is not None:
            if unseen is not None and unseen.ours:  # else it is late, and is not asked more
                status = replace(status, errors=await self._client.alarms(endpoint.metrics, LOOK_TIMEOUT_S))
            unseen = None
        if status is not None and endpoint.member_id not in {None, status.member_id}:
            return Asked(unseen=somebody_else(endpoint.client, endpoint.member_id, status, self._cluster_id))
        return Asked(status, unseen, health, reach, metrics, read=health.health is Health.HEALTHY)

    async def _status(self, endpoint: Endpoint) -> tuple[Status | None, Unseen | None]:
        try:
            return await self._client.status(endpoint.direct, LOOK_TIMEOUT_S), None
        except Unreachable as error:
            return None, error.unseen or Unseen(UnseenReason.OTHER, str(error).rstrip("."))

    async def _metrics(self, endpoint: Endpoint) -> tuple[Metric, ...] | None:
        try:
            return tuple(await self._client.metrics(endpoint.metrics, _METRICS, LOOK_TIMEOUT_S))
        except Unreachable:
            return None


def _membership(endpoint: Endpoint, asked: Asked) -> Membership:
    """Return what the member is: by its own word where it gave one, which is newer than the list."""
    if asked.status is None:
        return endpoint.membership
    return Membership.LEARNER if asked.status.learner else Membership.VOTER


def somebody_else(url: str, member: str | None, status: Status, cluster: str | None) -> Unseen:
    """Say who answers where `member` of `cluster` should."""
    if cluster is not None and status.cluster_id not in {None, cluster}:
        text = f"{url} answers as a member of another cluster ({status.cluster_id}, not {cluster})"
        remedy = "it was started with other data: stop it, remove it, add it again with an empty data folder"
        return Unseen(UnseenReason.FOREIGN, text, remedy)
    text = f"{url} answers as member {status.member_id}, not {member}"
    return Unseen(UnseenReason.OTHER, text, "give each member's own address")


def _proof(subject: EtcdSubject) -> Subject:
    return subject
