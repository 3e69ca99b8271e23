"""What an API server fills in and refuses before it stores an object."""

import copy
import re
import uuid

from tests.standins.kubernetes_standin.kinds import BY_PLURAL, CHAOS, Kind, Object
from tests.standins.kubernetes_standin.store import ApiError, Store, conflict, now

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_BASELINE_CAPABILITIES = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}
"""Kubernetes' Pod Security Standards, baseline."""
_MUTABLE = {"image"}
RECORDS = "chaos-mesh/records"


def invalid(kind: Kind, name: str, field: str, why: str) -> ApiError:
    text = f'{kind.kind}{f".{kind.group}" if kind.group else ""} "{name}" is invalid: {field}: {why}'
    causes = [{"reason": "FieldValueInvalid", "message": why, "field": field}]
    return ApiError(422, "Invalid", text, {"name": name, "kind": kind.kind, "causes": causes})


def check_new(store: Store, kind: Kind, namespace: str, thing: Object) -> Object:
    """Return it with defaults. ApiError where it can't be."""
    made = copy.deepcopy(thing)
    meta = made.setdefault("metadata", {})
    if kind.namespaced:
        if meta.setdefault("namespace", namespace) != namespace:
            text = "the namespace of the provided object does not match the namespace sent on the request"
            raise ApiError(400, "BadRequest", text)
        where = store.get("namespaces", "", namespace)
        if where["status"]["phase"] == "Terminating":
            text = f'{kind.qualified} "{meta.get("name", "")}" is forbidden: unable to create new content in '
            raise ApiError(403, "Forbidden", f"{text}namespace {namespace} because it is being terminated")
    if not meta.get("name") and not meta.get("generateName"):
        raise invalid(kind, "", "metadata.name", "Required value: name or generateName is required")
    if meta.get("name") and not _NAME.match(meta["name"]):
        raise invalid(
            kind,
            meta["name"],
            "metadata.name",
            f'Invalid value: "{meta["name"]}": a lowercase RFC 1123 subdomain',
        )
    for name in ("uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp"):
        meta.pop(name, None)
    match kind.plural:
        case "namespaces":
            meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = meta["name"]
            made |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        case "pods":
            _pod_defaults(made["spec"])
            account = made["spec"]["serviceAccountName"]
            if store.find("serviceaccounts", namespace, account) is None:
                text = f'pods "{meta.get("name", "")}" is forbidden: error looking up service account '
                text += f'{namespace}/{account}: serviceaccount "{account}" not found'
                raise ApiError(403, "Forbidden", text, {"name": meta.get("name", ""), "kind": "pods"})
            _pod_security(store, namespace, made)
            made["status"] = {"phase": "Pending", "qosClass": _quality(made["spec"])}
        case "statefulsets":
            _set_defaults(made["spec"])
            made["status"] = {"replicas": 0, "availableReplicas": 0}
        case "services":
            made["spec"].setdefault("type", "ClusterIP")
            made["spec"].setdefault("clusterIP", f"10.96.{uuid.uuid4().int % 250}.{uuid.uuid4().int % 250}")
            made["status"] = {"loadBalancer": {}}
        case "persistentvolumeclaims":
            made["status"] = {"phase": "Pending"}
        case "poddisruptionbudgets":
            made["status"] = {}
    if kind in CHAOS:
        meta["finalizers"] = [RECORDS]
        made["status"] = {"experiment": {"desiredPhase": "Run"}}
    return made


def check_change(kind: Kind, before: Object, after: Object, subresource: str) -> Object:
    """Return what may be stored of a change. ApiError where something would change that can't."""
    old, new = before["metadata"], after["metadata"]
    if new.get("uid", old["uid"]) != old["uid"]:
        why = f'Invalid value: "{new["uid"]}": field is immutable'
        raise invalid(kind, old["name"], "metadata.uid", why)
    if new.get("resourceVersion") not in (None, "", old["resourceVersion"]):
        text = "the object has been modified; please apply your changes to the latest version and try again"
        raise conflict(kind, old["name"], text)
    for name in (
        "uid",
        "creationTimestamp",
        "namespace",
        "generation",
        "deletionTimestamp",
        "resourceVersion",
    ):
        new.pop(name, None)
        if name in old:
            new[name] = old[name]
    if subresource == "status":
        return {**before, "metadata": {**old}, "status": after.get("status", {})}
    if "status" in before and kind not in CHAOS:
        after["status"] = before["status"]
    if kind.plural == "pods" and _fixed(before, subresource) != _fixed(after, subresource):
        why = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
        raise invalid(kind, old["name"], "spec", why)
    return after


