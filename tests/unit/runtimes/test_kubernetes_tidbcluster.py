"""A cluster that TiDB Operator made, watched by its name; PD and TiKV are stand-ins, as the pods are."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from subjects.base import Cluster, ClusterSnapshot, ClusterState, ControlState, ProcessState
from subjects.clusters import attach_pods
from subjects.errors import BadSetup, SubjectError
from subjects.runtimes.kubernetes import pods, rights
from subjects.runtimes.kubernetes.attached import KubernetesNodes
from subjects.runtimes.kubernetes.options import KubernetesOptions
from tests.standins.kubernetes_standin.handle import StandinCluster
from tests.standins.kubernetes_standin.tidb_cluster import make_tidb_cluster
from tests.standins.standin_http import Channel
from tools.detection.monitor import Monitor
from tools.diagnosis.base import case_of
from tools.diagnosis.rules import RulesDiagnostician
from tools.diagnosis.schema import Confidence, Diagnosis, Kind
from tools.events import Notice
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.pod_addresses]
BOUND_S = 90.0
"""Ends what hangs."""
NAMESPACE, NAME = "db", "basic"
PDS = tuple(f"{NAME}-pd-{each}" for each in range(3))
STORES = tuple(f"{NAME}-tikv-{each}" for each in range(3))
ROLE = [
    {"apiGroups": [each.group], "resources": [each.resource], "verbs": list(each.verbs)}
    for each in rights.WATCH
]
"""What doctor prints."""
MINE = KubernetesOptions(namespace=NAMESPACE, tidbcluster=NAME)


@dataclass
class Watch:
    """A monitor of the cluster, and what it said."""

    standin: StandinCluster
    cluster: Cluster
    monitor: Monitor
    ledger: Ledger
    notices: list[str] = field(default_factory=list)

    async def healthy(self) -> ClusterSnapshot:
        wrong: object = None
        until = time.monotonic() + BOUND_S
        while time.monotonic() < until:
            try:
                snapshot = await self.cluster.subject.observe()
            except SubjectError as error:
                wrong = error
            else:
                if snapshot.state is ClusterState.HEALTHY:
                    return snapshot
                wrong = snapshot.problems
            await asyncio.sleep(0.1)
        raise AssertionError(wrong)

    async def diagnosis(self, incident: str) -> Diagnosis:
        case = case_of([each for each in self.monitor.detections if each.incident == incident])
        rules = RulesDiagnostician()
        return await rules.examine(case, self.cluster.observed, lambda: self.monitor.signals, self.ledger)

    async def replaced(self, pod: str) -> None:
        """Delete a pod as the controller of its set does in an upgrade, and wait until all is well again."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}"
        uid = self.standin.call("GET", path)["metadata"]["uid"]
        await asyncio.to_thread(self.standin.call, "DELETE", path)
        async with asyncio.timeout(BOUND_S):
            while not any(
                each.name == pod
                and each.process.identity is not None
                and not each.process.identity.id.startswith(uid)
                for each in (await self.healthy()).nodes
            ):
                await asyncio.sleep(0.1)

    def scale(self, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/{NAME}-tikv"
        self.standin.call("PATCH", path, {"spec": {"replicas": replicas}}, "application/merge-patch+json")

    async def pd(self, method: str, path: str, body: object = None) -> Any:
        address = self.standin.pods(NAMESPACE)[PDS[0]]["status"]["podIP"]
        channel, status, text = Channel(f"http://{address}:2379"), 503, ""
        async with asyncio.timeout(BOUND_S):
            while status == 503:  # nobody leads for a moment, on a busy machine
                status, text = await channel.ask(f"/pd/api/v1{path}", method, body, timeout_s=10)
        channel.close()
        assert status == 200, text
        return json.loads(text)


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinCluster]:
    folder = tmp_path_factory.mktemp("kubernetes")
    with StandinCluster(folder, "--reachable", "--nodes", "3", "--speed", "10") as made:
        make_tidb_cluster(made, NAMESPACE, NAME)
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def watch(
    standin: StandinCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watch]:
    """The monitor, by an account that may do what doctor's Role lets it."""
    account = f"watcher-{time.monotonic_ns()}"
    token = await asyncio.to_thread(standin.token_of, NAMESPACE, account, ROLE)
    monkeypatch.setenv("KUBECONFIG", str(standin.write_kubeconfig(tmp_path / "kubeconfig", token)))
    cluster = await attach_pods("tikv", MINE)
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


async def test_a_store_that_is_killed_from_outside_is_detected_named_and_diagnosed(watch: Watch) -> None:
    snapshot = await watch.healthy()
    assert tuple(each.name for each in snapshot.nodes) == (*PDS, *STORES)
    assert {each.details.get("store_address") for each in snapshot.nodes if each.name in STORES} == {
        f"{each}.{NAME}-tikv-peer.{NAMESPACE}.svc:20160" for each in STORES
    }
    began = time.monotonic()

    watch.standin.act("signal", namespace=NAMESPACE, pod=STORES[1], number=signal.SIGKILL)
    detection = await watch.monitor.wait(began, BOUND_S)
    async with asyncio.timeout(BOUND_S):
        while not any((each.kind, each.node) == ("exit", STORES[1]) for each in watch.monitor.signals):
            await asyncio.sleep(0.05)

    assert detection is not None, watch.monitor.signals
    assert detection.nodes == (STORES[1],)
    await watch.healthy()
    found = await watch.diagnosis(detection.incident)
    assert (found.kind, found.nodes) == (Kind.CRASH, (STORES[1],)), found
    assert "SIGKILL" in found.root_cause


