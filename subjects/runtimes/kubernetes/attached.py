"""Pods that somebody else runs: seen, never acted on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from subjects.base import (
    ClusterSnapshot,
    Connection,
    LogLine,
    Nodes,
    ProcessState,
    ProcessView,
    RuntimeEvent,
)
from subjects.errors import BadSetup, SubjectError, Unreachable
from subjects.runtimes import logtime
from subjects.runtimes.kubernetes import canary
from subjects.runtimes.kubernetes.api import Api, Json, NoSuch, connect
from subjects.runtimes.kubernetes.canary import Canary
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.runtimes.kubernetes.pod_status import database_container, declared, failed_probe
from subjects.runtimes.kubernetes.pods import Pods
from subjects.runtimes.kubernetes.way import Way, reachable


class KubernetesNodes:
    """The pods of one cluster: what the API reports of each, and their logs."""

    name = "kubernetes"

    def __init__(self, api: Api, namespace: str, pods: Pods, way: Way, sight: Canary) -> None:
        self.api = api
        self.namespace = namespace
        self.pods = pods
        self.way = way
        """How clients reach the database."""
        self.host_way = Way(api, namespace, pods, "forward", None)
        """How a member is asked on its own host, whatever the network between pods does."""
        self._canary = sight
        self._readers: set[asyncio.Queue[RuntimeEvent]] = set()
        self._looking: set[asyncio.Task[None]] = set()
        pods.tell(self.spread_of_api)

    def spread(self, event: RuntimeEvent) -> None:
        """Tell an event to everyone who listens."""
        for queue in self._readers:
            queue.put_nowait(event)

    def spread_of_api(self, event: RuntimeEvent) -> None:
        """Tell an event of the pod watch, and of an end, a moment later, whether a probe was the reason."""
        self.spread(event)
        pod = self.pods.get(event.node)
        if event.kind == "exit" and pod is not None:
            task = asyncio.get_running_loop().create_task(self._look_for_probe(event.node, pod))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _look_for_probe(self, node: str, pod: Json) -> None:
        with contextlib.suppress(SubjectError):  # it may not be allowed
            query = [("fieldSelector", f"involvedObject.name={node},reason=Killing")]
            found = await self.api.get(f"/api/v1/namespaces/{self.namespace}/events", query)
            with self.api.reading("GET events", found):
                said = failed_probe(pod, database_container(pod), found["items"])
            if said:
                self.spread(RuntimeEvent(node, "probe_failed", time.monotonic(), said))

    async def inspect(self, node: str) -> ProcessView:
        """Return what the API server last said of the node's container; UNKNOWN while it does not answer."""
        if stalled := self._canary.stalled:
            return ProcessView(ProcessState.UNKNOWN, raw=stalled)
        return self.pods.view(node)

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:
        """Return the last lines of the container's log, and of the one before it where that ended."""
        pod = self.pods.get(node)
        if pod is None:
            raise Unreachable(f"There is no pod {node}: its log went with it.")
        said = await self._log(pod, limit)
        found = logtime.lines(node, said, since, limit)
        # That there is a run before it may not be told yet: its log is asked for, whatever the count says.
        if len(found) < limit and _begins_after(since, logtime.lines(node, said, None, limit)):
            with contextlib.suppress(SubjectError):
                before = logtime.lines(node, await self._log(pod, limit, previous=True), since, limit)
                found = [*before, *found][-limit:]
        return found

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield what the pod watch tells."""
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._readers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._readers.discard(queue)

    @property
    def stalled(self) -> str:
        """What does not answer on the way."""
        return self._canary.stalled

    async def in_sight(self) -> str:
        """Return why nothing can be told of the nodes now: nothing where they are reached straight."""
        return "" if self.way.mode == "straight" else await self._canary.probe_new_connection()

    async def in_sight_of(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        """Return it; Unreachable where nobody answers in it for the way's fault."""
        silent = all(node.client.connection is not Connection.ACCEPTED for node in snapshot.nodes)
        if silent and (stalled := await self.in_sight()):
            raise Unreachable(f"{stalled}: nothing can be told of its pods.")
        return snapshot

    async def aclose(self) -> None:
        """Close what is held open."""
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        await self._canary.aclose()
        await self.way.aclose()
        await self.host_way.aclose()
        await self.pods.aclose()
        await self.api.aclose()

    async def _log(self, pod: Json, limit: int, *, previous: bool = False) -> list[str]:
        name = pod["metadata"]["name"]
        query = [("container", database_container(pod)), ("tailLines", str(max(limit, logtime.AT_LEAST)))]
        if previous:
            query.append(("previous", "true"))
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/log"
        return (await self.api.text(path, query)).splitlines()