def _fixed(pod: Object, subresource: str) -> Object:
    """The part of a pod's spec that can't be changed that way."""
    spec: Object = copy.deepcopy(pod["spec"])
    for name in ("tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "nodeName"):
        spec.pop(name, None)
    if subresource == "ephemeralcontainers":
        spec.pop("ephemeralContainers", None)
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        for name in {"resources", "resizePolicy"} if subresource == "resize" else _MUTABLE:
            container.pop(name, None)
    return spec


def _pod_defaults(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        container.setdefault("imagePullPolicy", "IfNotPresent")
        resources = container.setdefault("resources", {})
        if "limits" in resources:
            resources["requests"] = resources["limits"] | resources.get("requests", {})
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            if probe in container:
                for name, value in (
                    ("periodSeconds", 10),
                    ("timeoutSeconds", 1),
                    ("failureThreshold", 3),
                    ("successThreshold", 1),
                ):
                    container[probe].setdefault(name, value)


def _set_defaults(spec: Object) -> None:
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    _pod_defaults(spec["template"]["spec"])


def _quality(spec: Object) -> str:
    resources = [each.get("resources") or {} for each in spec["containers"]]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    whole = all(
        each.get("limits") and each["limits"] == each.get("requests") and len(each["limits"]) > 1
        for each in resources
    )
    return "Guaranteed" if whole else "Burstable"


def _pod_security(store: Store, namespace: str, pod: Object) -> None:
    labels = store.get("namespaces", "", namespace)["metadata"].get("labels") or {}
    level = labels.get("pod-security.kubernetes.io/enforce", "privileged")
    if level == "privileged":
        return
    found = list(_violations(pod["spec"]))
    if level == "restricted":
        found += [
            f'allowPrivilegeEscalation != false (container "{each["name"]}" must set '
            "securityContext.allowPrivilegeEscalation=false)"
            for each in pod["spec"]["containers"]
            if (each.get("securityContext") or {}).get("allowPrivilegeEscalation") is not False
        ]
    if found:
        name = pod["metadata"].get("name", "")
        text = f'pods "{name}" is forbidden: violates PodSecurity "{level}:latest": {", ".join(found)}'
        raise ApiError(403, "Forbidden", text, {"name": name, "kind": "pods"})


def _violations(spec: Object) -> list[str]:
    found = [
        f"host namespaces ({name}=true)" for name in ("hostPID", "hostNetwork", "hostIPC") if spec.get(name)
    ]
    for each in spec["containers"]:
        context = each.get("securityContext") or {}
        if context.get("privileged"):
            found.append(
                f'privileged (container "{each["name"]}" must not set securityContext.privileged=true)'
            )
        added = set((context.get("capabilities") or {}).get("add") or []) - _BASELINE_CAPABILITIES
        if added:
            names = ", ".join(f'"{name}"' for name in sorted(added))
            found.append(
                f'non-default capabilities (container "{each["name"]}" must not include {names} in '
                "securityContext.capabilities.add)"
            )
    return found


def event(
    store: Store,
    about: Object,
    reason: str,
    message: str,
    type_: str = "Normal",
    source: str = "kubelet",
    field: str = "",
) -> None:
    """Write an event about an object, or count it once more."""
    meta = about["metadata"]
    namespace = meta.get("namespace") or "default"
    involved = {
        "kind": about["kind"],
        "namespace": namespace,
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": about["apiVersion"],
        "resourceVersion": meta["resourceVersion"],
    } | ({"fieldPath": field} if field else {})
    for each in store.list("events", namespace):
        if (
            each["involvedObject"]["uid"],
            each["involvedObject"].get("fieldPath", ""),
            each["reason"],
            each["message"],
        ) == (meta["uid"], field, reason, message):
            store.update(
                "events",
                namespace,
                each["metadata"]["name"],
                lambda e: e.update(count=e["count"] + 1, lastTimestamp=now()),
            )
            return
    where = store.find("namespaces", "", namespace)
    if where is None or where["status"]["phase"] == "Terminating":
        return
    store.create(
        "events",
        {
            "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "type": type_,
            "count": 1,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "eventTime": None,
            "source": {"component": source},
            "reportingComponent": source,
            "reportingInstance": "",
        },
    )


def check_resize(before: Object, after: Object) -> None:
    """Refuse what a resize can't do: take a limit off, as 1.34 does."""
    name = before["metadata"]["name"]
    for old, new in zip(before["spec"]["containers"], after["spec"]["containers"], strict=True):
        for part in ("limits", "requests"):
            gone = set(old["resources"].get(part) or {}) - set(new["resources"].get(part) or {})
            if gone:
                why = f"Forbidden: resource {part} cannot be removed"
                raise invalid(BY_PLURAL["pods"], name, f"spec.containers[0].resources.{part}", why)
    if _quality(before["spec"]) != _quality(after["spec"]):
        quality = _quality(before["spec"])
        why = f'Invalid value: "{quality}": Pod QOS Class may not change as a result of resizing'
        raise invalid(BY_PLURAL["pods"], name, "spec", why)
