"""PD and TiKV in pods, ours or TiDB Operator's above all: which is which, and where it answers.

TiDB Operator gives its pods the labels of `SELECTOR` (v1 pkg/label/label.go; v2 pkg/utils/k8s, beside its own
`pingcap.com/…`). Their containers are `pd` and `tikv`; ports that are not declared are the usual ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from subjects.access import Access
from subjects.base import ClusterSnapshot, Connection, Probe, Unseen, UnseenReason
from subjects.endpoints import netloc
from subjects.errors import BadSetup
from subjects.runtimes.kubernetes.api import Json
from subjects.runtimes.kubernetes.attached import KubernetesNodes, attach_nodes
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.runtimes.kubernetes.pod_status import database_container, ports_of
from subjects.runtimes.kubernetes.way import past_network
from subjects.tikv.attach import refuse_tls, require_plain
from subjects.tikv.members import DATA_PORT, PD_PORT, STATUS_PORT, Member
from subjects.tikv.pd import Group, PdClient, Store
from subjects.tikv.subject import LOOK_TIMEOUT_S, TikvSubject

COMPONENT = "app.kubernetes.io/component"
SELECTOR = (
    "app.kubernetes.io/managed-by=tidb-operator,app.kubernetes.io/instance={name},"
    + COMPONENT
    + " in (pd,tikv)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a pod is, and on which of its ports it answers."""

    kind: Literal["pd", "store"]
    http: int
    """A PD's client port, a store's status port."""
    data: int = 0
    """A store's gRPC port."""


class PodsOfTikv(TikvSubject):
    """PDs and stores that are pods: between two snapshots they may move, come and go."""

    def __init__(
        self, nodes: KubernetesNodes, pd: PdClient, places: Mapping[str, Place] = MappingProxyType({})
    ) -> None:
        """`places` has the pods that are nodes before they are there."""
        super().__init__((), nodes, pd)
        self._pods = nodes
        self._places = dict(places)
        self._held: frozenset[str] = frozenset()
        """The pods that PD holds for its members and stores, whether they are there or not."""

    async def refresh_members(self) -> None:
        """Take the pods that there are, and each one's address, as they are now."""
        for name, pod in self._pods.pods.all():
            if (place := _place(pod)) is not None:
                self._places[name] = place
        known = dict.fromkeys((*self._pods.pods.names, *sorted(self._held)))
        names = [name for name in known if name in self._places]
        wanted = [(name, port) for name in names for port in _ports(self._places[name])]
        await self._pods.way.lead_to(wanted)
        await self._pods.host_way.lead_to(wanted)
        members = [self._member_at(name, self._places[name]) for name in names]
        self._members = tuple(sorted(members, key=lambda each: each.kind))
        self._pd.urls = [each.url for each in members if each.kind == "pd" and each.unseen is None]

    async def observe(self) -> ClusterSnapshot:
        """Look; Unreachable where it is the way to the pods that does not answer, rather than they."""
        await self.refresh_members()
        return await self._pods.in_sight_of(await super().observe())

    def _members_now(self, group: Group | None, stores: Sequence[Store] | None) -> Sequence[Member]:
        """Leave out stores that PD has buried, and keep in mind whom it holds."""
        if group is None or stores is None:
            return self._members
        mine = {member.name: [each for each in stores if member.is_store(each)] for member in self._members}
        buried = {name for name, held in mine.items() if held and all(each.tombstone for each in held)}
        pds = {each.name for each in group.members}
        self._held = frozenset(name for name, held in mine.items() if held or name in pds) - buried
        return [member for member in self._members if member.name not in buried]

    async def _health(self, member: Member, timeout_s: float = LOOK_TIMEOUT_S) -> Probe:
        """Ask a store on its own host, too, where the network does not let it answer."""
        ask, place = super()._health, self._places[member.name]
        at = self._pods.host_way.address(member.name, place.http)
        if member.unseen is not None or place.kind == "pd" or at is None:
            return await ask(member, timeout_s)
        on_host = replace(member, url=f"http://{netloc(*at)}")
        return await past_network(
            ask(member, timeout_s),
            lambda: ask(on_host, timeout_s),
            lambda said: said.connection is Connection.ACCEPTED,
        )

    def _member_at(self, name: str, place: Place) -> Member:
        way, there = self._pods.way, self._pods.pods.get(name) is not None
        at = way.address(name, place.http) if there else None
        if at is None:
            why = self._pods.pods.view(name).raw or f"the pod {name} has no address yet"
            return Member(name, place.kind, "", unseen=Unseen(UnseenReason.REFUSED, why))
        data = way.address(name, place.data) if place.data else None
        # A PD's only port is that of its clients, too: what they see must not be its host's word.
        past = place.kind == "store" or way.mode == "forward"
        return Member(name, place.kind, f"http://{netloc(*at)}", data, on_host=past)


def _place(pod: Json) -> Place | None:
    """Return what a pod is; None for one that is neither PD nor TiKV."""
    labels, ports = pod["metadata"].get("labels") or {}, ports_of(pod)
    match labels.get(COMPONENT, database_container(pod)):
        case "pd":
            return Place("pd", ports.get("client", PD_PORT))
        case "tikv":
            return Place("store", ports.get("status", STATUS_PORT), ports.get("client", DATA_PORT))
    return None


def _ports(place: Place) -> list[int]:
    return [port for port in (place.http, place.data) if port]


async def attach(options: KubernetesOptions, access: Access) -> tuple[PodsOfTikv, KubernetesNodes]:
    """Return somebody else's TiKV, read-only. BadSetup without PDs or stores, Unsupported for TLS."""
    require_plain(access)
    if options.tidbcluster is not None:
        options = replace(options, selector=SELECTOR.format(name=options.tidbcluster))
    nodes = await attach_nodes(options, (PD_PORT, DATA_PORT), only=lambda pod: _place(pod) is not None)
    pd = PdClient([])
    subject = PodsOfTikv(nodes, pd)
    try:
        await subject.refresh_members()
        _require_both(subject)
        await refuse_tls(pd)
    except BaseException:
        await subject.aclose()
        await nodes.aclose()
        raise
    return subject, nodes


def _require_both(subject: PodsOfTikv) -> None:
    if len(subject.stores) in (0, len(subject.nodes)):
        raise BadSetup(
            f"{', '.join(subject.nodes)}: TiKV is watched by its PDs and its stores together. Give "
            "--tidbcluster NAME, or a --selector that fits both."
        )
