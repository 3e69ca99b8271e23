"""An etcd cluster that somebody else runs, given by endpoints: watched, never acted upon."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from subjects import clock
from subjects.access import Access
from subjects.base import (
    Cluster,
    ClusterSnapshot,
    ClusterState,
    Connection,
    FormerMember,
    Health,
    Probe,
    Unseen,
    UnseenReason,
)
from subjects.errors import Unreachable
from subjects.etcd.addresses import Addresses, names_of, read_url, spread
from subjects.etcd.client import EtcdClient
from subjects.etcd.status import Member, Status
from subjects.etcd.subject import Endpoint, EtcdSubject
from subjects.etcd.views import Asked
from subjects.runtimes.endpoints import EndpointNodes

CONNECT_S = 5.0
"""For the first words with a cluster."""
LIST_S = 1.0
"""For a list of members."""
MEMBERS_S = 5.0
"""Between two looks at who the members are: they may change while they are watched."""
UNREST_S = 0.5
"""The same while something is wrong: who refuses connections may be no member any more."""
PLACE_S = 10.0
"""Between two looks at where members are that could not be asked at any address."""
KEPT = 20
"""Former members that are kept."""


class AttachedEtcd(EtcdSubject):
    """Somebody's etcd: its members are those that it says it has."""

    def __init__(
        self, members: Sequence[Member], endpoints: Mapping[str, Endpoint], addresses: Addresses
    ) -> None:
        super().__init__(endpoints, EndpointNodes(), addresses.client)
        self._members = list(members)
        self._addresses = addresses
        self._cluster_id = addresses.cluster_id
        self._names.update(names_of(members))
        self._left: deque[FormerMember] = deque(maxlen=KEPT)
        self._listed = self._placed = time.monotonic()
        self._last: ClusterSnapshot | None = None

    async def observe(self) -> ClusterSnapshot:
        """Look, and every few seconds at who the members are, too; at once when something is wrong."""
        calm = self._last is None or self._last.state is ClusterState.HEALTHY
        if time.monotonic() - self._listed > (MEMBERS_S if calm else UNREST_S):
            await self._list()
        self._last = await super().observe()
        # Who refuses connections all of a sudden may be no member any more.
        if calm and self._last.state is not ClusterState.HEALTHY and await self._list():
            self._last = await super().observe()
        return replace(self._last, left=tuple(self._left))

    async def _ask_all(self, endpoints: Mapping[str, Endpoint]) -> dict[str, Asked]:
        asked = await super()._ask_all({n: each for n, each in endpoints.items() if not each.shared})
        behind = {name: each for name, each in endpoints.items() if each.shared}
        if behind:
            found = await self._addresses.shared_statuses(len(endpoints))
            asked |= {
                name: _of_shared(
                    each, found.get(each.member_id or ""), self._addresses.refused.get(each.client, "")
                )
                for name, each in behind.items()
            }
        return {name: asked[name] for name in endpoints}

    async def _list(self) -> bool:
        """Ask again who the members are: first who follows a leader. Whether anything changed."""
        self._listed = time.monotonic()
        for url in self._best_first():
            try:
                members = await self._client.members(url, LIST_S)
            except Unreachable:
                continue
            return await self._take(members)
        return False

    def _best_first(self) -> list[str]:
        """Return where to ask for the members; who is cut off, or of another cluster, has another list."""
        nodes = self._last.nodes if self._last else ()
        seen = sorted(
            (node for node in nodes if node.unseen is None),
            key=lambda node: (node.votes is True, node.raft_index or 0),
            reverse=True,
        )
        known = [self._endpoints[node.name].client for node in seen if node.name in self._endpoints]
        return known or list(self._addresses.urls)

    async def _take(self, members: Sequence[Member]) -> bool:
        changed = sorted(map(repr, members)) != sorted(map(repr, self._members))
        unplaced = any(each.unseen is not None for each in self._endpoints.values())
        if not changed and not (unplaced and time.monotonic() - self._placed > PLACE_S):
            return False
        self._placed = time.monotonic()
        await self._addresses.ask_all()
        names, now = names_of(self._members), {member.id for member in members}
        for member in self._members:
            if member.id not in now:
                self._left.append(FormerMember(names[member.id], member.id, clock.wall()))
                self._names.pop(member.id, None)
        self._members = list(members)
        self._cluster_id = self._addresses.cluster_id
        self._endpoints = await self._addresses.endpoints(members)
        self._names.update(names_of(members))
        return True


async def attach(endpoints: Sequence[str], access: Access) -> Cluster:
    """Return the cluster, read-only. Unreachable, naming each endpoint's fault, when none is an etcd.

    BadSetup for an endpoint that is no address.
    """
    client = EtcdClient(access)
    try:
        urls = await spread(endpoints, "https" if access.cacert or access.cert else "http")
        return await _attach(Addresses(client, urls))
    except BaseException:
        await client.aclose()
        raise


async def _attach(addresses: Addresses) -> Cluster:
    await addresses.ask_all(CONNECT_S)
    refusals = [str(each) for each in addresses.answers.values() if isinstance(each, Unreachable)]
    for url, _ in addresses.statuses:
        try:
            members = await addresses.client.members(url, CONNECT_S)
        except Unreachable as error:
            refusals.append(str(error))
            continue
        own = {read_url(raw) for member in members for raw in member.client_urls}
        if strangers := [f"{each} of cluster {of}" for each, of in addresses.foreign if each not in own]:
            raise Unreachable(
                f"The endpoints are of different clusters: {', '.join(strangers)}, the others of "
                f"{addresses.cluster_id}. Give those of one."
            )
        named = "-".join(sorted(member.id[:6] for member in members))
        subject = AttachedEtcd(members, await addresses.endpoints(members), addresses)
        notes = tuple(
            f"{each} is the address of no member, and is left out: {why} Was its member removed?"
            for each, why in addresses.unanswered
            if each not in own
        )
        return Cluster(f"etcd-attached-{named}", subject, EndpointNodes(), notes=notes)
    raise Unreachable(" ".join(dict.fromkeys(refusals)))


def _of_shared(endpoint: Endpoint, status: Status | None, refused: str) -> Asked:
    """Return what is known of a member that answers only where others do, too."""
    if status is None:
        text = f"none of several connections through {endpoint.client} reached it"
        text += f": {refused}" if refused else ""
        return Asked(
            unseen=Unseen(UnseenReason.UNREACHED, text),
            reach=Probe(Connection.UNKNOWN, raw=text),
            health=Probe(Connection.UNKNOWN),
        )
    raw = f"it answers through {endpoint.client}, as others do"
    health = Health.HEALTHY if status.has_leader else Health.UNHEALTHY
    return Asked(
        status,
        None,
        Probe(Connection.ACCEPTED, health, raw=raw),
        Probe(Connection.ACCEPTED, Health.HEALTHY, raw=raw),
    )
