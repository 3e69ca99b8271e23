"""The kubelet of every node: runs pods, looks at them once a second, and tells what it saw.

What happens to a process is told a relist later (PLEG), up to a second. What a person changes in a pod's spec
is carried out at once.
"""

import asyncio
import contextlib
import os
import re
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.standins.kubernetes_standin import probes
from tests.standins.kubernetes_standin.admission import event
from tests.standins.kubernetes_standin.containers import Instance
from tests.standins.kubernetes_standin.images import find_image
from tests.standins.kubernetes_standin.kinds import Object, labels_of
from tests.standins.kubernetes_standin.pod import (
    RunningPod,
    Slot,
    environment_of,
    forget,
    make_place,
    status_of,
)
from tests.standins.kubernetes_standin.pod_network import PodNetwork
from tests.standins.kubernetes_standin.store import Change, Store

RELIST_S = 1.0
BACK_OFF_S, LONGEST_BACK_OFF_S = 10.0, 300.0
LEAST_GRACE_S = 2.0
"""A pod that is deleted with no grace still has so long between SIGTERM and SIGKILL."""
REACTION_S = 0.03
ENDING_S = 0.15
"""Between a pod's deletion, which watchers are told at once, and SIGTERM (11 to 65 ms, and over 500)."""
OPENING_S = 0.05
"""How often ports are looked for while a container comes up."""


