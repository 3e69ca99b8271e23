"""The kinds of objects that it knows, and how they are selected."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind, as discovery tells of it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


CHAOS = tuple(
    Kind("chaos-mesh.org", "v1alpha1", name.lower(), name)
    for name in ("PodChaos", "NetworkChaos", "IOChaos", "StressChaos", "TimeChaos")
)
KINDS = (
    Kind("", "v1", "namespaces", "Namespace", False, ("finalize", "status")),
    Kind("", "v1", "nodes", "Node", False, ("status",)),
    Kind("", "v1", "persistentvolumes", "PersistentVolume", False, ("status",)),
    Kind(
        "",
        "v1",
        "pods",
        "Pod",
        True,
        (
            "attach",
            "binding",
            "ephemeralcontainers",
            "eviction",
            "exec",
            "log",
            "portforward",
            "proxy",
            "resize",
            "status",
        ),
    ),
    Kind("", "v1", "services", "Service", True, ("proxy", "status")),
    Kind("", "v1", "endpoints", "Endpoints"),
    Kind("", "v1", "events", "Event"),
    Kind("", "v1", "configmaps", "ConfigMap"),
    Kind("", "v1", "secrets", "Secret"),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", True, ("token",)),
    Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, ("status",)),
    Kind("apps", "v1", "statefulsets", "StatefulSet", True, ("scale", "status")),
    Kind("apps", "v1", "controllerrevisions", "ControllerRevision"),
    Kind("apps", "v1", "deployments", "Deployment", True, ("scale", "status")),
    Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, ("status",)),
    Kind("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    Kind("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False),
    Kind("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False),
    Kind("storage.k8s.io", "v1", "storageclasses", "StorageClass", False),
    Kind(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        False,
        ("status",),
    ),
    Kind("pingcap.com", "v1alpha1", "tidbclusters", "TidbCluster"),
    *CHAOS,
)
BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
BY_PLURAL = {kind.plural: kind for kind in KINDS}


def labels_of(thing: Object) -> dict[str, str]:
    return thing["metadata"].get("labels") or {}


def matches(selector: Object | None, labels: dict[str, str]) -> bool:
    """Whether a LabelSelector selects."""
    wanted = (selector or {}).get("matchLabels") or {}
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        _expression(labels.get(each["key"]), each["operator"], each.get("values") or [])
        for each in (selector or {}).get("matchExpressions") or []
    )


def _expression(value: str | None, operator: str, values: list[str]) -> bool:
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
    return value is None


_SET = re.compile(r"\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*$")


def label_selector(text: str) -> Callable[[Object], bool]:
    """Read the `labelSelector` of a query."""
    terms = [_term(part) for part in re.split(r",(?![^(]*\))", text)] if text else []
    return lambda thing: all(term(labels_of(thing)) for term in terms)


def _term(part: str) -> Callable[[dict[str, str]], bool]:
    if found := _SET.match(part):
        name, wanted, values = found[1], found[2] == "in", [each.strip() for each in found[3].split(",")]
        return lambda labels: (labels.get(name) in values) == wanted
    if "!=" in part:
        name, value = (each.strip() for each in part.split("!=", 1))
        return lambda labels: labels.get(name) != value
    if "=" in part:
        name, value = (each.strip() for each in part.replace("==", "=").split("=", 1))
        return lambda labels: labels.get(name) == value
    if (name := part.strip().removeprefix("!")) != part.strip():
        return lambda labels: name not in labels
    return lambda labels: name in labels


def field_selector(text: str) -> Callable[[Object], bool]:
    """Read the `fieldSelector` of a query: paths compared with what is there."""
    terms = []
    for part in text.split(",") if text else []:
        name, equal, value = re.split(r"(!=|==|=)", part, maxsplit=1)
        terms.append((name.strip().split("."), equal != "!=", value.strip()))

    def selects(thing: Object) -> bool:
        return all((_at(thing, path) == value) == wanted for path, wanted, value in terms)

    return selects


def _at(thing: Any, path: list[str]) -> str:
    for name in path:
        thing = thing.get(name) if isinstance(thing, dict) else None
    return "" if thing is None else str(thing)
