"""Making what a cluster of ours consists of, and taking it away: the namespace, and all that is in it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence

from subjects.errors import NotReady, StaleTarget, SubjectError
from subjects.runtimes.kubernetes import manifest
from subjects.runtimes.kubernetes.api import Api, Denied, Json, NoSuch
from subjects.runtimes.kubernetes.manifest import PROBE, Database
from subjects.runtimes.kubernetes.pod_status import container_status
from subjects.runtimes.kubernetes.pods import Pods

UP_S = 300.0
"""For the pods to run: images are pulled."""
DOWN_S = 180.0
"""For the namespace to be gone: 23 s were measured for six pods."""
ACCOUNT_S = 30.0
"""For a new namespace to have the account that its pods run as."""
_LOOK_S = 0.1


class Made:
    """What was made, or will be, in one namespace."""

    def __init__(self, api: Api, namespace: str, databases: Sequence[Database], pods: Pods) -> None:
        self._api = api
        self._name = namespace
        self._path = f"/api/v1/namespaces/{namespace}"
        self._databases = databases
        self._pods = pods

    async def make_namespace(self, known: str) -> str:
        """Make the namespace unless it is there; return its uid. `known` is that of the one made before.

        NotReady where somebody else's has the name.
        """
        found = await self._found()
        if found is not None and found["status"].get("phase") == "Terminating":
            await self._wait_gone()
            found = None
        if found is None:
            found = await self._api.call("POST", "/api/v1/namespaces", body=manifest.namespace(self._name))
        elif not _is_ours(found, known):
            raise NotReady(
                f"The namespace {self._name} of the context {self._api.context} is not operator's: it is "
                "left alone. Use another --state-dir."
            )
        return str(found["metadata"]["uid"])

    async def make_all(self) -> str:
        """Make what is not there yet; return why the members' network can't be cut, empty where it can."""
        why = await self._refused()
        storage = await self._has_storage()
        for path, body in manifest.objects(self._databases, storage=storage, cut=not why):
            await self._make(path.format(f"namespaces/{self._name}"), body)
        return why

    async def wait_running(self, running: Callable[[], Collection[str]]) -> None:
        """Wait until all pods run; NotReady, with what keeps them from it, when they do not in time."""
        deadline = time.monotonic() + UP_S
        nodes = [node for database in self._databases for node in database.nodes]
        while len(running()) < len(nodes) or not await self._probe_runs():
            there = [pod for node in nodes if (pod := self._pods.get(node)) is not None]
            if problem := manifest.start_problems(there):
                raise NotReady(_sentence(problem))
            if time.monotonic() > deadline:
                waits = [self._pods.view(node).raw for node in nodes]
                raise NotReady(f"After {UP_S:g} s not all pods run: {'; '.join(waits)}.")
            await asyncio.sleep(_LOOK_S)

    async def remove(self, known: str) -> None:
        """Delete the namespace that was made, and wait until it is gone; another one of its name stays."""
        found = await self._found()
        if found is None or not _is_ours(found, known):
            return
        body = {"preconditions": {"uid": found["metadata"]["uid"]}, "propagationPolicy": "Background"}
        with contextlib.suppress(NoSuch, StaleTarget):  # it is on its way out already
            await self._api.call("DELETE", self._path, body=body)
        await self._wait_gone()

    async def _found(self) -> Json | None:
        try:
            found: Json = await self._api.get(self._path)
        except NoSuch:
            return None
        return found

    async def _make(self, path: str, body: Json) -> None:
        """Create one object; one that is there stays. A new namespace's account comes a moment later."""
        deadline = time.monotonic() + ACCOUNT_S
        while True:
            try:
                await self._api.call("POST", path, body=body)
            except StaleTarget as error:
                if "already exists" in str(error):
                    return
                raise
            except Denied as error:
                if "serviceaccount" not in str(error) or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_LOOK_S)
            else:
                return

    async def _refused(self) -> str:
        """Say why pods that may cut their own network are not let in; NotReady where none are at all."""
        path = f"{self._path}/pods?dryRun=All"
        try:
            await self._make(path, manifest.trial_pod(self._databases[0], cut=True))
        except (Denied, StaleTarget) as error:
            why = str(error).rstrip(".")
        else:
            return ""
        try:
            await self._make(path, manifest.trial_pod(self._databases[0], cut=False))
        except (Denied, StaleTarget) as error:
            raise NotReady(f"The cluster lets no such pods in: {error}") from error
        return why

    async def _has_storage(self) -> bool:
        """Whether there is a default storage class that makes volumes."""
        path, mark = "/apis/storage.k8s.io/v1/storageclasses", "storageclass.kubernetes.io/is-default-class"
        try:
            found = await self._api.get(path)
            with self._api.reading(f"GET {path}", found):
                notes = [each["metadata"].get("annotations") or {} for each in found["items"]]
                return any(each.get(mark) == "true" for each in notes)
        except SubjectError:
            return False

    async def _probe_runs(self) -> bool:
        pod = await self._api.get(f"{self._path}/pods/{PROBE}")
        if problem := manifest.start_problems([pod]):
            raise NotReady(_sentence(problem))
        return "running" in (container_status(pod, PROBE).get("state") or {})

    async def _wait_gone(self) -> None:
        deadline = time.monotonic() + DOWN_S
        while (found := await self._found()) is not None:
            if time.monotonic() > deadline:
                conditions = (found.get("status") or {}).get("conditions") or ()
                why = "; ".join(str(each["message"]) for each in conditions if each.get("status") == "True")
                raise NotReady(
                    f"The namespace {self._name} is not gone after {DOWN_S:g} s: {why or 'nobody says why'}."
                )
            await asyncio.sleep(2 * _LOOK_S)


def _is_ours(found: Json, known: str) -> bool:
    """Whether a namespace is the one that was made: by its uid, or by our label before that was noted."""
    if known:
        return bool(found["metadata"]["uid"] == known)
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in manifest.MANAGED.items())


def _sentence(problem: str) -> str:
    return f"{problem[0].upper()}{problem[1:]}. `operator deploy down` removes what was made."
