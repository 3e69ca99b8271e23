"""What operator must be allowed to do: the least of it as roles, and held against the account."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from subjects.runtimes.kubernetes.api import Api, Json

NAME = "chaos-operator"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a role."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    optional: bool = False
    """Whether it can be done without."""


WATCH = (
    Rule("", "pods", ("list", "watch"), "which pods there are, and what becomes of them"),
    Rule("", "pods/log", ("get",), "what a member wrote before it ended"),
    Rule("", "pods/portforward", ("get", "create"), "to ask members where their addresses can't be reached"),
    Rule("apps", "statefulsets", ("get",), "which pods --statefulset means"),
    Rule("", "events", ("list",), "whether a member was restarted for its liveness probe", optional=True),
)
"""In the namespace that is watched. Nothing here changes anything."""

OWN_CLUSTER = (
    Rule("", "namespaces", ("get", "create", "delete"), "a namespace of its own, and its end"),
    Rule("storage.k8s.io", "storageclasses", ("list",), "whether volumes can be had"),
    Rule("apps", "deployments", ("list",), "whether Chaos Mesh runs, and which version", optional=True),
)
OWN = (
    Rule("", "configmaps", ("create",), "the scripts that run in its pods"),
    Rule("", "services", ("create",), "the members' names"),
    Rule("apps", "statefulsets", ("create",), "the members"),
    Rule("", "pods", ("get", "list", "watch", "create"), "the probe pod, and what becomes of all"),
    Rule("", "pods/log", ("get",), "what a member wrote before it ended"),
    Rule("", "pods/exec", ("get", "create"), "the agents in its pods: faults, and word of each process"),
    Rule("", "pods/resize", ("patch",), "cpu_starvation"),
    Rule(
        "chaos-mesh.org",
        "networkchaos",
        ("get", "list", "create", "delete", "patch"),
        "network_delay, network_rate and one-way partitions, where Chaos Mesh is installed",
        optional=True,
    ),
)
"""For a cluster of operator's own. Its namespace's name is not known beforehand: so a ClusterRole."""


def role(rules: Sequence[Rule], namespace: str | None) -> str:
    """Return the rules as a Role of a namespace, or as a ClusterRole."""
    metadata = {"name": NAME, **({"namespace": namespace} if namespace else {})}
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": metadata,
        "rules": [
            {"apiGroups": [each.group], "resources": [each.resource], "verbs": list(each.verbs)}
            for each in rules
        ],
    }
    return str(yaml.safe_dump(body, sort_keys=False, default_flow_style=None))


async def missing(
    api: Api, rules: Sequence[Rule], namespace: str | None
) -> list[tuple[Rule, tuple[str, ...]]]:
    """Return each rule with those of its verbs that the account may not use."""
    asked = [(rule, verb) for rule in rules for verb in rule.verbs]
    allowed = await asyncio.gather(*(_may(api, rule, verb, namespace) for rule, verb in asked))
    denied = [pair for pair, yes in zip(asked, allowed, strict=True) if not yes]
    return [(rule, tuple(verb for each, verb in denied if each is rule)) for rule in rules]


async def _may(api: Api, rule: Rule, verb: str, namespace: str | None) -> bool:
    resource, _, part = rule.resource.partition("/")
    attributes: Json = {"verb": verb, "group": rule.group, "resource": resource}
    if part:
        attributes["subresource"] = part
    if namespace:
        attributes["namespace"] = namespace
    answer = await api.call(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
    )
    with api.reading("SelfSubjectAccessReview", answer):
        return bool(answer["status"].get("allowed"))
