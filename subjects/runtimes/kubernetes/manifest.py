"""What a cluster of ours consists of, as it is given to the API server.

Namespace     everything is in it, and goes with it
ConfigMap     the scripts that run in the pods
Services      headless: the members' names
StatefulSets  the members, a set for each program; beside each the agent, in the same process namespace
Pod `probe`   a place in the cluster's network that is no member: what clients see
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from subjects.runtimes.kubernetes.api import Json
from subjects.runtimes.kubernetes.pod_status import BLOCKS
from subjects.runtimes.kubernetes.session import AGENT, SCRIPTS

MANAGED = {"app.kubernetes.io/managed-by": "chaos-operator"}
FOLDER = "/operator"
"""Where a member and its agent share a folder: what was done, so that it is undone."""
DATA = "/data"
PROBE = "probe"
_SCRIPTS = ("pod_run.sh", "pod_guard.sh", "pod_acts.sh", "pod_agent.sh")
GRACE_S = 3
"""Between SIGTERM and SIGKILL when a pod is taken down: the data goes with it."""
CPU_LIMIT = "1"
"""A limit that is not there can't be lowered and put back."""


@dataclass(frozen=True, slots=True)
class Database:
    """The container that a program of a database runs in: etcd, or one of PD and TiKV."""

    name: str
    image: str
    helper: str
    """An image with a shell, `nc`, `ip` and a busybox that needs no libraries, at PATH."""
    replicas: int
    argv: tuple[str, ...]
    """The program and its arguments; `$(POD_NAME)`, `$(POD_IP)` and `$(NAMESPACE)` are the pod's own."""
    ports: Mapping[str, int]
    ready: tuple[str, int]
    """The path and the port that answer 200 while it is ready."""
    memory: str
    config: Mapping[str, str] = field(default_factory=dict)
    """Files by name, in the folder SCRIPTS."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The pods' names."""
        return tuple(f"{self.name}-{number}" for number in range(self.replicas))


