"""The controllers: scheduling, volume claims, EndpointSlices and the end of namespaces."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.standins.kubernetes_standin.admission import event
from tests.standins.kubernetes_standin.kinds import KINDS, Object, labels_of, matches
from tests.standins.kubernetes_standin.pod import conditions
from tests.standins.kubernetes_standin.removal import Removal, is_ready
from tests.standins.kubernetes_standin.statefulsets import StatefulSets
from tests.standins.kubernetes_standin.store import ApiError, Change, Store, now

REACTION_S = 0.05


@dataclass
class Controllers:
    """All of them: each change wakes those that it concerns."""

    store: Store
    removal: Removal
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _dirty: set[tuple[str, str, str]] = field(default_factory=set)

    async def run(self) -> None:
        """Work until cancelled."""
        self.store.listen(self._changed)
        while True:
            await self._woken.wait()
            await asyncio.sleep(REACTION_S)
            self._woken.clear()
            dirty, self._dirty = self._dirty, set()
            for plural, namespace, name in sorted(dirty):
                try:
                    self._settle(plural, namespace, name)
                except ApiError as error:
                    if (thing := self.store.find(plural, namespace, name)) is not None:
                        event(self.store, thing, "FailedCreate", str(error), "Warning", plural)

    def wake(self, plural: str, namespace: str, name: str) -> None:
        self._dirty.add((plural, namespace, name))
        self._woken.set()

    def _changed(self, change: Change) -> None:
        meta, plural = change.after["metadata"], change.kind.plural
        namespace = meta.get("namespace") or ""
        if plural in ("statefulsets", "services", "pods", "namespaces"):
            self.wake(plural, namespace, meta["name"])
        if plural == "pods":
            for owner in meta.get("ownerReferences") or []:
                if owner["kind"] == "StatefulSet":
                    self.wake("statefulsets", namespace, owner["name"])
            for service in self.store.list("services", namespace):
                if _selects(service, change.after):
                    self.wake("services", namespace, service["metadata"]["name"])
        if plural == "nodes":
            for pod in self.store.list("pods"):
                self.wake("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        where = self.store.find("namespaces", "", namespace)
        if change.type == "DELETED" and where is not None and where["status"]["phase"] == "Terminating":
            self.wake("namespaces", "", namespace)

    def _settle(self, plural: str, namespace: str, name: str) -> None:
        thing = self.store.find(plural, namespace, name)
        if thing is None:
            return
        settle: dict[str, Callable[[Object], None]] = {
            "statefulsets": StatefulSets(self.store, self.removal).settle,
            "pods": self._schedule,
            "services": self._settle_service,
            "namespaces": self._settle_namespace,
        }
        settle[plural](thing)

    def _schedule(self, pod: Object) -> None:
        meta = pod["metadata"]
        if pod["spec"].get("nodeName") or "deletionTimestamp" in meta:
            return
        for volume in pod["spec"].get("volumes") or []:
            self._bind(meta["namespace"], (volume.get("persistentVolumeClaim") or {}).get("claimName", ""))
        pods = self.store.list("pods")
        nodes = [each for each in self.store.list("nodes") if not each["spec"].get("unschedulable")]
        if not nodes:
            text = f"0/{len(self.store.list('nodes'))} nodes are available: node(s) were unschedulable."
            self._condition(pod, "PodScheduled", holds=False, reason="Unschedulable", message=text)
            event(self.store, pod, "FailedScheduling", text, "Warning", "default-scheduler")
            return

        def load(node: Object) -> int:
            return sum(each["spec"].get("nodeName") == node["metadata"]["name"] for each in pods)

        chosen = min(nodes, key=load)["metadata"]["name"]
        self.store.update(
            "pods", meta["namespace"], meta["name"], lambda each: each["spec"].update(nodeName=chosen)
        )
        self._condition(pod, "PodScheduled", holds=True)
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {chosen}"
        event(self.store, pod, "Scheduled", text, source="default-scheduler")

    def _condition(self, pod: Object, name: str, *, holds: bool, reason: str = "", message: str = "") -> None:
        def change(each: Object) -> None:
            before = each["status"].get("conditions") or []
            each["status"]["conditions"] = conditions(before, {name: (holds, reason, message)})

        self.store.update("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], change)

    def _bind(self, namespace: str, claim: str) -> None:
        def bind(thing: Object) -> None:
            thing["spec"].setdefault("volumeName", f"pvc-{thing['metadata']['uid']}")
            thing["status"] = {"phase": "Bound", "accessModes": thing["spec"].get("accessModes", [])}

        if claim:
            self.store.update("persistentvolumeclaims", namespace, claim, bind)

    def _settle_service(self, service: Object) -> None:
        meta = service["metadata"]
        pods = [pod for pod in self.store.list("pods", meta["namespace"]) if _selects(service, pod)]
        endpoints = [_endpoint(service, pod) for pod in pods if (pod.get("status") or {}).get("podIP")]
        name = f"{meta['name']}-{meta['uid'][:5]}"
        ports = [
            {"name": each.get("name", ""), "port": each["port"], "protocol": "TCP"}
            for each in service["spec"].get("ports") or []
        ]
        if self.store.find("endpointslices", meta["namespace"], name) is None:
            labels = {"kubernetes.io/service-name": meta["name"]}
            owner = {"apiVersion": "v1", "kind": "Service", "name": meta["name"], "uid": meta["uid"]}
            self.store.create(
                "endpointslices",
                {
                    "metadata": {
                        "name": name,
                        "namespace": meta["namespace"],
                        "labels": labels,
                        "ownerReferences": [owner],
                    },
                    "addressType": "IPv4",
                    "endpoints": endpoints,
                    "ports": ports,
                },
            )
            return
        self.store.update(
            "endpointslices",
            meta["namespace"],
            name,
            lambda each: each.update(endpoints=endpoints, ports=ports),
        )

    def _settle_namespace(self, thing: Object) -> None:
        """Empty a namespace that is to go, and let it go once it is empty."""
        name = thing["metadata"]["name"]
        if "deletionTimestamp" not in thing["metadata"]:
            if self.store.find("serviceaccounts", name, "default") is None:
                self.store.create("serviceaccounts", {"metadata": {"name": "default", "namespace": name}})
            return
        left = 0
        for kind in KINDS:
            for each in self.store.list(kind.plural, name) if kind.namespaced else []:
                left += 1
                if "deletionTimestamp" not in each["metadata"]:
                    self.removal.delete(kind, name, each["metadata"]["name"], {})
        if not left:
            self.store.remove("namespaces", "", name)
        elif not any(self.store.list(kind.plural, name) for kind in KINDS if kind.namespaced):
            self.wake("namespaces", "", name)


def furnish(store: Store, count: int, address: str) -> None:
    """Make what every cluster has: nodes, the first namespaces, a default storage class."""
    for name in ("default", "kube-system"):
        phase = {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        store.create("namespaces", {"metadata": {"name": name}, **phase})
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    storage = {"metadata": {"name": "standard", "annotations": default}, "provisioner": "standin"}
    store.create("storageclasses", storage)
    for each in range(count):
        name = f"node{each}"
        healthy = {"Ready": (True, "KubeletReady", "kubelet is posting ready status")}
        made = store.create(
            "nodes", {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "spec": {}}
        )
        status = {
            "conditions": conditions([], healthy),
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "capacity": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "nodeInfo": {
                "kubeletVersion": "v1.34.4-standin",
                "kernelVersion": "",
                "operatingSystem": "linux",
            },
        }
        store.update("nodes", "", made["metadata"]["name"], partial(_describe, status))


def _describe(status: Object, node: Object) -> None:
    node["status"] = status


def cordon(store: Store, node: str, *, off: bool = False) -> None:
    """Let nothing more be scheduled there."""
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": now()}
    spec = {} if off else {"unschedulable": True, "taints": [taint]}
    changed = store.update("nodes", "", node, lambda each: each.update(spec=spec))
    if changed is not None:
        event(
            store,
            changed,
            "NodeSchedulable" if off else "NodeNotSchedulable",
            f"Node {node} status is now so",
        )


def _selects(service: Object, pod: Object) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and matches({"matchLabels": selector}, labels_of(pod))


def _endpoint(service: Object, pod: Object) -> Object:
    meta, leaving = pod["metadata"], "deletionTimestamp" in pod["metadata"]
    ready = is_ready(pod)
    unready_too = bool(service["spec"].get("publishNotReadyAddresses"))
    endpoint = {
        "addresses": [pod["status"]["podIP"]],
        "nodeName": pod["spec"].get("nodeName"),
        "conditions": {
            "ready": unready_too or (ready and not leaving),
            "serving": ready,
            "terminating": leaving,
        },
        "targetRef": {
            "kind": "Pod",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
    }
    if pod["spec"].get("hostname") and pod["spec"].get("subdomain") == service["metadata"]["name"]:
        endpoint["hostname"] = pod["spec"]["hostname"]
    return endpoint
