"""The nodes of a TiKV cluster, PDs and stores, and how PD's names for them become ours."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from subjects.base import Unseen, UnseenReason
from subjects.endpoints import host_and_port, netloc, parse_endpoint
from subjects.errors import BadSetup
from subjects.tikv.pd import Group, PdMember, Store

PD_PORT, DATA_PORT, STATUS_PORT = 2379, 20160, 20180
"""The defaults of PD and TiKV."""


@dataclass(frozen=True, slots=True)
class Member:
    """One PD or store, and where it is asked."""

    name: str
    kind: Literal["pd", "store"]
    url: str
    """Where operator asks it: a PD's client port, a store's status port."""
    data: tuple[str, int] | None = None
    """A store's gRPC port as it can be reached from here."""
    store_id: str = ""
    """PD's id for a store that is known by what PD says alone; empty where it is known by its address."""
    on_host: bool = False
    """Whether `url` is asked past the network that the others use."""
    unseen: Unseen | None = None
    """Why it has no address that could be asked; None where it has one."""

    @property
    def address(self) -> str:
        """What a person is shown."""
        return netloc(*self.data) if self.data else self.url

    def is_store(self, store: Store) -> bool:
        """Whether PD means this node: by its id, else by address or the name that the address begins with."""
        if self.kind != "store":
            return False
        if self.store_id:
            return store.id == self.store_id
        return self.name == _pod_of(store.address) or self.address == store.address

    def is_pd(self, pd: PdMember) -> bool:
        """Whether PD means this node: by name, else by the name that its address begins with."""
        return self.kind == "pd" and self.name in {pd.name, *map(_pod_of, pd.client_urls)}


def named(group: Group, members: Iterable[Member]) -> Group:
    """Return the PDs under our names for them.

    TiDB Operator gives them their pod's name, its whole domain (v1 with a clusterDomain), or another (v2).
    """
    ours = {pd.name: each.name for each in members for pd in group.members if each.is_pd(pd)}
    pds = tuple(replace(pd, name=ours.get(pd.name, pd.name)) for pd in group.members)
    return replace(group, members=pds, leader=ours.get(group.leader or "", group.leader))


def discovered(group: Group, stores: Iterable[Store]) -> tuple[Member, ...]:
    """Return the members of a cluster that is known only by what PD says of it.

    Stores are named by PD's id for them: their addresses say nothing to a person.
    """
    pds = sorted(group.members, key=lambda each: each.name)
    found = sorted(stores, key=lambda each: int(each.id or 0))
    return (*(_pd(each) for each in pds if each.client_urls), *map(_store, found))


def _pd(pd: PdMember) -> Member:
    name, advertised = pd.name or pd.id, pd.client_urls[0]
    try:
        return Member(name, "pd", parse_endpoint(advertised))
    except BadSetup:
        return Member(name, "pd", "", unseen=_no_address(advertised, "--advertise-client-urls"))


def _store(store: Store) -> Member:
    name = f"tikv-{store.id}"
    try:
        data = host_and_port(parse_endpoint(store.address))
    except BadSetup:
        unseen = _no_address(store.address, "--advertise-addr")
        return Member(name, "store", "", store_id=store.id, unseen=unseen)
    try:
        url = parse_endpoint(store.status_address)
    except BadSetup:  # a store that listens on all addresses may register an empty one
        url = f"http://{netloc(data[0], STATUS_PORT)}"
    return Member(name, "store", url, data, store.id)


def _no_address(advertised: str, option: str) -> Unseen:
    text = f"it advertises {advertised or 'nothing'}, which is no address"
    return Unseen(UnseenReason.BAD_ADDRESS, text, f"correct its {option}")


def _pod_of(address: str) -> str:
    """Return the first part of the host in a URL, or in `host:port`: the name of a pod or of a container."""
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname
    except ValueError:
        return ""
    return (host or "").partition(".")[0]
