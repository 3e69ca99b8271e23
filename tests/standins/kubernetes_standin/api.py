"""The API server: what it answers to which request."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import yaml
from aiohttp import web

from tests.standins.kubernetes_standin import admission, patches
from tests.standins.kubernetes_standin.access import Access, Request, User
from tests.standins.kubernetes_standin.kinds import BY_PATH, CHAOS, KINDS, Kind, Object
from tests.standins.kubernetes_standin.removal import Removal
from tests.standins.kubernetes_standin.store import ApiError, Store, not_found, now
from tests.standins.kubernetes_standin.watching import listed, watch

VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.4-standin",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.24",
    "compiler": "gc",
    "platform": "linux/amd64",
}
Streams = Callable[[web.Request, str, str, str], Awaitable[web.StreamResponse]]
"""Serves exec, attach, portforward and log of a pod: request, namespace, pod, subresource."""
_REVIEWS = ("SelfSubjectAccessReview", "SelfSubjectRulesReview", "SelfSubjectReview")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass
class Trouble:
    """An answer in place of the right one, to those requests whose path matches."""

    status: int
    path: str = ""
    times: int = 1_000_000
    retry_after_s: int = 0


@dataclass(frozen=True)
class Target:
    """What a path names."""

    kind: Kind
    namespace: str
    name: str
    subresource: str

    def request(self, verb: str) -> Request:
        resource = f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural
        return Request(verb, self.kind.group, resource, self.namespace, self.name)


@dataclass
class Api:
    """One API server over a store."""

    store: Store
    access: Access
    removal: Removal
    streams: Streams
    bookmark_s: float = 60.0
    chaos_mesh: bool = False
    """Whether its kinds are installed."""
    troubles: list[Trouble] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path with query of what was asked, for tests to look at."""

    def application(self) -> web.Application:
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        try:
            self._trouble(request.path)
            return await self._route(request)
        except ApiError as error:
            headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
            return web.json_response(error.status, status=error.code, headers=headers)

    def _trouble(self, path: str) -> None:
        for each in self.troubles:
            if each.times > 0 and re.search(each.path, path):
                each.times -= 1
                reasons = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
                raise ApiError(
                    each.status,
                    reasons.get(each.status, "Unknown"),
                    "the stand-in was told to answer so",
                    retry_after=each.retry_after_s,
                )

    async def _route(self, request: web.Request) -> web.StreamResponse:
        user = self.access.user(request.headers.get("Authorization", ""))
        if request.path in ("/version", "/version/"):
            return web.json_response(VERSION)
        if request.path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if "system:unauthenticated" in user.groups:
            text = f'forbidden: User "{user.name}" cannot {request.method.lower()} path "{request.path}"'
            raise ApiError(403, "Forbidden", text)
        if not self.chaos_mesh and CHAOS[0].group in request.path:
            return web.Response(text="404 page not found\n", status=404)
        if (discovery := _discovery(request.path.strip("/"))) is not None:
            return web.json_response(discovery)
        if (review := await self._review(user, request)) is not None:
            return web.json_response(review, status=201)
        target = find_target(request.path)
        if target.subresource in ("exec", "attach", "portforward", "log"):
            verb = "get" if request.method == "GET" else "create"
            self.access.require(user, target.request(verb))
            self.store.get("pods", target.namespace, target.name)
            return await self.streams(request, target.namespace, target.name, target.subresource)
        if request.method == "GET":
            return await self._read(user, request, target)
        self.access.require(user, target.request(self._verb(request, target)))
        body = await _body(request)
        made = self._write(request, target, body)
        return web.json_response(made, status=201 if request.method == "POST" else 200)

    def _verb(self, request: web.Request, target: Target) -> str:
        if request.method == "DELETE" and not target.name:
            return "deletecollection"
        return _VERBS.get(request.method, request.method.lower())

    async def _read(self, user: User, request: web.Request, target: Target) -> web.StreamResponse:
        query = request.query
        if target.name and query.get("watch") not in ("1", "true"):
            self.access.require(user, target.request("get"))
            found = self.store.get(target.kind.plural, target.namespace, target.name)
            return web.json_response(_scale(found) if target.subresource == "scale" else found)
        watching = query.get("watch") in ("1", "true")
        self.access.require(user, target.request("watch" if watching else "list"))
        if watching:
            return await watch(self.store, request, target.kind, target.namespace, self.bookmark_s)
        return web.json_response(listed(self.store, query, target.kind, target.namespace))

    def _write(self, request: web.Request, target: Target, body: Any) -> Object:
        kind, namespace, name = target.kind, target.namespace, target.name
        dry_run = request.query.get("dryRun") == "All" or (
            isinstance(body, dict) and body.get("dryRun") == ["All"]
        )
        match request.method, target.subresource:
            case "POST", "":
                made = admission.check_new(self.store, kind, namespace, body)
                return self.store.create(kind.plural, made, dry_run=dry_run)
            case "POST", "eviction":
                return self.removal.evict(namespace, name, body or {}, dry_run=dry_run)
            case "POST", "token":
                return self._token(namespace, name, body or {})
            case "DELETE", "" if not name:
                return self._delete_all(request, target, body or {})
            case "DELETE", "":
                return self.removal.delete(kind, namespace, name, _options(request, body), dry_run=dry_run)
            case "PATCH" | "PUT", sub if sub in ("", "status", "resize", "ephemeralcontainers", "scale"):
                return self._change(request, target, body, dry_run=dry_run)
        raise ApiError(
            405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
        )

    def _change(self, request: web.Request, target: Target, body: Any, *, dry_run: bool) -> Object:
        kind, namespace, name = target.kind, target.namespace, target.name
        applied = request.content_type == "application/apply-patch+yaml"
        before = self.store.find(kind.plural, namespace, name)
        if before is None and applied:
            made = admission.check_new(self.store, kind, namespace, body)
            return self.store.create(kind.plural, made, dry_run=dry_run)
        if before is None:
            raise not_found(kind, name)
        if target.subresource == "scale":
            body = {"spec": {"replicas": body["spec"]["replicas"]}}
        if request.method == "PATCH":
            content = (
                "application/merge-patch+json" if target.subresource == "scale" else request.content_type
            )
            after = patches.apply(content, before, body)
        else:
            after = (
                patches.apply("application/merge-patch+json", before, body) if target.subresource else body
            )
        after = admission.check_change(kind, before, after, target.subresource)
        if target.subresource == "resize":
            admission.check_resize(before, after)
        after |= {"kind": kind.kind, "apiVersion": kind.api_version}
        return after if dry_run else self.store.replace(kind.plural, before, after)

    def _delete_all(self, request: web.Request, target: Target, body: Object) -> Object:
        chosen = listed(self.store, request.query, target.kind, target.namespace)
        for each in chosen["items"]:
            where, name = each["metadata"].get("namespace") or "", each["metadata"]["name"]
            self.removal.delete(target.kind, where, name, _options(request, body))
        return chosen

    def _token(self, namespace: str, account: str, body: Object) -> Object:
        for_s = (body.get("spec") or {}).get("expirationSeconds") or 3600
        token = self.access.account_token(namespace, account, for_s)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": account},
            "spec": body.get("spec") or {},
            "status": {"token": token, "expirationTimestamp": now()},
        }

    async def _review(self, user: User, request: web.Request) -> Object | None:
        group, _, plural = request.path.removeprefix("/apis/").rpartition("/")
        if request.method != "POST" or not plural.startswith("selfsubject"):
            return None
        body: Object = await request.json()
        match plural:
            case "selfsubjectaccessreviews":
                wanted = body["spec"].get("resourceAttributes") or {}
                resource = "/".join(filter(None, (wanted.get("resource", ""), wanted.get("subresource", ""))))
                asked = Request(
                    wanted.get("verb", ""),
                    wanted.get("group", ""),
                    resource,
                    wanted.get("namespace", ""),
                    wanted.get("name", ""),
                )
                body["status"] = {"allowed": self.access.allows(user, asked)}
            case "selfsubjectrulesreviews":
                rules = list(self.access.rules(user, body["spec"]["namespace"]))
                body["status"] = {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
            case "selfsubjectreviews":
                body["status"] = {"userInfo": {"username": user.name, "groups": list(user.groups)}}
        kind = {each.lower() + "s": each for each in _REVIEWS}[plural]
        return {**body, "kind": kind, "apiVersion": group, "metadata": body.get("metadata") or {}}


async def _body(request: web.Request) -> Any:
    text = await request.text()
    try:
        return (
            yaml.safe_load(text) if "yaml" in request.content_type else (json.loads(text) if text else None)
        )
    except ValueError as error:
        raise ApiError(400, "BadRequest", f"the body is not JSON: {error}") from error


def _options(request: web.Request, body: Any) -> Object:
    options = (
        dict(body) if isinstance(body, dict) and body.get("kind", "DeleteOptions") == "DeleteOptions" else {}
    )
    if "gracePeriodSeconds" in request.query:
        options.setdefault("gracePeriodSeconds", int(request.query["gracePeriodSeconds"]))
    if "propagationPolicy" in request.query:
        options.setdefault("propagationPolicy", request.query["propagationPolicy"])
    return options


def find_target(path: str) -> Target:
    """Read what a path names."""
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    else:
        _, group, version, *rest = parts
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and (group, version, rest[2]) in BY_PATH:
        namespace, rest = rest[1], rest[2:]
    kind = BY_PATH.get((group, version, rest[0])) if rest else None
    if kind is None:
        raise web.HTTPNotFound(text="404 page not found\n")
    return Target(kind, namespace, rest[1] if len(rest) > 1 else "", "/".join(rest[2:]))


def _discovery(path: str) -> Object | None:
    groups = {kind.group for kind in KINDS if kind.group}
    if path == "api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "apis":
        listed = [_group(group) for group in sorted(groups)]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    if path.removeprefix("apis/") in groups:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(path.removeprefix("apis/"))}
    version = path.removeprefix("apis/").removeprefix("api/")
    kinds = [kind for kind in KINDS if kind.api_version == version]
    return _resources(version, kinds) if kinds else None


def _group(group: str) -> Object:
    versions = [
        {"groupVersion": each, "version": each.partition("/")[2]}
        for each in sorted({kind.api_version for kind in KINDS if kind.group == group})
    ]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resources(version: str, kinds: list[Kind]) -> Object:
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    resources = [
        {
            "name": f"{kind.plural}/{sub}" if sub else kind.plural,
            "singularName": "",
            "kind": kind.kind,
            "namespaced": kind.namespaced,
            "verbs": verbs,
        }
        for kind in kinds
        for sub in ("", *kind.subresources)
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}


def _scale(thing: Object) -> Object:
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": thing["metadata"],
        "spec": {"replicas": thing["spec"].get("replicas", 1)},
        "status": {"replicas": (thing.get("status") or {}).get("replicas", 0)},
    }
