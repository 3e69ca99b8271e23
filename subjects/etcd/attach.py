"""An etcd cluster that somebody else runs, given by endpoints: watched, never acted upon."""

import asyncio
import time
from collections.abc import Sequence

from subjects.access import Access
from subjects.base import Cluster, ClusterSnapshot
from subjects.errors import Unreachable
from subjects.etcd.client import EtcdClient, Member
from subjects.etcd.subject import Endpoint, EtcdSubject
from subjects.runtimes.endpoints import EndpointNodes

CONNECT_TIMEOUT_S = 5.0
MEMBERS_S = 5.0
"""Between two looks at who the members are: they may change while they are watched."""


class AttachedEtcd(EtcdSubject):
    """Somebody's etcd: its members are those that it says it has."""

    def __init__(self, members: Sequence[Member], given: dict[str, str], client: EtcdClient) -> None:
        self._given = given
        """Member id → the endpoint at which we were told to ask it, which may be all that we can reach."""
        self._asked = time.monotonic()
        super().__init__(_endpoints(members, given), EndpointNodes(), client)

    async def observe(self) -> ClusterSnapshot:
        """Look, and every few seconds at who the members are, too."""
        if time.monotonic() - self._asked > MEMBERS_S:
            self._asked = time.monotonic()
            await self._refresh()
        return await super().observe()

    async def _refresh(self) -> None:
        for endpoint in list(self._endpoints.values()):
            try:
                members = await self._client.members(endpoint.client, CONNECT_TIMEOUT_S / 5)
            except Unreachable:
                continue  # without a leader nobody can say; the next member may still have one
            self._endpoints = _endpoints(members, self._given)
            return


async def attach(endpoints: Sequence[str], access: Access) -> Cluster:
    """Return the cluster, read-only. Unreachable, naming each endpoint's fault, when none is an etcd."""
    scheme = "https" if access.cacert or access.cert else "http"
    urls = [(each if "://" in each else f"{scheme}://{each}").rstrip("/") for each in endpoints]
    client = EtcdClient(access)
    answers = await asyncio.gather(*(_ask(client, url) for url in urls))
    given = {said: url for said, url in zip(answers, urls, strict=True) if isinstance(said, str)}
    for url in given.values():
        try:
            members = await client.members(url, CONNECT_TIMEOUT_S)
        except Unreachable:
            continue
        named = "-".join(sorted(member.id[:6] for member in members))
        subject = AttachedEtcd(members, given, client)
        return Cluster(f"etcd-attached-{named}", subject, EndpointNodes())
    await client.aclose()
    refusals = "; ".join(str(said) for said in answers if isinstance(said, Unreachable))
    raise Unreachable(refusals or _LEADERLESS)


_LEADERLESS = "The endpoints answer, but no member can list the members: the cluster has no leader."


async def _ask(client: EtcdClient, url: str) -> str | Unreachable:
    try:
        return (await client.status(url, CONNECT_TIMEOUT_S)).member_id
    except Unreachable as error:
        return error


def _endpoints(members: Sequence[Member], given: dict[str, str]) -> dict[str, Endpoint]:
    """Return where each member is asked: where we were told to, else where it says that its clients go."""
    found: dict[str, Endpoint] = {}
    for member in members:
        url = given.get(member.id) or next(iter(member.client_urls), None)
        if url is not None:  # a member that has not started yet has no address
            url = url.rstrip("/")
            found[member.name or member.id] = Endpoint(url, url, url)
    return found
