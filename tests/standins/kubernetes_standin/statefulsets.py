"""The controller of StatefulSets: makes their pods, replaces and removes them, one after the other."""

import copy
import hashlib
import json
from dataclasses import dataclass

from tests.standins.kubernetes_standin.admission import check_new, event
from tests.standins.kubernetes_standin.kinds import BY_PLURAL, Object, labels_of
from tests.standins.kubernetes_standin.removal import Removal, is_ready
from tests.standins.kubernetes_standin.store import Store

REVISION = "controller-revision-hash"


@dataclass
class StatefulSets:
    """Brings each set nearer to what it should be."""

    store: Store
    removal: Removal

    def settle(self, thing: Object) -> None:
        meta, spec = thing["metadata"], thing["spec"]
        if "deletionTimestamp" in meta:
            return
        namespace, revision = meta["namespace"], _revision(thing)
        first = (spec.get("ordinals") or {}).get("start", 0)
        wanted = [f"{meta['name']}-{first + each}" for each in range(spec["replicas"])]
        pods = {name: self.store.find("pods", namespace, name) for name in wanted}
        ordered = spec["podManagementPolicy"] == "OrderedReady"
        for name, pod in pods.items():
            if pod is None:
                self._make_pod(thing, name, revision)
            elif (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
                self._remove_pod(pod)
            if ordered and (pod is None or not is_ready(pod)):
                break
        extra = [each for each in self._pods_of(thing) if each["metadata"]["name"] not in pods]
        for pod in sorted(extra, key=_ordinal, reverse=True):
            if "deletionTimestamp" not in pod["metadata"]:
                self._remove_pod(pod)
                self._say(thing, "SuccessfulDelete", "delete", pod)
            if ordered:
                break
        self._roll(thing, revision)
        self._tell_set(thing, revision)

    def _roll(self, thing: Object, revision: str) -> None:
        """Replace pods of an older template, from the last, one at a time."""
        strategy = thing["spec"]["updateStrategy"]
        if strategy["type"] != "RollingUpdate":
            return
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        for pod in sorted(self._pods_of(thing), key=_ordinal, reverse=True):
            if _ordinal(pod) < partition:
                return
            if labels_of(pod).get(REVISION) != revision:
                if "deletionTimestamp" not in pod["metadata"]:
                    self._remove_pod(pod)
                    self._say(thing, "SuccessfulDelete", "delete", pod)
                return
            if not is_ready(pod):
                return

    def _remove_pod(self, pod: Object) -> None:
        meta = pod["metadata"]
        self.removal.delete(BY_PLURAL["pods"], meta["namespace"], meta["name"], {})

    def _pods_of(self, thing: Object) -> list[Object]:
        uid = thing["metadata"]["uid"]
        return [
            pod
            for pod in self.store.list("pods", thing["metadata"]["namespace"])
            if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or [])
        ]

    def _make_pod(self, thing: Object, name: str, revision: str) -> None:
        meta, spec = thing["metadata"], thing["spec"]
        template = copy.deepcopy(spec["template"])
        pod_spec = template["spec"] | {"hostname": name, "subdomain": spec.get("serviceName", "")}
        volumes = pod_spec.setdefault("volumes", [])
        for claim in spec.get("volumeClaimTemplates") or []:
            claimed = f"{claim['metadata']['name']}-{name}"
            volumes.append(
                {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": claimed}}
            )
            if self.store.find("persistentvolumeclaims", meta["namespace"], claimed) is None:
                made = copy.deepcopy(claim) | {
                    "metadata": {"name": claimed, "namespace": meta["namespace"], "labels": labels_of(thing)}
                }
                kind = BY_PLURAL["persistentvolumeclaims"]
                self.store.create(kind.plural, check_new(self.store, kind, meta["namespace"], made))
        labels = labels_of(template) if "metadata" in template else {}
        pod = {
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": labels
                | {
                    REVISION: revision,
                    "statefulset.kubernetes.io/pod-name": name,
                    "apps.kubernetes.io/pod-index": name.rpartition("-")[2],
                },
                "annotations": (template.get("metadata") or {}).get("annotations") or {},
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "kind": "StatefulSet",
                        "name": meta["name"],
                        "uid": meta["uid"],
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
            "spec": pod_spec,
        }
        made = self.store.create("pods", check_new(self.store, BY_PLURAL["pods"], meta["namespace"], pod))
        self._say(thing, "SuccessfulCreate", "create", made)

    def _tell_set(self, thing: Object, revision: str) -> None:
        pods = self._pods_of(thing)
        updated = [pod for pod in pods if labels_of(pod).get(REVISION) == revision]
        ready = sum(is_ready(pod) for pod in pods)
        current = (thing.get("status") or {}).get("currentRevision") or revision
        if len(updated) == thing["spec"]["replicas"]:
            current = revision
        status = {
            "observedGeneration": thing["metadata"]["generation"],
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": len(pods) - len(updated) * (current != revision),
            "updatedReplicas": len(updated),
            "currentRevision": current,
            "updateRevision": revision,
            "collisionCount": 0,
        }
        meta = thing["metadata"]
        self.store.update(
            "statefulsets", meta["namespace"], meta["name"], lambda each: each.update(status=status)
        )

    def _say(self, thing: Object, reason: str, what: str, pod: Object) -> None:
        name = pod["metadata"]["name"]
        text = f"{what} Pod {name} in StatefulSet {thing['metadata']['name']} successful"
        event(self.store, thing, reason, text, source="statefulset-controller")


def _revision(thing: Object) -> str:
    text = json.dumps(thing["spec"]["template"], sort_keys=True)
    return f"{thing['metadata']['name']}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])
