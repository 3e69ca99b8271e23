"""At which address each member is asked: an address is no identity, so who answers there is asked first.

One name may lead to several members (a load balancer, a name with several addresses), and a member may
advertise an address that is none, that only its own machine can reach, or that speaks another protocol.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from subjects.base import Membership, Unseen, UnseenReason
from subjects.endpoints import host_and_port, is_loopback, netloc, parse_endpoint
from subjects.errors import BadSetup, Unreachable
from subjects.etcd.client import EtcdClient
from subjects.etcd.status import Member, Status
from subjects.etcd.subject import Endpoint, somebody_else

ASK_S = 2.0
"""For one address."""
TRIES = 2
"""Connections for each member, to an address that may have several behind it."""
MOST_TRIES = 12


@dataclass
class Addresses:
    """The addresses that were given, who answers at each, and so where each member is asked."""

    client: EtcdClient
    urls: Sequence[str]
    answers: dict[str, Status | Unreachable] = field(default_factory=dict)
    """What each of `urls` said last."""
    owners: dict[str, str] = field(default_factory=dict)
    """Address → the id of the member that answered there last."""
    shared: set[str] = field(default_factory=set)
    """Addresses at which several members answer."""
    refused: dict[str, str] = field(default_factory=dict)
    """Of these, at which nobody did when they were last asked, and what came instead."""
    cluster_id: str | None = None
    """Of the cluster that most of the addresses belong to."""

    async def ask_all(self, timeout_s: float = ASK_S) -> None:
        """Ask each address who it is."""
        answers = await asyncio.gather(*(ask(self.client, url, timeout_s) for url in self.urls))
        self.answers = dict(zip(self.urls, answers, strict=True))
        statuses = [answer for answer in answers if isinstance(answer, Status) and answer.cluster_id]
        if statuses:
            count = Counter(status.cluster_id for status in statuses)
            self.cluster_id = count.most_common(1)[0][0]
        for url, status in self.statuses:
            self.owners[url] = status.member_id

    @property
    def statuses(self) -> list[tuple[str, Status]]:
        """Who answered as a member of the cluster, the one whose word is newest first."""
        known = [(url, each) for url, each in self.answers.items() if isinstance(each, Status)]
        ours = [(url, each) for url, each in known if each.cluster_id in {None, self.cluster_id}]
        return sorted(ours, key=lambda each: _freshness(each[1]), reverse=True)

    @property
    def foreign(self) -> list[tuple[str, str]]:
        """Addresses at which members of other clusters answer, and of which."""
        return [
            (url, each.cluster_id)
            for url, each in self.answers.items()
            if isinstance(each, Status) and each.cluster_id not in {None, self.cluster_id} and each.cluster_id
        ]

    @property
    def unanswered(self) -> list[tuple[str, str]]:
        """Addresses at which nobody answered as etcd does, and why."""
        return [(url, str(each)) for url, each in self.answers.items() if isinstance(each, Unreachable)]

    async def endpoints(self, members: Sequence[Member]) -> dict[str, Endpoint]:
        """Return where each member is asked, by node name."""
        advertised = {url for member in members for url in map(read_url, member.client_urls) if url}
        await self._tell_shared(advertised, len(members))
        names = names_of(members)
        found = await asyncio.gather(*(self._endpoint(member) for member in members))
        return {names[member.id]: endpoint for member, endpoint in zip(members, found, strict=True)}

    async def shared_statuses(self, members: int) -> dict[str, Status]:
        """Ask the shared addresses over several new connections; return who answered, by member id."""
        found: dict[str, Status] = {}
        self.refused.clear()
        for url in self.shared:
            answers = await self._answers(url, members)
            for answer in answers:
                if isinstance(answer, Status):
                    found[answer.member_id] = answer
            if not any(isinstance(answer, Status) for answer in answers):
                self.refused[url] = str(answers[-1]).partition(" (")[0].rstrip(".")
        return found

    async def _tell_shared(self, advertised: set[str], members: int) -> None:
        """Find out which of the given addresses lead to more than one member."""
        for url, status in self.statuses:
            if members < 2 or url in advertised or url in self.shared:
                continue
            who = {each.member_id for each in await self._ask_often(url, members)}
            if who - {status.member_id}:
                self.shared.add(url)

    async def _ask_often(self, url: str, members: int) -> list[Status]:
        return [answer for answer in await self._answers(url, members) if isinstance(answer, Status)]

    async def _answers(self, url: str, members: int) -> list[Status | Unreachable]:
        tries = min(MOST_TRIES, TRIES * members)
        return await asyncio.gather(*(ask(self.client, url, alone=True) for _ in range(tries)))

    async def _endpoint(self, member: Member) -> Endpoint:
        membership = Membership.LEARNER if member.learner else Membership.VOTER
        if not member.started:
            never = Unseen(
                UnseenReason.NEVER_STARTED,
                f"member {member.id} was added and has never joined",
                "start it, or remove it again",
            )
            return Endpoint("", "", "", member.id, membership, never)
        own = [url for url in self.urls if self.owners.get(url) == member.id and url not in self.shared]
        if own:
            answered = (url for url in own if isinstance(self.answers.get(url), Status))
            return _plain(next(answered, own[0]), member.id, membership)
        url, unseen = await self._advertised(member)
        if url is not None:
            return _plain(url, member.id, membership)
        if self.shared:
            return Endpoint(min(self.shared), "", "", member.id, membership, shared=True)
        first = next(iter(member.client_urls), "")
        return Endpoint(first, first, first, member.id, membership, unseen)

    async def _advertised(self, member: Member) -> tuple[str | None, Unseen | None]:
        """Return the advertised address at which the member answers, or may again; else why there is none."""
        unseen: Unseen | None = None
        later: str | None = None
        for raw in member.client_urls:
            url = read_url(raw)
            if url is None:
                shown = raw.encode("ascii", "backslashreplace").decode()[:80]
                text = f"it advertises {shown}, which is no address"
                unseen = unseen or Unseen(
                    UnseenReason.BAD_ADDRESS, text, "correct its --advertise-client-urls"
                )
                continue
            if is_loopback(host_and_port(url)[0]) and not self._near:
                text = f"it advertises {url}, which only its own machine can reach"
                unseen = unseen or Unseen(
                    UnseenReason.BAD_ADDRESS, text, "correct its --advertise-client-urls"
                )
                continue
            answer = await ask(self.client, url)
            if isinstance(answer, Status):
                if answer.member_id == member.id:
                    return url, None
                unseen = somebody_else(url, member.id, answer, self.cluster_id)
            elif answer.unseen is None or not answer.unseen.ours:
                later = later or url  # dead, silent or expired: it is the member's, and is watched
            elif answer.unseen.reason in {
                UnseenReason.DENIED,
                UnseenReason.NOT_SPOKEN,
            } and await self._speaks(url):
                later = later or url  # its gateway is off, or closed to us: health and metrics are not
            else:
                unseen = unseen or answer.unseen
        return later, unseen

    async def _speaks(self, url: str) -> bool:
        try:
            return bool(await self.client.metrics(url, ("etcd_server_id",), ASK_S))
        except Unreachable:
            return False

    @property
    def _near(self) -> bool:
        """Whether an endpoint that was given is this machine: then loopback is a place like any other."""
        return any(is_loopback(host_and_port(url)[0]) for url in self.urls)


async def spread(endpoints: Iterable[str], scheme: str) -> list[str]:
    """Return the endpoints as URLs, one for each address of a name; BadSetup for a bad one."""
    urls = [parse_endpoint(each, scheme) for each in endpoints]
    found = await asyncio.gather(*(_addresses(url) for url in urls))
    return list(dict.fromkeys(address for addresses in found for address in addresses))


def names_of(members: Sequence[Member]) -> Mapping[str, str]:
    """Return member id → node name: the id where there is no name, beside it where two have the same."""
    taken = [member.name for member in members]
    return {
        member.id: member.id
        if not member.name
        else member.name
        if taken.count(member.name) == 1
        else f"{member.name}-{member.id[:6]}"
        for member in members
    }


def read_url(raw: str) -> str | None:
    """Return an advertised address in its usual form; None when it is none."""
    try:
        return parse_endpoint(raw)
    except BadSetup:
        return None


def _freshness(status: Status) -> tuple[bool, int, int]:
    """Say how far what a member says can be trusted: one that has no leader may have an old list."""
    return status.has_leader, status.term or 0, status.applied_index or 0


async def ask(
    client: EtcdClient, url: str, timeout_s: float = ASK_S, *, alone: bool = False
) -> Status | Unreachable:
    """Return who answers at an address, or why nobody does."""
    try:
        return await client.status(url, timeout_s, alone=alone)
    except Unreachable as error:
        return error


async def _addresses(url: str) -> list[str]:
    """Return the URL with each address that its name has; the URL itself where it has one, or is none.

    Over TLS the name stays: certificates are for names.
    """
    host, port = host_and_port(url)
    if url.startswith("https"):
        return [url]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return [url]
    hosts = list(dict.fromkeys(str(address[4][0]) for address in found))
    if len(hosts) < 2 or is_loopback(host):
        return [url]
    return [f"http://{netloc(each, port)}" for each in hosts]


def _plain(url: str, member_id: str, membership: Membership) -> Endpoint:
    return Endpoint(url, url, url, member_id, membership)
