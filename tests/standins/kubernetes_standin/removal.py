"""How objects go: preconditions, grace, finalizers, evictions, and what they own."""

import asyncio
from dataclasses import dataclass

from tests.standins.kubernetes_standin.kinds import BY_PLURAL, Kind, Object, labels_of, matches
from tests.standins.kubernetes_standin.store import ApiError, Change, Store, conflict, now

AT_ONCE_S = 0.03
"""Between the mark and the end of a pod that is deleted with no grace."""


@dataclass
class Removal:
    """Deletes."""

    store: Store

    def start(self) -> None:
        """Collect what is owned by what is gone, as the garbage collector does."""
        self.store.listen(self._collect)

    def delete(
        self, kind: Kind, namespace: str, name: str, options: Object, *, dry_run: bool = False
    ) -> Object:
        """Delete, or begin to; returns the object, or a Status where it is gone at once."""
        thing = self.store.get(kind.plural, namespace, name)
        self._preconditions(kind, thing, options.get("preconditions") or {})
        if dry_run:
            return thing
        if options.get("propagationPolicy") == "Orphan":
            self._orphan(thing)
        if kind.plural == "pods":
            return self._delete_pod(thing, options.get("gracePeriodSeconds"))
        if kind.plural == "namespaces" or thing["metadata"].get("finalizers"):
            marked = self.store.update(kind.plural, namespace, name, lambda t: self._mark(kind, t))
            return marked or thing
        self.store.remove(kind.plural, namespace, name)
        details = {"name": name, "kind": kind.plural, "uid": thing["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _preconditions(self, kind: Kind, thing: Object, wanted: Object) -> None:
        for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            have = thing["metadata"][field]
            if wanted.get(field, have) != have:
                text = (
                    f"the {word} in the precondition ({wanted[field]}) does not match the {word} in record "
                )
                text += f"({have}). The object might have been deleted and then recreated"
                raise conflict(kind, thing["metadata"]["name"], text, kind.kind)

    def _delete_pod(self, pod: Object, grace: int | None) -> Object:
        spec_grace = pod["spec"]["terminationGracePeriodSeconds"]
        wanted = spec_grace if grace is None else grace
        present = pod["metadata"].get("deletionGracePeriodSeconds")
        if present is not None:
            wanted = min(wanted, present)
        if not pod["spec"].get("nodeName"):
            wanted = 0
        if wanted == 0:
            asyncio.get_running_loop().call_later(AT_ONCE_S, self._remove, pod)

        def mark(thing: Object) -> None:
            thing["metadata"].setdefault("deletionTimestamp", now())
            thing["metadata"]["deletionGracePeriodSeconds"] = wanted

        meta = pod["metadata"]
        return self.store.update("pods", meta["namespace"], meta["name"], mark) or pod

    def _remove(self, pod: Object) -> None:
        meta = pod["metadata"]
        present = self.store.find("pods", meta["namespace"], meta["name"])
        if present is not None and present["metadata"]["uid"] == meta["uid"]:
            self.store.remove("pods", meta["namespace"], meta["name"])

    def _mark(self, kind: Kind, thing: Object) -> None:
        thing["metadata"].setdefault("deletionTimestamp", now())
        if kind.plural == "namespaces":
            thing["status"] = {"phase": "Terminating"}

    def evict(self, namespace: str, name: str, body: Object, *, dry_run: bool = False) -> Object:
        """Delete a pod unless a disruption budget is against it."""
        pod = self.store.get("pods", namespace, name)
        for budget in self.store.list("poddisruptionbudgets", namespace):
            if matches(budget["spec"].get("selector"), labels_of(pod)) and not self._affords(budget, pod):
                raise ApiError(
                    429,
                    "TooManyRequests",
                    "Cannot evict pod as it would violate the pod's disruption budget.",
                    {"causes": [{"reason": "DisruptionBudget", "message": budget["metadata"]["name"]}]},
                )
        if not dry_run:

            def disrupt(thing: Object) -> None:
                conditions = thing["status"].setdefault("conditions", [])
                conditions[:] = [each for each in conditions if each["type"] != "DisruptionTarget"]
                conditions.append(
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "EvictionByEvictionAPI",
                        "message": "Eviction API: evicting",
                        "lastProbeTime": None,
                        "lastTransitionTime": now(),
                    }
                )

            self.store.update("pods", namespace, name, disrupt)
            self.delete(BY_PLURAL["pods"], namespace, name, body.get("deleteOptions") or {})
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def _affords(self, budget: Object, pod: Object) -> bool:
        selected = [
            each
            for each in self.store.list("pods", pod["metadata"]["namespace"])
            if matches(budget["spec"].get("selector"), labels_of(each))
        ]
        healthy = [
            each for each in selected if is_ready(each) and "deletionTimestamp" not in each["metadata"]
        ]
        if "maxUnavailable" in budget["spec"]:
            least = len(selected) - int(budget["spec"]["maxUnavailable"])
        else:
            least = int(budget["spec"].get("minAvailable", 1))
        return len(healthy) - (pod in healthy) >= least

    def _orphan(self, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        for plural, each in list(self.store.owned(uid)):
            where, name = each["metadata"].get("namespace") or "", each["metadata"]["name"]

            def disown(thing: Object) -> None:
                owners = thing["metadata"]["ownerReferences"]
                thing["metadata"]["ownerReferences"] = [one for one in owners if one["uid"] != uid]

            self.store.update(plural, where, name, disown)

    def _collect(self, change: Change) -> None:
        if change.type != "DELETED":
            return
        for plural, each in list(self.store.owned(change.after["metadata"]["uid"])):
            where, name = each["metadata"].get("namespace") or "", each["metadata"]["name"]
            self.delete(BY_PLURAL[plural], where, name, {})


def is_ready(pod: Object) -> bool:
    return any(
        each["type"] == "Ready" and each["status"] == "True"
        for each in (pod.get("status") or {}).get("conditions") or []
    )
