"""The pods of a cluster: listed, watched, and what each says of its node.

The kubelet looks at its containers once a second, so this comes late; it is the second witness where a held
stream tells of a process at once, and the only one where pods are somebody else's.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from subjects.base import EventKind, ProcessState, ProcessView, RuntimeEvent
from subjects.errors import SubjectError
from subjects.runtimes.kubernetes.api import Api, Json
from subjects.runtimes.kubernetes.pod_status import (
    last_end,
    leaving,
    planned,
    view,
    why_leaving,
)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
"""Before a watch that ended is opened again: one that brings nothing may end at once each time."""
FORGET_S = 60.0
"""A pod that is gone for so long, and that nobody is expected to make again, is no node any more."""


class Pods:
    """The pods that a selector names, kept up to date by a watch."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        selector: str,
        *,
        expected: Sequence[str] = (),
        owner: str = "",
        only: Callable[[Json], bool] = lambda _: True,
    ) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._selector = selector
        self._expected = tuple(expected)
        """Pods that are nodes also while they are not there."""
        self._owner = owner
        """The uid of what made them; empty where that does not matter."""
        self._only = only
        self._known: dict[str, Json] = {}
        self._gone: dict[str, float] = {}
        self._tell: Callable[[RuntimeEvent], None] = lambda _: None
        self._task: asyncio.Task[None] | None = None
        self._listed = False

    @property
    def names(self) -> tuple[str, ...]:
        """The pods that are nodes, those that are away for the moment included."""
        late = time.monotonic() - FORGET_S
        away = [name for name, at in self._gone.items() if at > late]
        return tuple(sorted({*self._expected, *self._known, *away}, key=_by_ordinal))

    def get(self, name: str) -> Json | None:
        """Return a pod as the API last had it; None while there is none of that name."""
        return self._known.get(name)

    def all(self) -> Iterator[tuple[str, Json]]:
        """Yield each pod that is there."""
        yield from list(self._known.items())

    def view(self, name: str) -> ProcessView:
        """Return what the API last said of the pod's database container."""
        pod = self._known.get(name)
        if pod is None:
            return ProcessView(ProcessState.EXITED, raw=f"there is no pod {name}")
        return view(pod)

    def tell(self, tell: Callable[[RuntimeEvent], None]) -> None:
        """Say what happens to `tell` from now on."""
        self._tell = tell

    async def start(self) -> None:
        """List them, and watch from then on. SubjectError when they cannot be listed."""
        if self._task is None:
            version = await self._list()
            self._task = asyncio.get_running_loop().create_task(self._follow(version), name="pod watch")

    async def aclose(self) -> None:
        """Stop watching."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _list(self) -> str:
        answer = await self._api.get(self._path, [("labelSelector", self._selector)])
        with self._api.reading(f"GET {self._path}", answer):
            version = str(answer["metadata"]["resourceVersion"])
            now = {pod["metadata"]["name"]: pod for pod in answer["items"] if self._is_ours(pod)}
            for name in self._known.keys() - now.keys():
                self._take("DELETED", self._known[name])
            for pod in now.values():
                self._take("MODIFIED", pod)
        self._listed = True
        return version

    async def _follow(self, version: str) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                version = version or await self._list()
                query = [("labelSelector", self._selector)]
                async with contextlib.aclosing(self._api.watch(self._path, query, version)) as events:  # type: ignore[type-var]
                    async for event in events:
                        pause = FIRST_PAUSE_S
                        pod = event["object"]
                        with self._api.reading(f"watch {self._path}", event):
                            version = str(pod["metadata"]["resourceVersion"])
                            if event["type"] != "BOOKMARK" and self._is_ours(pod):
                                self._take(event["type"], pod)
            except SubjectError:
                version = ""
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _is_ours(self, pod: Json) -> bool:
        owners = pod["metadata"].get("ownerReferences") or ()
        owned = not self._owner or any(each.get("uid") == self._owner for each in owners)
        return owned and self._only(pod)

    def _take(self, kind: str, pod: Json) -> None:
        name = pod["metadata"]["name"]
        before = self._known.get(name)
        if kind == "DELETED":
            if before is None or before["metadata"]["uid"] != pod["metadata"]["uid"]:
                return  # the end of a pod that another has replaced already
            self._known.pop(name)
            self._gone[name] = time.monotonic()
            after = ProcessView(ProcessState.EXITED, raw=f"pod {name} was deleted")
        else:
            self._known[name] = pod
            self._gone.pop(name, None)
            after = view(pod)
        if not self._listed and before is None:
            return
        if kind != "DELETED" and planned(pod) and not (before is not None and leaving(before)):
            grace_s = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
            self._say(name, "leaving", f"pod {name} is being deleted{why_leaving(pod)}", grace_s=grace_s)
        was = ProcessView(ProcessState.EXITED) if before is None else view(before)
        self._compare(name, was, after, pod)

    def _compare(self, name: str, was: ProcessView, now: ProcessView, pod: Json) -> None:
        another = was.identity is not None and was.identity != now.identity
        if another:
            last = now if now.state is ProcessState.EXITED else last_end(pod)
            kind: EventKind = "oom" if last.oom_killed else "evicted" if last.evicted else "exit"
            self._say(name, kind, last.raw or f"pod {name} was replaced", last.exit_code)
        if now.state is ProcessState.RUNNING and was.identity != now.identity:
            self._say(name, "start", now.raw)

    def _say(
        self, node: str, kind: EventKind, raw: str, code: int | None = None, grace_s: float = 0.0
    ) -> None:
        self._tell(RuntimeEvent(node, kind, time.monotonic(), raw, code, grace_s))


def _by_ordinal(name: str) -> tuple[str, int, str]:
    """Sort the pods of a StatefulSet by their number: db-10 comes after db-9."""
    stem, _, number = name.rpartition("-")
    return (stem, int(number), "") if number.isdigit() else (name, -1, name)
