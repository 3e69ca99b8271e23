"""Somebody else's StatefulSet, watched: what happens to it is told, and what is planned alarms nobody."""

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio

from subjects.access import Access
from subjects.base import Cluster, ClusterSnapshot, ClusterState
from subjects.clusters import attach_pods, decide, open_cluster
from subjects.errors import BadSetup, NotReady, SubjectError
from subjects.runtimes.kubernetes import manifest
from subjects.runtimes.kubernetes.attached import KubernetesNodes
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.runtimes.kubernetes.runtime import KubernetesRuntime
from subjects.state import open_state
from tests.standins.kubernetes_standin.etcd_set import make_etcd
from tests.standins.kubernetes_standin.handle import StandinCluster
from tests.standins.kubernetes_standin.own import until_healthy
from tools.detection.monitor import Monitor
from tools.diagnosis.base import case_of
from tools.diagnosis.rules import RulesDiagnostician
from tools.diagnosis.schema import Confidence, Diagnosis, Kind
from tools.events import Notice
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.pod_addresses,
]
UNDECIDED = ("not known", "look alike", "cannot be told apart")
BOUND_S = 90.0
"""Ends what hangs."""
NAMESPACE = "db"
ROLE = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "list"]},
]


@dataclass
class Watch:
    """A monitor of the set, and what it said."""

    standin: StandinCluster
    cluster: Cluster
    monitor: Monitor
    ledger: Ledger
    notices: list[str] = field(default_factory=list)

    def kill(self, act: str, **more: object) -> None:
        assert self.standin.act(act, namespace=NAMESPACE, pod="etcd-1", **more) is None

    async def healthy(self) -> None:
        await until_healthy(self.cluster)

    async def told(self, kind: str) -> None:
        async with asyncio.timeout(BOUND_S):
            while not any(each.kind == kind and each.node == "etcd-1" for each in self.monitor.signals):
                await asyncio.sleep(0.05)

    async def diagnosis(self) -> Diagnosis:
        """What the rules conclude of the last incident."""
        last = self.monitor.detections[-1].incident
        case = case_of([each for each in self.monitor.detections if each.incident == last])
        rules = RulesDiagnostician()
        return await rules.examine(case, self.cluster.observed, lambda: self.monitor.signals, self.ledger)

    async def pods(self, hold: Callable[[dict[str, Any]], bool]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not hold(await asyncio.to_thread(self.standin.pods, NAMESPACE)):
                await asyncio.sleep(0.1)

    def uids(self) -> set[str]:
        return {each["metadata"]["uid"] for each in self.standin.pods(NAMESPACE).values()}


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinCluster]:
    folder = tmp_path_factory.mktemp("kubernetes")
    with StandinCluster(folder, "--reachable", "--nodes", "3", "--speed", "10") as made:
        make_etcd(made, NAMESPACE)
        yield made


