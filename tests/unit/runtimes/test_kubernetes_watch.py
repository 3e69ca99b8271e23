"""Somebody else's StatefulSet, watched: what happens to it is told, and what is planned alarms nobody."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from subjects.base import Cluster, ClusterState
from subjects.clusters import attach_pods, decide, open_cluster
from subjects.errors import BadSetup, SubjectError
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.state import open_state
from tests.standins.kubernetes_standin.etcd_set import make_etcd
from tests.standins.kubernetes_standin.handle import StandinCluster
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
        async with asyncio.timeout(BOUND_S):
            while True:
                try:
                    if (await self.cluster.subject.observe()).state is ClusterState.HEALTHY:
                        return
                except SubjectError:
                    pass
                await asyncio.sleep(0.1)

    async def told(self, kind: str) -> None:
        async with asyncio.timeout(BOUND_S):
            while not any(each.kind == kind and each.node == "etcd-1" for each in self.monitor.signals):
                await asyncio.sleep(0.05)

    async def diagnosis(self) -> Diagnosis:
        """What the rules conclude of the last incident."""
        last = self.monitor.detections[-1].incident
        case = case_of([each for each in self.monitor.detections if each.incident == last])
        rules = RulesDiagnostician()
        return await rules.examine(case, self.cluster.observed, self.monitor.signals, self.ledger)

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
    watch.standin.act("kubelet", late_s=5)
    try:
        watch.standin.act("cut", namespace=NAMESPACE, pod="etcd-1", cut=True)
        assert await watch.monitor.wait(began, BOUND_S) is not None, watch.monitor.signals
        watch.kill(act, **({} if act == "oom" else {"number": signal.SIGKILL}))
        watch.standin.act("cut", namespace=NAMESPACE, pod="etcd-1", cut=False)
        early = await watch.diagnosis()
        await watch.told("oom" if act == "oom" else "exit")
        late = await watch.diagnosis()
    finally:
        watch.standin.act("kubelet")

    assert early.confidence is not Confidence.HIGH, early
    assert "not known" in early.root_cause or "look alike" in early.root_cause, early
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


async def test_a_watch_that_is_too_old_is_listed_again(watch: Watch) -> None:
    watch.standin.act("requests")
    watch.standin.act("api", mode="cut")
    watch.standin.act("compact")
    watch.standin.act("api", mode="up")
    async with asyncio.timeout(BOUND_S):
        asked: list[list[str]] = []
        while not any("/pods?" in path and "watch=1" in path for _, path in asked):
            asked += await asyncio.to_thread(watch.standin.act, "requests")
            await asyncio.sleep(0.1)
    began = time.monotonic()
    watch.kill("signal", number=signal.SIGKILL)
    assert await watch.monitor.wait(began, BOUND_S) is not None
    await watch.healthy()


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
