"""One pod on its node: its containers, volumes and processes, and what the kubelet tells of it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.standins.kubernetes_standin.containers import Instance, State, expand
from tests.standins.kubernetes_standin.images import Place
from tests.standins.kubernetes_standin.kinds import Object
from tests.standins.kubernetes_standin.pod_network import Door
from tests.standins.kubernetes_standin.store import Store, now


@dataclass
class Slot:
    """One container of a pod: the instances that it has had."""

    spec: Object
    instance: Instance | None = None
    previous: Instance | None = None
    observed: State | None = None
    """As the kubelet last saw it."""
    last: State | None = None
    """The instance before, as the kubelet saw it end."""
    restarts: int = 0
    waits: dict[str, float] = field(default_factory=dict)
    """What the next start costs, by image: another image is another container, with no history."""
    waiting: str = "ContainerCreating"
    ready: bool = False
    started: bool = False
    busy: bool = False


@dataclass
class RunningPod:
    """A pod that a kubelet runs."""

    pod: Object
    folder: Path
    door: Door
    slots: dict[str, Slot] = field(default_factory=dict)
    executed: set[int] = field(default_factory=set)
    """Processes that were started by exec."""
    initialized: bool = False
    initializing: Instance | None = None
    init_restarts: int = 0
    ended: bool = False

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    @property
    def shares_processes(self) -> bool:
        return bool(self.pod["spec"].get("shareProcessNamespace"))

    def pids(self) -> set[int]:
        """Return its processes, with those that they started."""
        known = {slot.instance.pid for slot in self.slots.values() if slot.instance and slot.instance.pid}
        return set(descendants({pid for pid in known if pid} | self.executed))

    def show_processes(self) -> None:
        """Make each container's view of /proc."""
        views: dict[str, dict[str, int]] = {name: {} for name in self.slots}
        for name, slot in self.slots.items():
            if slot.instance is None or slot.instance.pid is None:
                continue
            own = {str(pid): pid for pid in descendants({slot.instance.pid})}
            for other in self.slots if self.shares_processes else (name,):
                views[other] |= own
            if not self.shares_processes:
                views[name]["1"] = slot.instance.pid
        for name, wanted in views.items():
            show(self.proc(name), wanted)

    def proc(self, container: str) -> Path:
        return self.folder / container / "proc"


def show(view: Path, wanted: dict[str, int]) -> None:
    """Make a folder hold links to these processes, and the machine's own files."""
    view.mkdir(parents=True, exist_ok=True)
    for name in ("self", "uptime", "stat", "meminfo", "net"):
        if not (view / name).is_symlink():
            (view / name).symlink_to(f"/proc/{name}")
    present = {each.name for each in view.iterdir() if each.name.isdigit()}
    for name in present - set(wanted):
        (view / name).unlink(missing_ok=True)
    for name, pid in wanted.items():
        link = view / name
        if not link.is_symlink() or link.readlink() != Path(f"/proc/{pid}"):
            link.unlink(missing_ok=True)
            link.symlink_to(f"/proc/{pid}")


def descendants(pids: set[int]) -> Iterator[int]:
    """Yield the processes and all that they started: proc_pid_children(5)."""
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        yield pid
        try:
            waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except OSError:
            continue


def environment_of(pod: Object, spec: Object, door: Door, store: Store) -> dict[str, str]:
    """Return a container's variables."""
    meta = pod["metadata"]
    values = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "status.podIP": door.inner,
        "status.hostIP": "127.0.0.1",
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
    }
    made = {"HOSTNAME": meta["name"]}
    for each in spec.get("env") or []:
        if "value" in each:
            made[each["name"]] = expand(each["value"], made)
            continue
        source = each.get("valueFrom") or {}
        if "fieldRef" in source:
            path = source["fieldRef"]["fieldPath"]
            label = path.removeprefix("metadata.labels['").removesuffix("']")
            made[each["name"]] = values.get(path) or (meta.get("labels") or {}).get(label, "")
        elif "configMapKeyRef" in source:
            chosen = source["configMapKeyRef"]
            made[each["name"]] = store.get("configmaps", meta["namespace"], chosen["name"])["data"][
                chosen["key"]
            ]
    return made


def mounts_of(pod: Object, spec: Object, folder: Path, volumes: Path, store: Store) -> dict[str, Path]:
    """Return where each of a container's volumes is here, made where it is not yet."""
    namespace = pod["metadata"]["namespace"]
    by_name = {each["name"]: each for each in pod["spec"].get("volumes") or []}
    found = {}
    for mount in spec.get("volumeMounts") or []:
        volume = by_name[mount["name"]]
        if "persistentVolumeClaim" in volume:
            here = volumes / namespace / volume["persistentVolumeClaim"]["claimName"]
        else:
            here = folder / "volumes" / mount["name"]
        here.mkdir(parents=True, exist_ok=True)
        here.chmod(0o700)
        if "configMap" in volume:
            data = store.get("configmaps", namespace, volume["configMap"]["name"]).get("data") or {}
            for name, text in data.items():
                (here / name).write_text(text)
        found[mount["mountPath"]] = here / mount["subPath"] if "subPath" in mount else here
    return found


