"""etcd as operator sees it: every member by itself, by its peers, by raft and by its clients."""

import asyncio
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from urllib.parse import urlsplit

from subjects.base import (
    Alarm,
    ClusterSnapshot,
    ClusterState,
    Health,
    LoadTarget,
    Metric,
    Nodes,
    NodeView,
    Probe,
    Quorum,
    Role,
    Scalar,
    Subject,
    UsualAlert,
)
from subjects.errors import Unreachable, Unsupported
from subjects.etcd.client import EtcdClient, Status
from subjects.etcd.judge import INVARIANTS, judge

LOOK_TIMEOUT_S = 1.0
_ALARM = re.compile(r"(?:memberID:(?P<member>\d{1,20})\s+)?alarm:(?P<kind>[A-Z]+)")
_PEER_METRICS = ("etcd_network_active_peers", "process_start_time_seconds")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one member is asked."""

    client: str
    """The URL that clients use; faults on the way to the member show here."""
    direct: str
    """The same service asked on the member's own host; equal to `client` where there is no such way."""
    metrics: str
    """Where `/health` and `/metrics` are asked."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What one member said at one time."""

    status: Status | None
    health: Probe
    reach: Probe
    metrics: tuple[Metric, ...] | None


class EtcdSubject:
    """A cluster of etcd members."""

    name = "etcd"
    disk_wait_metric = "etcd_disk_wal_fsync_duration_seconds"
    invariants = INVARIANTS
    stop_timeout_s = 10.0
    """As long as Docker's own default."""
    stall_s = 3.0
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
        parts = urlsplit(self._endpoints[node].metrics)
        return parts.hostname or "127.0.0.1", parts.port or 2379

    def health_request(self, node: str) -> bytes:
        """`/health` reads linearizably: a member that is cut off from its peers falls silent here too."""
        host, port = self.watch_address(node)
        return f"GET /health HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()

    def watch_tls(self) -> ssl.SSLContext | None:
        """Return what verifies the members' ports; None where they are plain."""
        if any(endpoint.metrics.startswith("https") for endpoint in self._endpoints.values()):
            return self._client.tls
        return None

    def client_request(self, node: str) -> tuple[str, int, bytes]:
        """Ask `/version` on the port that clients use: answered by the member alone."""
        parts = urlsplit(self._endpoints[node].client)
        host, port = parts.hostname or "127.0.0.1", parts.port or 2379
        return host, port, f"GET /version HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()

    async def observe(self) -> ClusterSnapshot:
        """Ask every member everything at once."""
        at, began = time.time(), time.monotonic()
        names = self.nodes
        looks = await asyncio.gather(*(self._look(name) for name in names))
        processes = await asyncio.gather(*(self._nodes.inspect(name) for name in names))
        by_name = dict(zip(names, looks, strict=True))
        for name, look in by_name.items():
            if look.status is not None:
                self._names[look.status.member_id] = name
        leader, term = _leader(by_name, self._names)
        top = max((look.status.raft_index for look in looks if look.status), default=None)
        nodes = tuple(
            NodeView(
                name=name,
                role=_role(name, leader, look.status),
                address=self._endpoints[name].client,
                process=process,
                client=look.reach,
                itself=look.health,
                peers=self._peers_of(name, by_name),
                member_id=look.status.member_id if look.status else None,
                started_at=_started_at(look.metrics),
                version=look.status.version if look.status else None,
                term=look.status.term if look.status else None,
                raft_index=look.status.raft_index if look.status else None,
                lag=top - look.status.applied_index if look.status and top is not None else None,
                db_bytes=look.status.db_bytes if look.status else None,
                details=_details(look.status, self._names),
            )
            for name, look, process in zip(names, looks, processes, strict=True)
        )
        alarms = [
            alarm
            for look in looks
            if look.status
            for error in look.status.errors
            if (alarm := read_alarm(error, self._names)) is not None
        ]
        return judge(
            ClusterSnapshot(
                at=at,
                took_s=round(time.monotonic() - began, 4),
                nodes=nodes,
                leader=leader,
                term=term,
                quorum=Quorum(len(names), sum(node.itself.health is Health.HEALTHY for node in nodes)),
                state=ClusterState.DOWN,
                alarms=tuple(dict.fromkeys(alarms)),
                revision=max((look.status.revision for look in looks if look.status), default=None),
            )
        )

    async def probe(self, node: str, timeout_s: float) -> Probe:
        """Ask the port that clients use."""
        return await self._client.reach(self._endpoints[node].client, timeout_s)

    async def metrics(self, node: str, names: Sequence[str]) -> list[Metric]:
        """Read from `/metrics`."""
        return await self._client.metrics(self._endpoints[node].metrics, names, LOOK_TIMEOUT_S)

    def load_target(self, wanted: str = "auto") -> LoadTarget:
        """YCSB over the JSON gateway, through the ports that clients use."""
        if wanted == "go-ycsb":
            raise Unsupported("etcd's load is operator's own: leave --load out.")
        return LoadTarget("subjects.etcd.load:EtcdDriver", tuple(e.client for e in self._endpoints.values()))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _look(self, name: str) -> _Look:
        endpoint = self._endpoints[name]
        status, health, reach, metrics = await asyncio.gather(
            self._status(endpoint),
            self._client.health(endpoint.metrics, LOOK_TIMEOUT_S),
            self._client.reach(endpoint.client, LOOK_TIMEOUT_S),
            self._peer_metrics(endpoint),
        )
        return _Look(status, health, reach, metrics)

    async def _status(self, endpoint: Endpoint) -> Status | None:
        try:
            return await self._client.status(endpoint.direct, LOOK_TIMEOUT_S)
        except Unreachable:
            return None

    async def _peer_metrics(self, endpoint: Endpoint) -> tuple[Metric, ...] | None:
        try:
            return tuple(await self._client.metrics(endpoint.metrics, _PEER_METRICS, LOOK_TIMEOUT_S))
        except Unreachable:
            return None

    def _peers_of(self, name: str, looks: Mapping[str, _Look]) -> dict[str, bool]:
        """Return, of every other member that answered, whether it holds a connection to `name`."""
        ids = {node: member for member, node in self._names.items()}
        member = ids.get(name)
        said: dict[str, bool] = {}
        for other, look in looks.items():
            if other == name or look.metrics is None:
                continue
            for metric in look.metrics:
                if metric.name == "etcd_network_active_peers" and metric.labels.get("Remote") == member:
                    said[other] = metric.value > 0
        return said