@pytest.fixture
def as_admin(standin: StandinCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the kubeconfig of who may do everything."""
    monkeypatch.setenv("KUBECONFIG", str(standin.kubeconfig))


@pytest_asyncio.fixture(loop_scope="module")
async def watch(
    standin: StandinCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watch]:
    """The monitor, by an account that may only read."""
    account = f"watcher-{time.monotonic_ns()}"
    token = await asyncio.to_thread(standin.token_of, NAMESPACE, account, ROLE)
    monkeypatch.setenv("KUBECONFIG", str(standin.write_kubeconfig(tmp_path / "kubeconfig", token)))
    cluster = await attach_pods("etcd", KubernetesOptions(namespace=NAMESPACE, statefulset="etcd"))
    store = IncidentStore(tmp_path / "operator.db")
    notices: list[str] = []
    ledger = Ledger()
    monitor = Monitor(
        cluster,
        ledger,
        store,
        lambda event: notices.append(event.text) if isinstance(event, Notice) else None,
    )
    made = Watch(standin, cluster, monitor, ledger, notices)
    try:
        await made.healthy()
        await monitor.start()
        yield made
    finally:
        await monitor.stop()
        await cluster.aclose()
        store.close()


@pytest.mark.parametrize(
    ("act", "more", "kind"), [("signal", {"number": signal.SIGKILL}, "exit"), ("oom", {}, "oom")]
)
async def test_a_process_killed_from_outside_is_detected(
    watch: Watch, act: str, more: dict[str, object], kind: str
) -> None:
    began = time.monotonic()
    watch.kill(act, **more)

    detection = await watch.monitor.wait(began, BOUND_S)

    assert detection is not None, watch.monitor.signals
    assert detection.nodes == ("etcd-1",)
    await watch.told(kind)
    await watch.healthy()


async def test_until_the_pods_status_tells_nothing_is_claimed_of_it_for_sure(watch: Watch) -> None:
    began = time.monotonic()
    watch.standin.act("kubelet", asleep=True)
    try:
        watch.kill("oom")
        assert await watch.monitor.wait(began, BOUND_S) is not None, watch.monitor.signals
        early = await watch.diagnosis()
    finally:
        watch.standin.act("kubelet", asleep=False)

    assert (early.kind, early.nodes) == (Kind.CRASH, ("etcd-1",)), early
    assert early.confidence is not Confidence.HIGH
    assert "its status does not show it yet" in early.root_cause

    await watch.told("oom")
    late = await watch.diagnosis()

    assert (late.kind, late.nodes) == (Kind.CRASH, ("etcd-1",)), late
    assert "OOM-killed" in late.root_cause
    await watch.healthy()


@pytest.mark.parametrize(("act", "words"), [("oom", "OOM-killed"), ("signal", "SIGKILL")])
async def test_one_that_is_back_before_its_status_tells_died_of_what_that_tells_then(
    watch: Watch, act: str, words: str
) -> None:
    began = time.monotonic()
    watch.standin.act("kubelet", late_s=BOUND_S)
    try:
        watch.standin.act("cut", namespace=NAMESPACE, pod="etcd-1", cut=True)
        assert await watch.monitor.wait(began, BOUND_S) is not None, watch.monitor.signals
        watch.kill(act, **({} if act == "oom" else {"number": signal.SIGKILL}))
        watch.standin.act("cut", namespace=NAMESPACE, pod="etcd-1", cut=False)
        await watch.told("restarted")
        early = await watch.diagnosis()
    finally:
        watch.standin.act("kubelet")
    await watch.told("oom" if act == "oom" else "exit")
    late = await watch.diagnosis()

    assert early.confidence is not Confidence.HIGH, early
    assert any(each in early.root_cause for each in UNDECIDED), early
    assert (late.kind, late.nodes) == (Kind.CRASH, ("etcd-1",)), late
    assert words in late.root_cause
    await watch.healthy()


async def test_a_drained_node_is_a_planned_act(watch: Watch) -> None:
    began, before = time.monotonic(), watch.uids()
    node = watch.standin.pods(NAMESPACE)["etcd-1"]["spec"]["nodeName"]

    watch.standin.act("drain", node=node)
    try:
        await watch.pods(
            lambda pods: len(pods) == 3 and {p["metadata"]["uid"] for p in pods.values()} != before
        )
        await watch.healthy()
    finally:
        watch.standin.act("uncordon", node=node)

    assert await watch.monitor.wait(began, 0.5) is None, watch.monitor.signals
    assert any("etcd-1" in each and "EvictionByEvictionAPI" in each for each in watch.notices), watch.notices


async def test_a_rolling_restart_is_a_planned_act(watch: Watch) -> None:
    began, before = time.monotonic(), watch.uids()
    annotations = {"kubectl.kubernetes.io/restartedAt": str(began)}
    watch.standin.call(
        "PATCH",
        f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/etcd",
        {"spec": {"template": {"metadata": {"annotations": annotations}}}},
        "application/strategic-merge-patch+json",
    )

    await watch.pods(
        lambda pods: len(pods) == 3 and not before & {p["metadata"]["uid"] for p in pods.values()}
    )
    await watch.healthy()

    assert await watch.monitor.wait(began, 0.5) is None, watch.monitor.signals


async def test_a_paused_api_server_raises_no_alarm_and_hides_nothing_afterwards(watch: Watch) -> None:
    began = time.monotonic()
    watch.standin.act("api", mode="paused")
    try:
        await asyncio.sleep(4)
        # Members that share a busy machine may be late by themselves; nothing but their own ports may say so.
        told = [each for each in watch.monitor.signals if each.at >= began and each.kind != "silent"]
        assert told == []
    finally:
        watch.standin.act("api", mode="up")
    await watch.healthy()

    began = time.monotonic()
    watch.kill("signal", number=signal.SIGKILL)
    assert await watch.monitor.wait(began, BOUND_S) is not None
    await watch.healthy()


async def test_a_watch_that_is_too_old_is_listed_again_and_misses_nothing(watch: Watch) -> None:
    nodes = watch.cluster.nodes
    assert isinstance(nodes, KubernetesNodes)
    mark = str(time.monotonic_ns())
    watch.standin.act("requests")
    watch.standin.act("outdate", namespace=NAMESPACE, pod="etcd-1", annotations={"mark": mark})
    asked: list[str] = []
    async with asyncio.timeout(BOUND_S):
        while ((nodes.pods.get("etcd-1") or {})["metadata"].get("annotations") or {}).get("mark") != mark:
            await asyncio.sleep(0.05)
        while len(asked) < 3:
            done = await asyncio.to_thread(watch.standin.act, "requests")
            asked += [path for _, path in done if "/pods?" in path]
            await asyncio.sleep(0.05)

    # From where it was, which is answered with 410; a list; and from there on.
    assert ["watch=1" in path for path in asked] == [True, False, True]
    first, _, second = (dict(parse_qsl(urlsplit(path).query)).get("resourceVersion") for path in asked)
    assert int(first or 0) < int(second or 0)
    # And it is told by the new watch, not by connections, how a process ends.
    began = time.monotonic()
    watch.kill("oom")
    assert await watch.monitor.wait(began, BOUND_S) is not None
    await watch.told("oom")
    await watch.healthy()


async def named(options: KubernetesOptions) -> set[str]:
    cluster = await attach_pods("etcd", options)
    try:
        return set(cluster.subject.nodes)
    finally:
        await cluster.aclose()


@pytest.mark.usefixtures("as_admin")
async def test_a_selector_names_the_pods_with_its_labels_and_no_others(standin: StandinCluster) -> None:
    """Also while it watches: who gets the labels is a node from then on."""
    make_pod(standin, "stranger", {"app": "stranger"})
    make_pod(standin, "guest", {"app": "etcd"})
    members = {"etcd-0", "etcd-1", "etcd-2"}
    cluster = await attach_pods("etcd", KubernetesOptions(namespace=NAMESPACE, selector="app=etcd"))
    try:
        before = set(cluster.subject.nodes)
        relabel(standin, "stranger", {"app": "etcd"})
        async with asyncio.timeout(BOUND_S):
            while "stranger" not in cluster.subject.nodes:
                await cluster.subject.observe()
        others = await named(KubernetesOptions(namespace=NAMESPACE, selector="app in (etcd),extra!=yes"))
        relabel(standin, "guest", {"extra": "yes"})
        fewer = await named(KubernetesOptions(namespace=NAMESPACE, selector="app in (etcd),extra!=yes"))
        owned = await named(KubernetesOptions(namespace=NAMESPACE, statefulset="etcd"))
        with pytest.raises(BadSetup, match="There are no pods with app=none in the namespace db"):
            await named(KubernetesOptions(namespace=NAMESPACE, selector="app=none"))
    finally:
        await cluster.aclose()
        for name in ("stranger", "guest"):
            standin.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", {"gracePeriodSeconds": 0})

    assert before == {*members, "guest"}
    assert others == {*members, "guest", "stranger"}
    assert fewer == {*members, "stranger"}
    assert owned == members  # whose labels they share makes no pod one of the set


@pytest.mark.usefixtures("as_admin")
async def test_pods_that_ask_for_a_user_are_seen_by_who_has_one_and_say_so_to_others(
    standin: StandinCluster,
) -> None:
    def ask(path: str, body: dict[str, str], token: str = "") -> Any:
        url = f"http://{standin.pods(NAMESPACE)['etcd-0']['status']['podIP']}:2379/v3/auth/{path}"
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Authorization": token} if token else {}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    async def look(access: Access) -> ClusterSnapshot:
        options = KubernetesOptions(namespace=NAMESPACE, statefulset="etcd")
        cluster = await attach_pods("etcd", options, access)
        try:
            return await cluster.subject.observe()
        finally:
            await cluster.aclose()

    root = {"name": "root", "password": "of-root"}
    for path, body in (
        ("user/add", root),
        ("role/add", {"name": "root"}),
        ("user/grant", {"user": "root", "role": "root"}),
        ("enable", {}),
    ):
        await asyncio.to_thread(ask, path, body)
    try:
        known = await look(Access(user="root", password="of-root"))
        wrong = await look(Access(user="root", password="another"))
    finally:
        token = (await asyncio.to_thread(ask, "authenticate", root))["token"]
        await asyncio.to_thread(ask, "disable", {}, token)

    assert [(node.unseen, node.version is not None) for node in known.nodes] == [(None, True)] * 3
    refused = [node.unseen for node in wrong.nodes if node.unseen is not None]
    assert all("refuses the user 'root'" in each.text for each in refused), refused
    assert all("ETCD_USERNAME and ETCD_PASSWORD" in each.remedy for each in refused), refused
    assert wrong.state is not ClusterState.DOWN  # who may not ask is not told that they are down


@pytest.mark.usefixtures("as_admin")
@pytest.mark.parametrize("known", ["", "of-the-one-that-was-made-before"])
async def test_a_namespace_that_is_somebody_elses_is_left_alone(
    standin: StandinCluster, tmp_path: Path, known: str
) -> None:
    """With our labels or without: it is told apart by its uid."""
    cluster = await open_cluster(open_state(tmp_path / "state"), await decide("etcd", "kubernetes"))
    runtime = cluster.nodes
    assert isinstance(runtime, KubernetesRuntime)
    try:
        name = runtime.namespace
        labels = dict(manifest.MANAGED) if known else {}
        made = standin.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        config = {"metadata": {"name": "theirs"}, "data": {"a": "b"}}
        standin.call("POST", f"/api/v1/namespaces/{name}/configmaps", config)
        runtime.layout = replace(runtime.layout, namespace_uid=known)
        standin.act("requests")
        with pytest.raises(NotReady, match=f"The namespace {name} of the context .* is not operator's"):
            await runtime.up()
        await runtime.down()
        changed = [asked for asked in standin.act("requests") if asked[0] != "GET"]
    finally:
        await cluster.aclose()

    assert changed == []
    assert standin.call("GET", f"/api/v1/namespaces/{name}")["metadata"]["uid"] == made["metadata"]["uid"]
    theirs = standin.call("GET", f"/api/v1/namespaces/{name}/configmaps/theirs")
    assert theirs["data"] == {"a": "b"}


def make_pod(standin: StandinCluster, name: str, labels: dict[str, str]) -> None:
    """Make a pod that is in no set."""
    container = {"name": "pause", "image": "registry.k8s.io/pause:3.10"}
    body = {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [container]}}
    standin.call("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", body)


def relabel(standin: StandinCluster, name: str, labels: dict[str, str]) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
    standin.call("PATCH", path, {"metadata": {"labels": labels}}, "application/merge-patch+json")


async def test_a_context_that_nobody_allowed_is_refused_before_anything_is_made(
    standin: StandinCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = standin.write_kubeconfig(tmp_path / "kubeconfig", standin.token, "production")
    monkeypatch.setenv("KUBECONFIG", str(config))
    standin.act("requests")

    with pytest.raises(BadSetup, match="--allow-context production"):
        await open_cluster(open_state(tmp_path / "state"), await decide("etcd", "kubernetes"))

    assert [asked for asked in standin.act("requests") if asked[0] != "GET"] == []


async def test_what_it_may_not_do_is_named_by_the_server(
    standin: StandinCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = standin.token_of(NAMESPACE, f"nobody-{os.getpid()}", [])
    monkeypatch.setenv("KUBECONFIG", str(standin.write_kubeconfig(tmp_path / "kubeconfig", token)))

    with pytest.raises(SubjectError, match='cannot get resource "statefulsets"'):
        await attach_pods("etcd", KubernetesOptions(namespace=NAMESPACE, statefulset="etcd"))
