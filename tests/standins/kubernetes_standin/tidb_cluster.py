"""PD and TiKV as TiDB Operator v1 makes them, without it: two StatefulSets with their headless services.

What runs in the pods are stand-ins, too.
"""

import time

from tests.standins.kubernetes_standin.handle import StandinCluster

SPEED = "2"
"""How many times faster than PD's and TiKV's the stand-ins' thresholds are."""


def make_tidb_cluster(standin: StandinCluster, namespace: str, name: str, replicas: int = 3) -> None:
    """Make the PDs, and the stores once a PD leads; wait until all their pods are ready."""
    standin.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    domain = {kind: f"{name}-{kind}-peer.{namespace}.svc" for kind in ("pd", "tikv")}
    pds = {f"{name}-pd-{each}": f"http://{name}-pd-{each}.{domain['pd']}" for each in range(replicas)}
    pd = [
        "pd-server",
        "--name=$(POD_NAME)",
        "--data-dir=/var/lib/pd",
        "--client-urls=http://0.0.0.0:2379",
        f"--advertise-client-urls=http://$(POD_NAME).{domain['pd']}:2379",
        "--peer-urls=http://0.0.0.0:2380",
        f"--initial-cluster={','.join(f'{each}={url}:2380' for each, url in pds.items())}",
    ]
    tikv = [
        "tikv-server",
        f"--pd-endpoints={','.join(f'{url}:2379' for url in pds.values())}",
        f"--advertise-addr=$(POD_NAME).{domain['tikv']}:20160",
        "--addr=0.0.0.0:20160",
        "--status-addr=0.0.0.0:20180",
        "--data-dir=/var/lib/tikv",
    ]
    _make(standin, namespace, name, "pd", pd, {"server": 2380, "client": 2379}, replicas)
    _make(standin, namespace, name, "tikv", tikv, {"server": 20160}, replicas)


def _make(
    standin: StandinCluster,
    namespace: str,
    cluster: str,
    component: str,
    command: list[str],
    ports: dict[str, int],
    replicas: int,
) -> None:
    http = ports.get("client", 20180)
    labels = {
        "app.kubernetes.io/name": "tidb-cluster",
        "app.kubernetes.io/managed-by": "tidb-operator",
        "app.kubernetes.io/instance": cluster,
        "app.kubernetes.io/component": component,
    }
    container = {
        "name": component,
        "image": f"pingcap/{component}:v8.5.5",
        "command": command,
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "STANDIN_SPEED", "value": SPEED},
        ],
        "ports": [{"name": key, "containerPort": value} for key, value in ports.items()],
        "readinessProbe": {
            "httpGet": {"path": "/pd/api/v1/leader" if component == "pd" else "/status", "port": http},
            "periodSeconds": 1,
        },
        "volumeMounts": [{"name": component, "mountPath": f"/var/lib/{component}"}],
    }
    peers = f"{cluster}-{component}-peer"
    service = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": labels}
    spec = {
        "serviceName": peers,
        "replicas": replicas,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        "volumeClaimTemplates": [
            {"metadata": {"name": component}, "spec": {"accessModes": ["ReadWriteOnce"]}}
        ],
    }
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
    open_ports = [{"name": key, "port": value} for key, value in ports.items()]
    standin.call(
        "POST", f"{core}/services", {"metadata": {"name": peers}, "spec": {**service, "ports": open_ports}}
    )
    standin.call(
        "POST", f"{apps}/statefulsets", {"metadata": {"name": f"{cluster}-{component}"}, "spec": spec}
    )
    deadline = time.monotonic() + 90
    name = f"{apps}/statefulsets/{cluster}-{component}"
    while standin.call("GET", name)["status"].get("readyReplicas") != replicas:
        assert time.monotonic() < deadline, standin.pods(namespace)
        time.sleep(0.1)
