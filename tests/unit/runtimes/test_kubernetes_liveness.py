"""A member that is restarted because it does not answer was neither killed by somebody nor stopped."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from subjects.clusters import attach_pods
from subjects.errors import SubjectError
from subjects.runtimes.kubernetes import rights
from subjects.runtimes.kubernetes.options import KubernetesOptions
from tests.standins.kubernetes_standin.etcd_set import make_etcd
from tests.standins.kubernetes_standin.handle import StandinCluster
from tools.detection.monitor import Monitor
from tools.diagnosis.base import case_of
from tools.diagnosis.rules import RulesDiagnostician
from tools.diagnosis.schema import Kind
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger

pytestmark = pytest.mark.pod_addresses
NAMESPACE = "db"
BOUND_S = 60.0
"""Ends what hangs."""


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinCluster]:
    """One member, with a liveness probe that gives up after two seconds."""
    with StandinCluster(tmp_path_factory.mktemp("kubernetes"), "--reachable", "--speed", "10") as made:
        make_etcd(made, NAMESPACE, 1)
        probe = {"httpGet": {"path": "/health", "port": 2379}, "periodSeconds": 1, "failureThreshold": 2}
        container = {"name": "etcd", "livenessProbe": {**probe, "timeoutSeconds": 1}}
        template = {"spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}
        before = _pod(made)["metadata"]["uid"]
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/etcd"
        made.call("PATCH", path, {"spec": {"template": template}}, "application/strategic-merge-patch+json")
        deadline = time.monotonic() + BOUND_S
        while not _is_ready(pod := _pod(made)) or pod["metadata"]["uid"] == before:
            assert time.monotonic() < deadline, pod
            time.sleep(0.1)
        yield made


def _pod(standin: StandinCluster) -> dict[str, Any]:
    found: dict[str, Any] = standin.pods(NAMESPACE).get("etcd-0") or {"metadata": {"uid": ""}}
    return found


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(each.get("ready") for each in pod.get("status", {}).get("containerStatuses") or ())


@pytest.mark.parametrize("allowed", [True, False])
async def test_its_probe_is_named_where_events_may_be_read(
    standin: StandinCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, allowed: bool
) -> None:
    rules = [
        {"apiGroups": [each.group], "resources": [each.resource], "verbs": list(each.verbs)}
        for each in rights.WATCH
        if allowed or not each.optional
    ]
    token = await asyncio.to_thread(standin.token_of, NAMESPACE, f"watcher-{allowed}".lower(), rules)
    monkeypatch.setenv("KUBECONFIG", str(standin.write_kubeconfig(tmp_path / "kubeconfig", token)))
    cluster = await attach_pods("etcd", KubernetesOptions(namespace=NAMESPACE, statefulset="etcd"))
    store, ledger = IncidentStore(tmp_path / "operator.db"), Ledger()
    monitor = Monitor(cluster, ledger, store, lambda _event: None)
    try:
        await monitor.start()
        os.kill(standin.act("pid", namespace=NAMESPACE, pod="etcd-0"), signal.SIGSTOP)
        wanted = "probe_failed" if allowed else "exit"
        async with asyncio.timeout(BOUND_S):
            while not any(each.kind == wanted for each in monitor.signals):
                await asyncio.sleep(0.05)
        found = await RulesDiagnostician().examine(
            case_of(monitor.detections), cluster.observed, lambda: monitor.signals, ledger
        )
        async with asyncio.timeout(BOUND_S):
            while not await _answers(cluster):
                await asyncio.sleep(0.1)
    finally:
        await monitor.stop()
        await cluster.aclose()
        store.close()

    assert found.nodes == ("etcd-0",)
    assert found.kind is (Kind.RESTART if allowed else Kind.CRASH), found
    assert ("failed liveness probe" in found.root_cause) is allowed


async def _answers(cluster: Any) -> bool:
    try:
        return (await cluster.subject.observe()).leader is not None
    except SubjectError:
        return False
