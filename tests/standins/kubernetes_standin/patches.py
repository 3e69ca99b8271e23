"""The patches that an API server takes: JSON patch, merge patch, and strategic merge patch."""

import copy
from typing import Any

from tests.standins.kubernetes_standin.kinds import Object
from tests.standins.kubernetes_standin.store import ApiError

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "conditions": "type",
    "ownerReferences": "uid",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "taints": "key",
}
"""By which field lists of objects are merged (`patchMergeKey` in the API's types)."""


def apply(content_type: str, before: Object, patch: Any) -> Object:
    """Return what the patch makes of it."""
    after = copy.deepcopy(before)
    if content_type == "application/json-patch+json":
        if not isinstance(patch, list):
            raise ApiError(
                400, "BadRequest", "json: cannot unmarshal object into Go value of type jsonpatch.Patch"
            )
        for step in patch:
            _step(after, step)
        return after
    if not isinstance(patch, dict):
        raise ApiError(400, "BadRequest", "json: cannot unmarshal array into Go value of type map")
    match content_type:
        case "application/merge-patch+json":
            merged: Object = _merge(after, patch)
            return merged
        case "application/strategic-merge-patch+json" | "application/apply-patch+yaml":
            return _strategic(after, patch)
    raise ApiError(
        415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {content_type}"
    )


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = target if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged


def _strategic(target: Any, patch: Object) -> Object:
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    merged: Object = target if isinstance(target, dict) else {}
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _strategic(merged.get(name), value)
        elif isinstance(value, list) and name == "finalizers":
            merged[name] = [*dict.fromkeys([*merged.get(name, []), *value])]
        elif isinstance(value, list) and name in MERGE_KEYS and all(isinstance(each, dict) for each in value):
            merged[name] = _by_key(merged.get(name) or [], value, MERGE_KEYS[name])
        else:
            merged[name] = copy.deepcopy(value)
    return merged


def _by_key(present: list[Object], patch: list[Object], key: str) -> list[Object]:
    if {"$patch": "replace"} in patch:
        return [each for each in patch if "$patch" not in each]
    merged = {each.get(key): each for each in present}
    for each in patch:
        if each.get("$patch") == "delete":
            merged.pop(each.get(key), None)
        else:
            merged[each.get(key)] = _strategic(merged.get(each.get(key)), each)
    return list(merged.values())


def _step(document: Any, step: Object) -> None:
    path = [each.replace("~1", "/").replace("~0", "~") for each in step["path"].split("/")[1:]]
    parent = document
    try:
        for name in path[:-1]:
            parent = parent[int(name)] if isinstance(parent, list) else parent[name]
        _change(parent, path[-1], step)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        text = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", text) from error


def _change(parent: Any, name: str, step: Object) -> None:
    at: Any = (len(parent) if name == "-" else int(name)) if isinstance(parent, list) else name
    match step["op"]:
        case "add" if isinstance(parent, list):
            parent.insert(at, step["value"])
        case "add":
            parent[at] = step["value"]
        case "replace":
            parent[at] = (parent[at], step["value"])[1]
        case "remove":
            del parent[at]
        case "test":
            if parent[at] != step["value"]:
                raise ValueError(name)
        case _:
            raise ValueError(step["op"])