def _leader(looks: Mapping[str, _Look], names: Mapping[str, str]) -> tuple[str | None, int | None]:
    """Return leader and term as the member with the highest term sees them: others may be behind."""
    known = [look.status for look in looks.values() if look.status is not None]
    if not known:
        return None, None
    latest = max(known, key=lambda status: (status.term, status.leader is not None))
    leader = names.get(latest.leader) if latest.leader else None
    # A leader that is gone may still be believed in until the election times out.
    return (leader if leader and looks[leader].status else None), latest.term


def read_alarm(error: str, names: Mapping[str, str]) -> Alarm | None:
    """Return the alarm that one of a status's `errors` tells of; None where it tells of something else.

    etcd writes `memberID:10501334649042878790 alarm:NOSPACE `, the id in decimal
    (api/etcdserverpb, AlarmMember.String), beside sentences such as `etcdserver: no leader`.
    """
    found = _ALARM.search(error)
    if found is None:
        return None
    member = f"{int(found['member']):x}" if found["member"] else ""
    return Alarm(found["kind"], names.get(member, member or None), error.strip())


def _role(name: str, leader: str | None, status: Status | None) -> Role:
    if status is None:
        return Role.UNKNOWN
    if status.learner:
        return Role.LEARNER
    return Role.LEADER if name == leader else Role.FOLLOWER


def _started_at(metrics: tuple[Metric, ...] | None) -> float | None:
    for metric in metrics or ():
        if metric.name == "process_start_time_seconds":
            return metric.value
    return None


def _details(status: Status | None, names: Mapping[str, str]) -> dict[str, Scalar]:
    if status is None:
        return {}
    return {"leader_it_sees": names.get(status.leader) if status.leader else None}


def _proof(subject: EtcdSubject) -> Subject:
    return subject