def _begins_after(since: float | None, lines: Sequence[LogLine]) -> bool:
    """Whether what was wanted from `since` on may have been written by a run before this one."""
    first = next((line.at for line in lines if line.at is not None), None)
    return since is None or first is None or first > since


async def attach_nodes(
    options: KubernetesOptions, ports: Sequence[int], only: Callable[[Json], bool] = lambda _: True
) -> KubernetesNodes:
    """Return the pods that `options` names, watched from now on.

    `ports` are those on which the database may answer; pods that `only` refuses are no nodes. Raises
    BadSetup where there are no such pods, Denied where the account may not list them.
    """
    api, pods = await connect(options.context), None
    try:
        namespace = options.namespace or api.namespace
        pods = await _pods(api, namespace, options, only)
        await pods.start()
        _require_some(pods, api, namespace, options)
        straight = await reachable(addresses_of((pod for _, pod in pods.all()), ports)[:12])
        way = Way(api, namespace, pods, "straight" if straight else "forward", None)
        return KubernetesNodes(api, namespace, pods, way, canary.of_api(api))
    except BaseException:
        if pods is not None:
            await pods.aclose()
        await api.aclose()
        raise


def addresses_of(pods: Iterable[Json], ports: Sequence[int]) -> list[tuple[str, int]]:
    """Return where the pods may answer: on those of the ports that each declares, else on any.

    What a machine on the way refuses is often a port that nobody declared.
    """
    return [
        (str(ip), port)
        for pod in pods
        if (ip := (pod.get("status") or {}).get("podIP"))
        for port in ports
        if port in declared(pod) or not declared(pod).intersection(ports)
    ]


def _require_some(pods: Pods, api: Api, namespace: str, options: KubernetesOptions) -> None:
    if not pods.names:
        raise BadSetup(
            f"There are no pods with {options.selector or options.statefulset} in the namespace "
            f"{namespace} of the context {api.context}: `kubectl get pods -n {namespace} --show-labels`."
        )


async def _pods(api: Api, namespace: str, options: KubernetesOptions, only: Callable[[Json], bool]) -> Pods:
    if options.selector is not None:
        return Pods(api, namespace, options.selector, only=only)
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets/{options.statefulset}"
    try:
        found = await api.get(path)
    except NoSuch as error:
        raise BadSetup(
            f"There is no StatefulSet {options.statefulset} in the namespace {namespace} of the context "
            f"{api.context}: `kubectl get statefulsets -A` lists those there are."
        ) from error
    with api.reading(f"GET {path}", found):
        first = (found["spec"].get("ordinals") or {}).get("start", 0)
        count = found["spec"].get("replicas", 1)
        return Pods(
            api,
            namespace,
            label_selector(found["spec"]["selector"]),
            expected=[f"{options.statefulset}-{first + each}" for each in range(count)],
            owner=found["metadata"]["uid"],
            only=only,
        )


def label_selector(selector: Json) -> str:
    """Return a LabelSelector as the API takes it in a query."""
    words = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        values = ",".join(each.get("values") or ())
        words.append(
            {
                "In": f"{each['key']} in ({values})",
                "NotIn": f"{each['key']} notin ({values})",
                "Exists": each["key"],
                "DoesNotExist": f"!{each['key']}",
            }[each["operator"]]
        )
    return ",".join(words)


def _proof(nodes: KubernetesNodes) -> Nodes:
    return nodes