async def test_a_store_that_the_network_cuts_off_is_told_from_one_that_is_frozen(watch: Watch) -> None:
    began = time.monotonic()
    watch.standin.act("cut", namespace=NAMESPACE, pod=STORES[1], cut=True)
    try:
        detection = await watch.monitor.wait(began, BOUND_S)
        assert detection is not None, watch.monitor.signals
        found = await watch.diagnosis(detection.incident)
    finally:
        watch.standin.act("cut", namespace=NAMESPACE, pod=STORES[1], cut=False)

    assert (found.kind, found.nodes) == (Kind.PARTITION, (STORES[1],)), found
    assert found.confidence is not Confidence.LOW
    await watch.healthy()


async def test_a_freeze_that_is_over_is_not_taken_for_a_cut_for_sure(watch: Watch) -> None:
    """Peers go on calling a store lost for a while, and nobody outside its pod sees that it was stopped."""
    began = time.monotonic()
    watch.standin.act("signal", namespace=NAMESPACE, pod=STORES[1], number=signal.SIGSTOP)
    try:
        detection = await watch.monitor.wait(began, BOUND_S)
        assert detection is not None, watch.monitor.signals
        async with asyncio.timeout(BOUND_S):
            while not any(
                (each.kind, each.node) == ("peer_lost", STORES[1]) for each in watch.monitor.signals
            ):
                await asyncio.sleep(0.05)
    finally:
        watch.standin.act("signal", namespace=NAMESPACE, pod=STORES[1], number=signal.SIGCONT)
    await watch.healthy()

    found = await watch.diagnosis(detection.incident)
    assert found.kind is not Kind.PARTITION or found.confidence is not Confidence.HIGH, found


async def test_an_upgrade_that_replaces_a_store_and_every_pd_is_a_planned_act(watch: Watch) -> None:
    leader = (await watch.healthy()).leader
    assert leader in PDS
    pods = (STORES[2], *(each for each in PDS if each != leader), leader)
    began = time.monotonic()

    for pod in pods:
        await watch.replaced(pod)

    assert await watch.monitor.wait(began, 0.5) is None, watch.monitor.detections
    for pod in pods:
        assert any(each.startswith(f"{pod} is being taken down gracefully") for each in watch.notices)


async def test_a_store_that_is_scaled_in_is_no_alarm_and_no_node_once_pd_has_buried_it(watch: Watch) -> None:
    healthy = await watch.healthy()
    stays, number = (int(healthy.node(each).member_id or 0) for each in (STORES[0], STORES[2]))
    began = time.monotonic()

    await watch.pd("DELETE", f"/store/{number}")
    for region in (await watch.pd("GET", "/regions"))["regions"]:
        away = {"name": "transfer-leader", "region_id": region["id"], "to_store_id": stays}
        await watch.pd("POST", "/operators", away)
    async with asyncio.timeout(BOUND_S):
        while (offline := await watch.cluster.subject.observe()).node(STORES[2]).control is ControlState.UP:
            await asyncio.sleep(0.05)
    await watch.pd("POST", "/standin/bury", {"id": number})
    buried = await watch.cluster.subject.observe()
    await asyncio.to_thread(watch.scale, 2)
    async with asyncio.timeout(BOUND_S):
        while STORES[2] in await asyncio.to_thread(watch.standin.pods, NAMESPACE):
            await asyncio.sleep(0.1)

    assert offline.node(STORES[2]).process.state is ProcessState.RUNNING
    assert offline.node(STORES[2]).control is ControlState.OFFLINE
    assert [each.name for each in buried.nodes] == [*PDS, *STORES[:2]]
    assert await watch.monitor.wait(began, 1.0) is None, watch.monitor.detections


async def test_a_store_that_pd_holds_is_a_node_without_a_pod(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watch.healthy()
    monkeypatch.setattr(pods, "FORGET_S", 0.0)
    await asyncio.to_thread(watch.scale, 1)
    async with asyncio.timeout(BOUND_S):
        while STORES[1] in await asyncio.to_thread(watch.standin.pods, NAMESPACE):
            await asyncio.sleep(0.1)

    snapshot = await watch.cluster.subject.observe()

    assert snapshot.node(STORES[1]).process.raw == f"there is no pod {STORES[1]}"
    assert snapshot.state is ClusterState.DOWN


async def test_a_selector_takes_what_is_pd_or_tikv_and_both_must_be_there(
    standin: StandinCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(standin.kubeconfig))
    labels = {"app.kubernetes.io/instance": NAME, "app.kubernetes.io/component": "tidb"}
    body = {
        "metadata": {"name": f"{NAME}-tidb-0", "labels": labels},
        "spec": {"containers": [{"name": "tidb", "image": "busybox", "command": ["sleep", "3600"]}]},
    }
    standin.call("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", body)

    cluster = await attach_pods(
        "tikv", KubernetesOptions(namespace=NAMESPACE, selector=f"app.kubernetes.io/instance={NAME}")
    )
    nodes = cluster.subject.nodes
    assert isinstance(cluster.nodes, KubernetesNodes)
    told_of = cluster.nodes.pods.names
    await cluster.aclose()

    there = await asyncio.to_thread(standin.pods, NAMESPACE)
    assert f"{NAME}-tidb-0" in there
    assert nodes == told_of == (*PDS, *(each for each in STORES if each in there))
    with pytest.raises(BadSetup, match=f"{STORES[0]}.*: TiKV is watched by its PDs and its stores"):
        await attach_pods("tikv", KubernetesOptions(namespace=NAMESPACE, statefulset=f"{NAME}-tikv"))
    with pytest.raises(BadSetup, match=r"app\.kubernetes\.io/instance=other,"):
        await attach_pods("tikv", KubernetesOptions(namespace=NAMESPACE, tidbcluster="other"))
