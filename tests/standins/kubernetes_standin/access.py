"""Who asks, and what the roles allow them: tokens that expire, and RBAC as stored."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.standins.kubernetes_standin.kinds import Object
from tests.standins.kubernetes_standin.store import ApiError, Store

MASTERS = "system:masters"


@dataclass(frozen=True)
class User:
    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What is asked for, as authorization sees it."""

    verb: str
    group: str
    resource: str
    """With its subresource: `pods/exec`."""
    namespace: str = ""
    name: str = ""


@dataclass
class Access:
    """The accounts of the cluster."""

    store: Store
    _tokens: dict[str, tuple[User, float]] = field(default_factory=dict)

    def token(self, user: User, for_s: float = 1e9) -> str:
        made = f"standin-{secrets.token_hex(16)}"
        self._tokens[made] = (user, time.time() + for_s)
        return made

    def account_token(self, namespace: str, account: str, for_s: float) -> str:
        self.store.get("serviceaccounts", namespace, account)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return self.token(User(f"system:serviceaccount:{namespace}:{account}", groups), for_s)

    def expire(self, token: str) -> None:
        self._tokens[token] = (self._tokens[token][0], 0.0)

    def user(self, authorization: str) -> User:
        """Return who sends that header. 401 for a token that is not known, or not any more."""
        token = authorization.removeprefix("Bearer ").strip()
        if not token:
            return User("system:anonymous", ("system:unauthenticated",))
        user, until = self._tokens.get(token, (None, 0.0))
        if user is None or until < time.time():
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return user

    def require(self, user: User, request: Request) -> None:
        if not self.allows(user, request):
            raise forbidden(user, request)

    def allows(self, user: User, request: Request) -> bool:
        return MASTERS in user.groups or any(
            _permits(rule, request) for rule in self.rules(user, request.namespace)
        )

    def rules(self, user: User, namespace: str) -> Iterator[Object]:
        """Yield the rules that hold for a user there."""
        if MASTERS in user.groups:
            yield {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        bindings = [("", each) for each in self.store.list("clusterrolebindings")]
        if namespace:
            bindings += [(namespace, each) for each in self.store.list("rolebindings", namespace)]
        for where, binding in bindings:
            if any(_is(user, subject, where) for subject in binding.get("subjects") or []):
                reference = binding["roleRef"]
                of_cluster = reference["kind"] == "ClusterRole"
                role = self.store.find(
                    "clusterroles" if of_cluster else "roles", "" if of_cluster else where, reference["name"]
                )
                yield from (role or {}).get("rules") or []


def forbidden(user: User, request: Request) -> ApiError:
    plural = request.resource.partition("/")[0]
    qualified = f"{plural}.{request.group}" if request.group else plural
    where = f' in the namespace "{request.namespace}"' if request.namespace else " at the cluster scope"
    text = (
        f"{qualified}{f' {chr(34)}{request.name}{chr(34)}' if request.name else ''} is forbidden: "
        f'User "{user.name}" cannot {request.verb} resource "{request.resource}" in API group '
        f'"{request.group}"{where}'
    )
    return ApiError(403, "Forbidden", text, {"name": request.name, "kind": plural})


def _is(user: User, subject: Object, namespace: str) -> bool:
    match subject["kind"]:
        case "ServiceAccount":
            where = subject.get("namespace") or namespace
            return user.name == f"system:serviceaccount:{where}:{subject['name']}"
        case "User":
            return bool(user.name == subject["name"])
    return subject["name"] in user.groups


def _permits(rule: Object, request: Request) -> bool:
    names = rule.get("resourceNames") or []
    return (
        _in(rule.get("verbs"), request.verb)
        and _in(rule.get("apiGroups"), request.group)
        and (
            _in(rule.get("resources"), request.resource)
            or f"*/{request.resource.partition('/')[2]}" in (rule.get("resources") or [])
        )
        and (not names or request.name in names)
    )


def _in(allowed: list[str] | None, wanted: str) -> bool:
    return "*" in (allowed or []) or wanted in (allowed or [])