@dataclass
class Kubelet:
    """All nodes' kubelets in one."""

    store: Store
    folder: Path
    reachable: bool = False
    """Whether the pods' addresses can be reached from outside the cluster."""
    speed: float = 1.0
    """Back-off and least grace are so many times shorter."""
    pods: dict[str, RunningPod] = field(default_factory=dict)
    asleep: bool = False
    """Whether it does not look at its containers, as one on a machine that has no time for it."""
    late_s: float = 0.0
    """How long what it saw takes to be told, while it acts on it at once."""
    _untold: deque[tuple[float, Object, Object]] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _opening_until: float = 0.0

    def __post_init__(self) -> None:
        pids = lambda: {uid: running.pids() for uid, running in self.pods.items()}  # noqa: E731
        self.network = PodNetwork(pids, reachable=self.reachable)

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    async def run(self) -> None:
        """Work until cancelled."""
        self.store.listen(self._changed)
        self._spawn(self._open_ports())
        while True:
            await asyncio.sleep(RELIST_S)
            for running in [] if self.asleep else list(self.pods.values()):
                self._relist(running)
            await self.network.refresh()

    async def close(self) -> None:
        """End every process."""
        for running in self.pods.values():
            for pid in running.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.network.close()

    def find(self, namespace: str, name: str) -> RunningPod | None:
        pod = self.store.find("pods", namespace, name)
        return self.pods.get(pod["metadata"]["uid"]) if pod else None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            traceback.print_exception(error)  # the stand-in's log; a test shows it where it fails

    async def _open_ports(self) -> None:
        while True:
            await asyncio.sleep(OPENING_S)
            if time.monotonic() < self._opening_until:
                await self.network.refresh()

    def _changed(self, change: Change) -> None:
        if change.kind.plural != "pods":
            return
        pod, uid = change.after, change.after["metadata"]["uid"]
        running = self.pods.get(uid)
        if change.type == "DELETED":
            if running is not None and not running.ended:
                running.ended = True
                self._spawn(self._end(running, 0))
        elif running is None:
            if (
                pod["spec"].get("nodeName")
                and "deletionTimestamp" not in pod["metadata"]
                and _unfinished(pod)
            ):
                self._spawn(self._begin(self._take(pod)))
        else:
            before, running.pod = running.pod, pod
            if "deletionTimestamp" in pod["metadata"] and not running.ended:
                running.ended = True
                self._spawn(self._end(running, pod["metadata"]["deletionGracePeriodSeconds"]))
            elif before["spec"] != pod["spec"]:
                self._spawn(self._respecified(running))

    def _take(self, pod: Object) -> RunningPod:
        uid = pod["metadata"]["uid"]
        name = _dns_name(pod)
        ports = [
            port["containerPort"] for each in pod["spec"]["containers"] for port in each.get("ports") or []
        ]
        running = RunningPod(pod, self.folder / "pods" / uid, self.network.add(uid, name, ports))
        self.pods[uid] = running
        running.slots = {each["name"]: Slot(each) for each in pod["spec"]["containers"]}
        return running

    async def _begin(self, running: RunningPod) -> None:
        await asyncio.sleep(REACTION_S)
        self._tell(running)
        for spec in running.pod["spec"].get("initContainers") or []:
            while not await self._initialize(running, spec):
                running.init_restarts += 1
                await asyncio.sleep(RELIST_S)
        running.initialized = True
        for slot in running.slots.values():
            await self._start(running, slot)

    async def _initialize(self, running: RunningPod, spec: Object) -> bool:
        """Run an init container to its end; whether it ended well, or need not."""
        image = find_image(spec["image"])
        if image is None or running.ended:
            return running.ended
        instance = self._instance(running, spec, lambda: None)
        running.initializing = instance
        await instance.start(image, self._environment(running, spec), running.door.inner)
        await instance.ended()
        return running.ended or instance.state.exit_code == 0

    def _instance(self, running: RunningPod, spec: Object, on_end: Callable[[], None]) -> Instance:
        namespace = running.pod["metadata"]["namespace"]
        place = make_place(
            running,
            spec,
            self.programs,
            self.folder / "volumes",
            self.store,
            lambda text: self.resolve(text, namespace),
        )
        return Instance(spec, place, on_end)

    def _environment(self, running: RunningPod, spec: Object) -> dict[str, str]:
        names = {"STANDIN_NAMES": self._names(running.pod["metadata"]["namespace"])}
        return (
            names
            | environment_of(running.pod, spec, running.door, self.store)
            | {
                "PATH": f"{self.programs}:/usr/sbin:/usr/bin:/sbin:/bin",
                "STANDIN_POD": running.uid,
                "STANDIN_SOCKET": str(self.folder / "tools.sock"),
            }
        )

    def _names(self, namespace: str) -> str:
        """Return the names of a namespace's StatefulSets' pods, as a TiKV stand-in takes them."""
        names = [
            f"{each['metadata']['name']}-{number}.{each['spec']['serviceName']}.{namespace}.svc"
            for each in self.store.list("statefulsets", namespace)
            for number in range(each["spec"]["replicas"])
        ]
        return " ".join(f"{name.replace('.', '/')}={name}" for name in names)

    async def _start(self, running: RunningPod, slot: Slot) -> None:
        if running.ended or slot.busy:
            return
        image = find_image(slot.spec["image"])
        if image is None:
            if slot.waiting != "ImagePullBackOff":
                slot.waiting = "ImagePullBackOff"
                text = f'Failed to pull image "{slot.spec["image"]}": not found'
                event(self.store, running.pod, "Failed", text, "Warning", field=_field(slot))
            self._tell(running)
            return
        if slot.instance is not None:
            slot.previous, slot.last = slot.instance, slot.observed
            slot.restarts += 1
        slot.ready = slot.started = False
        slot.waiting = ""
        spec = slot.spec
        instance = self._instance(running, spec, lambda: self._ended(running))
        await instance.start(image, self._environment(running, spec), running.door.inner)
        slot.instance = instance
        self._opening_until = time.monotonic() + 10.0
        running.show_processes()
        for reason, text in (
            ("Pulled", f'Container image "{spec["image"]}" already present on machine'),
            ("Created", f"Created container: {spec['name']}"),
            ("Started", f"Started container {spec['name']}"),
        ):
            event(self.store, running.pod, reason, text, field=_field(slot))
        self._spawn(probes.run(self, running, slot, instance))

    def _ended(self, running: RunningPod) -> None:
        self._spawn(self.network.refresh())
        running.show_processes()

    def _relist(self, running: RunningPod) -> None:
        """See what became of the containers since the last look, and act on it."""
        running.show_processes()
        if running.ended:
            return
        changed = False
        for slot in running.slots.values():
            seen = slot.instance.state if slot.instance else None
            news = seen != slot.observed
            if news:
                slot.observed, changed = seen, True
                if seen is not None and not seen.running():
                    slot.ready = slot.started = False
            if self._due(running, slot, told=not news):
                self._spawn(self._start(running, slot))
        if changed:
            self._tell(running)

    def _due(self, running: RunningPod, slot: Slot, *, told: bool = True) -> bool:
        """Whether a container is to be started again now; `told` once its end has been."""
        policy, seen, image = running.pod["spec"]["restartPolicy"], slot.observed, slot.spec["image"]
        if slot.busy or (seen is None and slot.waiting != "ImagePullBackOff"):
            return False
        if seen is None:
            return find_image(image) is not None
        if seen.finished_at is None or slot.instance is None or slot.instance.state != seen:
            return False
        if policy == "Never" or (policy == "OnFailure" and seen.exit_code == 0):
            return False
        wait_s = slot.waits.get(image, 0.0)
        if time.time() < seen.finished_at + wait_s / self.speed:
            if told and slot.waiting != "CrashLoopBackOff":
                slot.waiting = "CrashLoopBackOff"
                name = slot.spec["name"]
                text = f"Back-off restarting failed container {name} in pod {running.pod['metadata']['name']}"
                event(self.store, running.pod, "BackOff", text, "Warning", field=_field(slot))
                self._tell(running)
            return False
        slot.waits[image] = min(LONGEST_BACK_OFF_S, 2 * wait_s) or BACK_OFF_S
        return True

    async def _respecified(self, running: RunningPod) -> None:
        """Carry out a changed spec: another image is another container."""
        await asyncio.sleep(REACTION_S)
        for spec in running.pod["spec"]["containers"]:
            slot = running.slots[spec["name"]]
            before, slot.spec = slot.spec, spec
            if before["resources"] != spec["resources"]:
                event(self.store, running.pod, "ResizeCompleted", "Pod resize completed")
                self._tell(running)
            if before["image"] == spec["image"] or slot.busy or slot.instance is None:
                continue
            slot.busy = True
            if slot.instance.pid is not None:
                text = f"Container {spec['name']} definition changed, will be restarted"
                event(self.store, running.pod, "Killing", text, field=_field(slot))
            await slot.instance.stop(running.pod["spec"]["terminationGracePeriodSeconds"])
            slot.observed, slot.busy = slot.instance.state, False
            slot.ready = slot.started = False
            self._tell(running)
            if self._due(running, slot):
                await self._start(running, slot)

    async def _end(self, running: RunningPod, grace_s: float) -> None:
        """Stop a pod and take its object away."""
        meta = running.pod["metadata"]
        await asyncio.sleep(ENDING_S)
        for slot in running.slots.values():
            if slot.instance is not None and slot.instance.pid is not None:
                event(
                    self.store,
                    running.pod,
                    "Killing",
                    f"Stopping container {slot.spec['name']}",
                    field=_field(slot),
                )
        least = LEAST_GRACE_S / self.speed
        instances = [slot.instance for slot in running.slots.values() if slot.instance is not None]
        await asyncio.gather(*(each.stop(max(grace_s, least)) for each in instances))
        for pid in running.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.network.remove(running.door)
        await asyncio.sleep(RELIST_S / 2)
        for slot in running.slots.values():
            slot.observed = slot.instance.state if slot.instance else None
            slot.ready, slot.waiting = False, ""
        self._tell(running)
        await asyncio.sleep(REACTION_S)
        self.pods.pop(running.uid, None)
        present = self.store.find("pods", meta["namespace"], meta["name"])
        if present is not None and present["metadata"]["uid"] == running.uid:
            self.store.remove("pods", meta["namespace"], meta["name"])
        forget(running.folder)

    def _tell(self, running: RunningPod) -> None:
        """Write the pod's status."""
        meta = running.pod["metadata"]
        present = self.store.find("pods", meta["namespace"], meta["name"])
        if present is None or present["metadata"]["uid"] != running.uid:
            return
        made = status_of(running, present.get("status") or {}, self.network.node_address)
        self._untold.append((time.monotonic() + self.late_s, meta, made))
        if self.late_s:
            asyncio.get_running_loop().call_later(self.late_s + REACTION_S, self._tell_due)
        else:
            self._tell_due()

    def late_by(self, seconds: float) -> None:
        """Tell what is seen from now on so much later; what was held back is told at once."""
        self.late_s = seconds
        self._tell_due(float("inf"))

    def _tell_due(self, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        while self._untold and self._untold[0][0] <= now:
            self._write(*self._untold.popleft()[1:])

    def _write(self, meta: Object, status: Object) -> None:
        present = self.store.find("pods", meta["namespace"], meta["name"])
        if present is not None and present["metadata"]["uid"] == meta["uid"]:
            self.store.update("pods", meta["namespace"], meta["name"], lambda pod: pod.update(status=status))

    def became(
        self, running: RunningPod, slot: Slot, *, ready: bool | None = None, started: bool | None = None
    ) -> None:
        """Note what a probe found; told at once."""
        slot.ready = slot.ready if ready is None else ready
        slot.started = slot.started if started is None else started
        if not running.ended:
            self._tell(running)

    def resolve(self, text: str, namespace: str) -> str:
        """Put the addresses that reach pods in the place of their names, and of their addresses as told."""
        for running in self.pods.values():
            text = text.replace(running.door.address, running.door.inner)
        return _NAMES.sub(lambda found: self.lookup(found[0], namespace) or found[0], text)

    def lookup(self, name: str, namespace: str) -> str | None:
        """Return the address of a pod of a headless service (`pod.service`), or of a service's first pod."""
        first, *rest = name.removesuffix(".").removesuffix(".cluster.local").removesuffix(".svc").split(".")
        if rest and self.store.find("services", rest[1] if rest[1:] else namespace, rest[0]):
            return self.network.alias(f"{first}.{rest[0]}.{rest[1] if rest[1:] else namespace}")
        for each in self.store.list("endpointslices", rest[0] if rest else namespace):
            if labels_of(each).get("kubernetes.io/service-name") == first and each["endpoints"]:
                return str(each["endpoints"][0]["addresses"][0])
        return None


_NAMES = re.compile(r"(?<![\w.-])[a-z][a-z0-9-]*-\d+(?:\.[a-z0-9-]+)+(?![\w-])")
"""Names of pods in a set: those of services are looked up when they are dialled."""


def _dns_name(pod: Object) -> str:
    spec, meta = pod["spec"], pod["metadata"]
    if not spec.get("subdomain"):
        return ""
    return f"{spec.get('hostname') or meta['name']}.{spec['subdomain']}.{meta['namespace']}"


def _field(slot: Slot) -> str:
    return f"spec.containers{{{slot.spec['name']}}}"


def _unfinished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
