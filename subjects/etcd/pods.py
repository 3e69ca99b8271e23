"""etcd in pods, ours or somebody else's: where each member answers, and what its pod's API says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from subjects.access import Access
from subjects.base import ClusterSnapshot, Membership, Metric, NodeView, Unseen, UnseenReason
from subjects.endpoints import netloc
from subjects.errors import Unreachable
from subjects.etcd import refusals
from subjects.etcd.client import EtcdClient
from subjects.etcd.status import Status
from subjects.etcd.subject import LOOK_TIMEOUT_S, Endpoint, EtcdSubject
from subjects.runtimes.kubernetes.attached import KubernetesNodes, attach_nodes
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.runtimes.kubernetes.pod_status import is_name_of, ports_of
from subjects.runtimes.kubernetes.way import past_network

CLIENT_PORT, METRICS_PORT = 2379, 2381


class PodsOfEtcd(EtcdSubject):
    """Members that are pods: they may move to other addresses, and come and go, between two snapshots."""

    def __init__(self, nodes: KubernetesNodes, access: Access | None = None) -> None:
        known = access or Access()
        self._scheme = "https" if known.files else "http"
        super().__init__({}, nodes, EtcdClient(replace(known, accepts=self._is_member)))
        self._pods = nodes
        self._past_host: set[str] = set()
        """Members that were not let in to on their own host: what was asked of them went over the network."""

    async def refresh_endpoints(self) -> None:
        """Take each pod's address as it is now."""
        names = self._pods.pods.names
        ports = {name: self._ports(name) for name in names}
        wanted = [(name, port) for name, both in ports.items() for port in both]
        await self._pods.way.lead_to(wanted)
        await self._pods.host_way.lead_to(wanted)
        self._endpoints = {name: self._endpoint(name, *ports[name]) for name in names}

    async def observe(self) -> ClusterSnapshot:
        """Look; Unreachable where it is the way to the members that does not answer, rather than they."""
        await self.refresh_endpoints()
        snapshot = await super().observe()
        snapshot = replace(snapshot, nodes=tuple(map(_with_remedy, snapshot.nodes)))
        return await self._pods.in_sight_of(snapshot)

    async def metrics(self, node: str, names: Sequence[str]) -> list[Metric]:
        """Read a member's metrics on its own host; as clients do where the API server does not answer."""
        _, port = self._ports(node)
        at = self._pods.host_way.address(node, port)
        if at is not None:
            try:
                found = await self._client.metrics(self._url(at), names, LOOK_TIMEOUT_S)
            except Unreachable as error:
                silent = error.unseen is not None and error.unseen.reason is UnseenReason.SILENT
                (self._past_host.discard if silent else self._past_host.add)(node)
            else:
                self._past_host.discard(node)
                return found
        return await super().metrics(node, names)

    def on_host(self, node: str) -> bool:
        """Whether the member is asked on its own host: not one that listens on its pod's address alone."""
        return node not in self._past_host and super().on_host(node)

    async def _status(self, endpoint: Endpoint) -> tuple[Status | None, Unseen | None]:
        """Ask as clients do, and on the member's own host where that takes long or is refused.

        Whom the network cuts off still says of itself that it follows nobody.
        """
        ask = super()._status
        as_client = ask(replace(endpoint, direct=endpoint.client))
        return await past_network(as_client, lambda: ask(endpoint), lambda said: said[0] is not None)

    def _ports(self, name: str) -> tuple[int, int]:
        """Return its ports for clients and for metrics: by their names in its pod, else etcd's own."""
        pod = self._pods.pods.get(name)
        known: Mapping[str, int] = {} if pod is None else ports_of(pod)
        client = known.get("client") or known.get("client-port") or CLIENT_PORT
        if self._scheme == "https":  # the port for metrics alone is mostly plain, and the other has all of it
            return client, client
        return client, known.get("metrics") or (METRICS_PORT if METRICS_PORT in known.values() else client)

    def _endpoint(self, name: str, client: int, metrics: int) -> Endpoint:
        at, of_metrics = self._pods.way.address(name, client), self._pods.way.address(name, metrics)
        if at is None or of_metrics is None:
            why = self._pods.pods.view(name).raw or f"the pod {name} has no address yet"
            return Endpoint("", "", "", None, Membership.VOTER, Unseen(UnseenReason.REFUSED, why))
        url, host = self._url(at), self._pods.host_way.address(name, client)
        return Endpoint(url, self._url(host) if host else url, self._url(of_metrics))

    def _url(self, at: tuple[str, int]) -> str:
        return f"{self._scheme}://{netloc(*at)}"

    def _is_member(self, name: str) -> bool:
        return is_name_of((pod for _, pod in self._pods.pods.all()), name)


def _with_remedy(node: NodeView) -> NodeView:
    """Say what to give for pods, where it isn't what one gives for endpoints."""
    if node.unseen is None or (remedy := REMEDIES.get(node.unseen.remedy)) is None:
        return node
    return replace(node, unseen=replace(node.unseen, remedy=remedy))


REMEDIES = {
    refusals.HTTPS: "--cacert names the authority of its certificate, --cert and --key our own",
    refusals.HTTP: "leave out --cacert, --cert and --key",
    refusals.OTHER_NAME: "renew it with the names of its pod or service: NAME.SERVICE.NAMESPACE.svc",
}


async def make_subject(nodes: KubernetesNodes, access: Access | None = None) -> PodsOfEtcd:
    """Return the subject for pods, ours or somebody else's. BadSetup for certificates that can't be read."""
    subject = PodsOfEtcd(nodes, access)
    await subject.refresh_endpoints()
    return subject


async def attach(options: KubernetesOptions, access: Access) -> tuple[PodsOfEtcd, KubernetesNodes]:
    """Return somebody else's etcd, read-only."""
    nodes = await attach_nodes(options, (CLIENT_PORT,))
    try:
        return await make_subject(nodes, access), nodes
    except BaseException:
        await nodes.aclose()
        raise