def namespace(name: str) -> Json:
    """Return the namespace; NET_ADMIN is refused below the level `privileged`."""
    labels = {**MANAGED, "pod-security.kubernetes.io/enforce": "privileged"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def objects(databases: Sequence[Database], *, storage: bool, cut: bool) -> list[tuple[str, Json]]:
    """Return what is made in the namespace, each with the path below it, in order.

    `storage`: volumes are claimed from the default storage class; else they end with their pods.
    """
    data = {name: _script(name) for name in _SCRIPTS}
    for database in databases:
        data |= database.config
    helper = databases[0].helper
    return [
        ("/api/v1/{}/configmaps", _object("v1", "ConfigMap", "operator", MANAGED, data=data)),
        *(made for database in databases for made in _set_of(database, storage=storage, cut=cut)),
        ("/api/v1/{}/pods", _object("v1", "Pod", PROBE, MANAGED, spec=_probe_spec(helper))),
    ]


def _set_of(database: Database, *, storage: bool, cut: bool) -> list[tuple[str, Json]]:
    """Return a StatefulSet, and the service before it that gives its pods their names."""
    labels = {"app": database.name, **MANAGED}
    ports = [{"name": name, "port": port} for name, port in database.ports.items()]
    stateful: Json = {
        "serviceName": database.name,
        "replicas": database.replicas,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": database.name}},
        "template": {"metadata": {"labels": labels}, "spec": member_spec(database, cut=cut, storage=storage)},
    }
    if storage:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        stateful["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    headless = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"app": database.name},
        "ports": ports,
    }
    return [
        ("/api/v1/{}/services", _object("v1", "Service", database.name, labels, spec=headless)),
        (
            "/apis/apps/v1/{}/statefulsets",
            _object("apps/v1", "StatefulSet", database.name, labels, spec=stateful),
        ),
    ]


def trial_pod(database: Database, *, cut: bool) -> Json:
    """Return a member as a pod by itself: what an admission controller says of it shows in a dry run."""
    spec = member_spec(database, cut=cut, storage=False)
    return _object("v1", "Pod", f"{database.name}-trial", MANAGED, spec=spec)


def member_spec(database: Database, *, cut: bool, storage: bool) -> Json:
    """Return the pod of one member."""
    shared = [
        {"name": "operator", "mountPath": FOLDER},
        {"name": "scripts", "mountPath": SCRIPTS, "readOnly": True},
    ]
    env = [
        _field("POD_NAME", "metadata.name"),
        _field("POD_UID", "metadata.uid"),
        _field("POD_IP", "status.podIP"),
        _field("NAMESPACE", "metadata.namespace"),
        {"name": "OPERATOR_DIR", "value": FOLDER},
        {"name": "OPERATOR_SCRIPTS", "value": SCRIPTS},
    ]
    member = {
        "name": database.name,
        "image": database.image,
        "command": [f"{FOLDER}/busybox", "sh", f"{SCRIPTS}/pod_run.sh", *database.argv],
        "env": env,
        "ports": [{"name": name, "containerPort": port} for name, port in database.ports.items()],
        "volumeMounts": [*shared, {"name": "data", "mountPath": DATA}],
        "readinessProbe": {
            "httpGet": dict(zip(("path", "port"), database.ready, strict=True)),
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "failureThreshold": 3,
        },
        "resources": {
            "requests": {"cpu": "5m", "memory": "64Mi"},
            "limits": {"cpu": CPU_LIMIT, "memory": database.memory},
        },
    }
    agent = {
        "name": AGENT,
        "image": database.helper,
        "command": ["sh", f"{SCRIPTS}/pod_guard.sh"],
        "env": env,
        "volumeMounts": shared,
        "securityContext": {
            "runAsUser": 0,
            **({"capabilities": {"add": ["NET_ADMIN"]}} if cut else {}),
        },
        "resources": {
            "requests": {"cpu": "5m", "memory": "16Mi"},
            "limits": {"memory": "64Mi"},
        },
    }
    tools = {
        "name": "tools",
        "image": database.helper,
        "command": ["sh", "-c", _COPY_BUSYBOX],
        "env": env,
        "volumeMounts": shared,
    }
    volumes: list[Json] = [
        {"name": "operator", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": "scripts", "configMap": {"name": "operator"}},
    ]
    if not storage:
        volumes.append({"name": "data", "emptyDir": {}})
    return {
        **_POD,
        "shareProcessNamespace": True,
        "initContainers": [tools],
        "containers": [member, agent],
        "volumes": volumes,
    }


_COPY_BUSYBOX = """
for at in /bin/busybox "$(which busybox)"; do
	[ ! -f "$at" ] || exec cp "$at" "$OPERATOR_DIR/busybox"
done
echo 'there is no busybox in this image' >&2
exit 1
"""
_POD: Json = {
    "terminationGracePeriodSeconds": GRACE_S,
    "enableServiceLinks": False,
    "automountServiceAccountToken": False,
}


def _probe_spec(image: str) -> Json:
    idle = "trap 'exit 0' TERM; while :; do sleep 1; done"
    container = {
        "name": PROBE,
        "image": image,
        "command": ["sh", "-c", idle],
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
    }
    return {**_POD, "containers": [container]}


def _object(version: str, kind: str, name: str, labels: Mapping[str, str], **parts: object) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": dict(labels)}, **parts}


def _field(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _script(name: str) -> str:
    return files("subjects.runtimes.kubernetes").joinpath(name).read_text(encoding="utf-8")


def start_problems(pods: Sequence[Json]) -> str:
    """Say what keeps pods from starting, an image that can't be had above all; empty while nothing does."""
    for pod in pods:
        status = pod.get("status") or {}
        for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            waiting = (each.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in BLOCKS:
                said = " ".join(str(waiting.get("message", "")).split())[:300]
                name, image = pod["metadata"]["name"], "Image" in waiting["reason"]
                if image:
                    return f"the image {each['image']} of the pod {name} cannot be had: {said}"
                return f"the pod {name} cannot be started: {said}"
            ended = (each.get("lastState") or {}).get("terminated") or {}
            if waiting.get("reason") == "CrashLoopBackOff" and each.get("restartCount", 0) > 1:
                return (
                    f"the container {each['name']} of the pod {pod['metadata']['name']} ends again and again "
                    f"(exit status {ended.get('exitCode')}): `kubectl logs -n {pod['metadata']['namespace']} "
                    f"{pod['metadata']['name']} -c {each['name']}` says why"
                )
    return ""