def make_place(
    running: RunningPod,
    spec: Object,
    programs: Path,
    volumes: Path,
    store: Store,
    resolve: Callable[[str], str],
) -> Place:
    folder = running.folder / spec["name"]
    folder.mkdir(parents=True, exist_ok=True)
    mounts = mounts_of(running.pod, spec, running.folder, volumes, store)
    return Place(
        folder,
        running.proc(spec["name"]),
        programs,
        running.door.hidden,
        mounts,
        resolve,
    )


def status_of(running: RunningPod, before: Object, node_address: str) -> Object:
    """Return the status that the kubelet writes."""
    statuses = [_container_status(slot) for slot in running.slots.values()]
    pod = running.pod
    all_ready = bool(statuses) and all(each["ready"] for each in statuses)
    any_ran = any("waiting" not in each["state"] or each["restartCount"] for each in statuses)
    phase = "Running" if any_ran else "Pending"
    if running.ended or pod["spec"]["restartPolicy"] == "Never":
        finished = [each["state"].get("terminated") for each in statuses]
        if statuses and all(finished):
            phase = "Succeeded" if all(each["exitCode"] == 0 for each in finished if each) else "Failed"
    unready = [each["name"] for each in statuses if not each["ready"]]
    why = "" if all_ready else f"containers with unready status: [{' '.join(unready)}]"
    made = {
        "PodReadyToStartContainers": (True, "", ""),
        "Initialized": (running.initialized, "" if running.initialized else "ContainersNotInitialized", ""),
        "Ready": (all_ready, "" if all_ready else "ContainersNotReady", why),
        "ContainersReady": (all_ready, "" if all_ready else "ContainersNotReady", why),
    }
    return {
        **before,
        "phase": phase,
        "hostIP": node_address,
        "hostIPs": [{"ip": node_address}],
        "podIP": running.door.address,
        "podIPs": [{"ip": running.door.address}],
        "initContainerStatuses": _init_statuses(running),
        "startTime": before.get("startTime") or now(),
        "containerStatuses": statuses,
        "conditions": conditions(before.get("conditions") or [], made),
    }


def _init_statuses(running: RunningPod) -> list[Object]:
    done = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    return [
        {
            "name": each["name"],
            "image": each["image"],
            "imageID": "",
            "ready": running.initialized,
            "restartCount": running.init_restarts,
            "lastState": {},
            "state": done if running.initialized else {"waiting": {"reason": "PodInitializing"}},
        }
        for each in running.pod["spec"].get("initContainers") or []
    ]


def conditions(before: list[Object], made: dict[str, tuple[bool, str, str]]) -> list[Object]:
    """Return conditions, with the time of the last change of each."""
    old = {each["type"]: each for each in before}
    for name, (holds, reason, message) in made.items():
        value = "True" if holds else "False"
        each: Object = {"type": name, "status": value, "lastProbeTime": None}
        each |= {"reason": reason} if reason else {}
        each |= {"message": message} if message else {}
        same = old.get(name, {}).get("status") == value
        each["lastTransitionTime"] = old[name]["lastTransitionTime"] if same else now()
        old[name] = each
    return list(old.values())


def _container_status(slot: Slot) -> Object:
    seen = slot.observed
    made: Object = {
        "name": slot.spec["name"],
        "image": slot.spec["image"],
        "imageID": "",
        "restartCount": slot.restarts,
        "ready": False,
        "started": False,
        "lastState": slot.last.describe() if slot.last else {},
    }
    if seen is None:
        return made | {"state": {"waiting": {"reason": slot.waiting}}}
    made |= {"containerID": seen.id, "image": seen.image, "imageID": f"sha256:{abs(hash(seen.image)):064x}"}
    if slot.waiting == "CrashLoopBackOff":
        text = (
            f"back-off {slot.waits[slot.spec['image']]:.0f}s restarting failed container={slot.spec['name']}"
        )
        return made | {
            "state": {"waiting": {"reason": slot.waiting, "message": text}},
            "lastState": seen.describe(),
        }
    resources = slot.spec.get("resources") or {}
    if resources:
        made |= {"resources": resources, "allocatedResources": resources.get("requests", {})}
    running = seen.running()
    started = slot.started or "startupProbe" not in slot.spec
    return made | {
        "state": seen.describe(),
        "ready": running and slot.ready,
        "started": running and started,
    }


def forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
