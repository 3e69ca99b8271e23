"""The nodes of a TiKV cluster, PDs and stores, and how PD's names for them become ours."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

from subjects.endpoints import netloc
from subjects.tikv.pd import Group, PdMember, Store


@dataclass(frozen=True, slots=True)
class Member:
    """One PD or store, and where it is asked."""

    name: str
    kind: Literal["pd", "store"]
    url: str
    """Where operator asks it: a PD's client port, a store's status port."""
    data: tuple[str, int] | None = None
    """A store's gRPC port as it can be reached from here."""
    known_as: frozenset[str] = field(default_factory=frozenset)
    """The addresses under which PD may hold a store, `host:port` each."""
    on_host: bool = False
    """Whether `url` is asked past the network that the others use."""
    absent: str = ""
    """Why it has no address now; empty where it has one."""

    @property
    def address(self) -> str:
        """What a person is shown."""
        return netloc(*self.data) if self.data else self.url

    def is_store(self, store: Store) -> bool:
        """Whether PD means this node: by address, else by the name that the address begins with."""
        if self.kind != "store":
            return False
        return store.address in self.known_as or host_of(store.address).partition(".")[0] == self.name

    def is_pd(self, pd: PdMember) -> bool:
        """Whether PD means this node: by name, else by the name that its address begins with."""
        hosts = {urlsplit(url).hostname or "" for url in pd.client_urls}
        return self.kind == "pd" and self.name in {pd.name, *(host.partition(".")[0] for host in hosts)}


def named(group: Group, members: Iterable[Member]) -> Group:
    """Return the PDs under our names for them.

    TiDB Operator gives them their pod's name, its whole domain (v1 with a clusterDomain), or another (v2).
    """
    ours = {pd.name: each.name for each in members for pd in group.members if each.is_pd(pd)}
    pds = tuple(replace(pd, name=ours.get(pd.name, pd.name)) for pd in group.members)
    return replace(group, members=pds, leader=ours.get(group.leader or "", group.leader))


def host_of(address: str) -> str:
    """Return the host of `host:port`."""
    return urlsplit(f"//{address}").hostname or ""


def discovered(group: Group, stores: Iterable[Store]) -> tuple[Member, ...]:
    """Return the members of a cluster that is known only by what PD says of it.

    Stores are named by PD's id for them: their addresses say nothing to a person.
    """
    pds = [
        Member(member.name or member.id, "pd", member.client_urls[0].rstrip("/"))
        for member in sorted(group.members, key=lambda each: each.name)
        if member.client_urls
    ]
    found = [
        Member(
            f"tikv-{store.id}",
            "store",
            f"http://{_status_of(store)}",
            _split(store.address),
            frozenset({store.address}),
        )
        for store in sorted(stores, key=lambda each: int(each.id or 0))
    ]
    return (*pds, *found)


def _status_of(store: Store) -> str:
    """Return the status address; a store that listens on all addresses may register an empty one."""
    return store.status_address or f"{host_of(store.address)}:20180"


def _split(address: str) -> tuple[str, int]:
    parts = urlsplit(f"//{address}")
    return parts.hostname or "", parts.port or 20160
