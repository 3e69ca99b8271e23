"""What answers where the API server was expected: a proxy, a login page, another API. One line says so."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from subjects.base import RuntimeEvent
from subjects.clusters import attach_pods
from subjects.errors import SubjectError, Unsupported
from subjects.etcd import kubernetes as etcd_plan
from subjects.runtimes.kubernetes.api import Json, connect
from subjects.runtimes.kubernetes.attached import KubernetesNodes, addresses_of, attach_nodes
from subjects.runtimes.kubernetes.opening import open_kubernetes
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.runtimes.kubernetes.pods import Pods
from subjects.state import open_state
from tests.standins import standin_http

CONTEXT = "kind-odd"
POD = {
    "metadata": {"name": "db-0", "uid": "u1", "resourceVersion": "7"},
    "spec": {"containers": [{"name": "db"}]},
    "status": {
        "containerStatuses": [
            {
                "name": "db",
                "containerID": "containerd://a",
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
        ]
    },
}
LIST = {"metadata": {"resourceVersion": "7"}, "items": [POD]}
ODD = [
    "<html><body>Sign in</body></html>",
    "",
    "[]",
    "null",
    "{}",
    '{"metadata": null, "items": null}',
    '{"metadata": {"resourceVersion": "7"}, "items": [null]}',
    '{"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "db-0"}, "status": []}]}',
    '{"metadata": [], "spec": {"selector": "all"}, "status": 3, "major": {}, "minor": "x"}',
]


@asynccontextmanager
async def answering(folder: Path, answer: Callable[[str], str]) -> AsyncIterator[Path]:
    """A server that says what `answer` makes of a path, with 200; yields the kubeconfig that leads there."""

    async def says(method: str, path: str, body: bytes) -> standin_http.Answer:
        return 200, answer(path)

    server = await standin_http.serve(says, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = folder / "kubeconfig"
    context = {"name": CONTEXT, "context": {"cluster": "c", "user": "u"}}
    cluster = {"name": "c", "cluster": {"server": address}}
    user = {"name": "u", "user": {"token": "t"}}
    kinds = {"contexts": [context], "clusters": [cluster], "users": [user], "current-context": CONTEXT}
    config.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **kinds}))
    try:
        yield config
    finally:
        server.close()


@pytest.mark.parametrize("text", ODD)
async def test_it_is_told_in_one_line_that_names_the_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    async with answering(tmp_path, lambda _: text) as config:
        monkeypatch.setenv("KUBECONFIG", str(config))
        for options in (KubernetesOptions(selector="app=db"), KubernetesOptions(statefulset="db")):
            with pytest.raises(SubjectError, match=CONTEXT) as told:
                await attach_nodes(options, (2379,))
            assert "\n" not in str(told.value)
        with pytest.raises(SubjectError, match=CONTEXT):
            await open_kubernetes("etcd", etcd_plan, open_state(tmp_path / "state"), KubernetesOptions())


async def test_a_watch_goes_on_after_events_that_are_none(tmp_path: Path) -> None:
    events = iter(
        ["no JSON", "[]", '{"type": "ADDED"}', json.dumps({"type": "MODIFIED", "object": {"metadata": 1}})]
    )
    gone = json.dumps({"type": "DELETED", "object": POD})
    said: asyncio.Queue[RuntimeEvent] = asyncio.Queue()

    async with answering(
        tmp_path, lambda path: next(events, gone) if "watch=" in path else json.dumps(LIST)
    ) as config:
        api = await connect(None, str(config))
        pods = Pods(api, "default", "app=db")
        pods.tell(said.put_nowait)
        await pods.start()
        event = await asyncio.wait_for(said.get(), 30)
        await pods.aclose()
        await api.aclose()

    assert (event.node, event.kind) == ("db-0", "exit")


async def test_a_pod_that_is_deleted_is_told_with_the_time_that_it_has_to_go(tmp_path: Path) -> None:
    asked = {"deletionTimestamp": "2026-11-28T21:12:15Z", "deletionGracePeriodSeconds": 65535}
    leaving = {**POD, "metadata": {**POD["metadata"], **asked}}
    said: asyncio.Queue[RuntimeEvent] = asyncio.Queue()

    async with answering(
        tmp_path,
        lambda path: json.dumps({"type": "MODIFIED", "object": leaving} if "watch=" in path else LIST),
    ) as config:
        api = await connect(None, str(config))
        pods = Pods(api, "default", "app=db")
        pods.tell(said.put_nowait)
        await pods.start()
        event = await asyncio.wait_for(said.get(), 30)
        await pods.aclose()
        await api.aclose()

    assert (event.node, event.kind, event.grace_s) == ("db-0", "leaving", 65535.0)


def pod(name: str, address: str = "127.0.0.1", **ports: int) -> Json:
    """One of a TidbCluster, with the ports that it declares."""
    declared = [{"name": key, "containerPort": value} for key, value in ports.items()]
    return {
        "metadata": {"name": f"basic-{name}-0", "uid": name, "resourceVersion": "7"},
        "spec": {"containers": [{"name": name, "ports": declared}]},
        "status": {"podIP": address},
    }


def test_a_pods_address_is_tried_on_what_the_pod_declares() -> None:
    """Another port may be refused by whoever has the address here, and would pass for the pod's answer."""
    pods = [pod("pd", "10.0.0.7", client=2379), pod("tikv", "10.0.0.8", server=20160), pod("pd", "10.0.0.9")]

    assert addresses_of(pods, (2379, 20160)) == [
        ("10.0.0.7", 2379),
        ("10.0.0.8", 20160),
        ("10.0.0.9", 2379),
        ("10.0.0.9", 20160),
    ]


async def test_pds_in_pods_that_speak_tls_are_refused_and_not_told_as_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def says(method: str, path: str, body: bytes) -> standin_http.Answer:
        return 400, "Client sent an HTTP request to an HTTPS server.\n"

    pd = await standin_http.serve(says, "127.0.0.1", 0)
    port = pd.sockets[0].getsockname()[1]

    found = {**LIST, "items": [pod("pd", client=port), pod("tikv", server=port)]}
    async with answering(tmp_path, lambda _: json.dumps(found)) as config:
        monkeypatch.setenv("KUBECONFIG", str(config))
        with pytest.raises(Unsupported, match="Its PDs speak TLS"):
            await attach_pods("tikv", KubernetesOptions(tidbcluster="basic"))
    pd.close()


@pytest.mark.parametrize("subject", ["etcd", "tikv"])
async def test_a_pods_ipv6_address_is_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: str
) -> None:
    found = {**LIST, "items": [pod("pd", "::1", client=2379), pod("tikv", "::1", server=20160)]}
    async with answering(tmp_path, lambda _: json.dumps(found)) as config:
        monkeypatch.setenv("KUBECONFIG", str(config))
        cluster = await attach_pods(subject, KubernetesOptions(selector="app=db"))
        assert isinstance(cluster.nodes, KubernetesNodes)
        cluster.nodes.way.mode = "straight"
        await cluster.subject.observe()
        at = cluster.subject.watch_address("basic-pd-0")
        await cluster.aclose()

    assert at == ("::1", 2379)
