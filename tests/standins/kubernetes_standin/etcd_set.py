"""An etcd as somebody makes it with kubectl: a headless service and a StatefulSet with volumes."""

import time
from pathlib import Path

from tests.standins.authority import Signed
from tests.standins.kubernetes_standin.handle import StandinCluster


def make_etcd(
    standin: StandinCluster,
    namespace: str,
    replicas: int = 3,
    certificate: Signed | None = None,
    authority: Path | None = None,
) -> None:
    """Make it, and wait until all its pods are ready.

    With a `certificate` it speaks TLS, and clients must show one of the same `authority`.
    """
    standin.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    scheme, options = "http", list[str]()
    probe: dict[str, object] = {"httpGet": {"path": "/health", "port": 2379}}
    if certificate is not None:
        scheme, probe = "https", {"tcpSocket": {"port": 2379}}
        options = [
            f"--cert-file={certificate.cert}",
            f"--key-file={certificate.key}",
            f"--trusted-ca-file={authority}",
            "--client-cert-auth",
        ]
    url = f"://$(POD).etcd.{namespace}.svc"
    members = ",".join(
        f"etcd-{each}=http://etcd-{each}.etcd.{namespace}.svc:2380" for each in range(replicas)
    )
    container = {
        "name": "etcd",
        "image": "quay.io/coreos/etcd:v3.5.21",
        "command": [
            "etcd",
            "--name=$(POD)",
            "--data-dir=/data/etcd",
            f"--listen-client-urls={scheme}://0.0.0.0:2379",
            f"--advertise-client-urls={scheme}{url}:2379",
            "--listen-peer-urls=http://0.0.0.0:2380",
            f"--initial-advertise-peer-urls=http{url}:2380",
            f"--initial-cluster={members}",
            *options,
        ],
        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [{"name": "client", "containerPort": 2379}, {"name": "peer", "containerPort": 2380}],
        "readinessProbe": {**probe, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    labels = {"app": "etcd"}
    service = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": labels}
    ports = [{"name": "client", "port": 2379}, {"name": "peer", "port": 2380}]
    spec = {
        "serviceName": "etcd",
        "replicas": replicas,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
    }
    meta = {"metadata": {"name": "etcd"}}
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
    standin.call("POST", f"{core}/services", {**meta, "spec": {**service, "ports": ports}})
    standin.call("POST", f"{apps}/statefulsets", {**meta, "spec": spec})
    deadline = time.monotonic() + 90
    while standin.call("GET", f"{apps}/statefulsets/etcd")["status"].get("readyReplicas") != replicas:
        assert time.monotonic() < deadline, standin.pods(namespace)
        time.sleep(0.1)
