"""What etcd is to an API server: objects by name under one growing revision, and what changed when."""

import asyncio
import copy
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from tests.standins.kubernetes_standin.kinds import BY_PLURAL, Kind, Object

KEPT = 20_000
"""So many changes a watch can begin behind; real servers keep five minutes of them."""


class ApiError(Exception):
    """An answer with a Status in place of the object."""

    def __init__(
        self, code: int, reason: str, message: str, details: Object | None = None, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.retry_after = code, reason, retry_after
        self.status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
        if details:
            self.status["details"] = details


def not_found(kind: Kind, name: str) -> ApiError:
    details = {"name": name, "kind": kind.plural} | ({"group": kind.group} if kind.group else {})
    return ApiError(404, "NotFound", f'{kind.qualified} "{name}" not found', details)


def conflict(kind: Kind, name: str, why: str, called: str = "") -> ApiError:
    details = {"name": name, "kind": called or kind.plural} | ({"group": kind.group} if kind.group else {})
    text = f'Operation cannot be fulfilled on {called or kind.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", text, details)


@dataclass(frozen=True, slots=True)
class Change:
    """One revision."""

    revision: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    kind: Kind
    before: Object | None
    after: Object


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Store:
    """Objects are never changed in place: whoever was given one keeps what it saw."""

    def __init__(self) -> None:
        self.revision = 1000
        self.compacted = 1000
        self.changes: deque[Change] = deque()
        self._objects: dict[str, dict[tuple[str, str], Object]] = {plural: {} for plural in BY_PLURAL}
        self._listeners: list[Callable[[Change], None]] = []
        self._queues: list[asyncio.Queue[Change | None]] = []

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` at once with every change from now on; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def watch(self) -> tuple["asyncio.Queue[Change | None]", Callable[[], None]]:
        """Return a queue of every change from now on, and what ends it; None in it is the watch's end."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._queues.append(queue)
        unlisten = self.listen(queue.put_nowait)

        def end() -> None:
            self._queues.remove(queue)
            unlisten()

        return queue, end

    def end_watches(self) -> None:
        """End every watch in order, as a server does when their time is up: what changes next they miss."""
        for queue in self._queues:
            queue.put_nowait(None)

    def compact(self) -> None:
        """Forget what changed so far, so that a watch from before it is answered with 410."""
        self.changes.clear()
        self.compacted = self.revision

    def find(self, plural: str, namespace: str, name: str) -> Object | None:
        return self._objects[plural].get((namespace, name))

    def get(self, plural: str, namespace: str, name: str) -> Object:
        found = self.find(plural, namespace, name)
        if found is None:
            raise not_found(BY_PLURAL[plural], name)
        return found

    def list(self, plural: str, namespace: str = "") -> list[Object]:
        """Return those of a namespace, or of all, sorted as etcd sorts its keys."""
        found = sorted(self._objects[plural].items())
        return [each for (where, _), each in found if not namespace or where == namespace]

    def create(self, plural: str, thing: Object, *, dry_run: bool = False) -> Object:
        kind, made = BY_PLURAL[plural], copy.deepcopy(thing)
        meta = made.setdefault("metadata", {})
        if not meta.get("name"):
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        key = (meta.get("namespace") or "", meta["name"])
        if key in self._objects[plural]:
            details = {"name": meta["name"], "kind": plural}
            text = f'{kind.qualified} "{meta["name"]}" already exists'
            raise ApiError(409, "AlreadyExists", text, details)
        made |= {"apiVersion": kind.api_version, "kind": kind.kind}
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
        return made if dry_run else self._put("ADDED", kind, key, None, made)

    def update(
        self, plural: str, namespace: str, name: str, change: Callable[[Object], object]
    ) -> Object | None:
        """Change one object where it is still there; what leaves it as it was is no revision."""
        before = self.find(plural, namespace, name)
        if before is None:
            return None
        after = copy.deepcopy(before)
        change(after)
        return self.replace(plural, before, after)

    def replace(self, plural: str, before: Object, after: Object) -> Object:
        if after == before:
            return before
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1
        key = (before["metadata"].get("namespace") or "", before["metadata"]["name"])
        if "deletionTimestamp" in after["metadata"] and not _held(plural, after):
            return self.remove(plural, *key)
        return self._put("MODIFIED", BY_PLURAL[plural], key, before, after)

    def remove(self, plural: str, namespace: str, name: str) -> Object:
        before = self._objects[plural].pop((namespace, name))
        after = copy.deepcopy(before)
        self._tell("DELETED", BY_PLURAL[plural], before, after)
        return after

    def owned(self, uid: str) -> Iterator[tuple[str, Object]]:
        """Yield what names that owner."""
        for plural, objects in self._objects.items():
            for each in list(objects.values()):
                if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences") or []):
                    yield plural, each

    def _put(
        self,
        type_: Literal["ADDED", "MODIFIED"],
        kind: Kind,
        key: tuple[str, str],
        before: Object | None,
        after: Object,
    ) -> Object:
        self._objects[kind.plural][key] = after
        self._tell(type_, kind, before, after)
        return after

    def _tell(
        self, type_: Literal["ADDED", "MODIFIED", "DELETED"], kind: Kind, before: Object | None, after: Object
    ) -> None:
        self.revision += 1
        after["metadata"]["resourceVersion"] = str(self.revision)
        change = Change(self.revision, type_, kind, before, after)
        self.changes.append(change)
        if len(self.changes) > KEPT:
            self.compacted = self.changes.popleft().revision
        for listener in list(self._listeners):
            listener(change)


def _held(plural: str, thing: Object) -> bool:
    """Whether something still keeps a deleted object: a finalizer, or a kubelet that has to end a pod."""
    meta = thing["metadata"]
    return plural in ("namespaces", "pods") or bool(meta.get("finalizers"))
