"""What one pod's status says of the node in it, as the kubelet last reported it.

That comes a second or more late, and not at all from a machine that is lost: a status that says `running` is
no proof that a process runs now, one that says how it ended is.
"""

import re
from collections.abc import Iterable, Mapping

from subjects.base import Identity, ProcessState, ProcessView
from subjects.runtimes.kubernetes.api import Json
from subjects.runtimes.supervisor import describe_exit

BLOCKS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)
"""Why a container waits that nothing but a change of its pod, or of what that names, can start."""


def view(pod: Json) -> ProcessView:
    """Return what the API says of a pod's database container."""
    name = pod["metadata"]["name"]
    status = container_status(pod)
    state = status.get("state") or {}
    if running := state.get("running"):
        restarts = status.get("restartCount", 0)
        said = f"runs since {running.get('startedAt')}, restarts: {restarts}"
        unknown = "its machine does not report any more; before that, " if lost(pod) else ""
        return ProcessView(
            ProcessState.UNKNOWN if unknown else ProcessState.RUNNING,
            Identity(
                "container",
                f"{pod['metadata']['uid']}/{status.get('containerID', '')}",
                f"{running.get('startedAt')}, restart {restarts}",
            ),
            delayed=True,
            raw=f"pod {name}: {unknown}{status['name']} {said}",
        )
    if ended := state.get("terminated"):
        return _ended(pod, status["name"], ended)
    if waiting := state.get("waiting"):
        last = last_end(pod)
        why = str(waiting.get("reason"))
        blocked = why if why in BLOCKS else ""
        said = f" ({_short(waiting['message'])})" if blocked and waiting.get("message") else ""
        reason = f"pod {name}: {status['name']} waits: {why}{said}"
        raw = f"{reason}; {last.raw}" if last.raw else reason
        return ProcessView(
            ProcessState.EXITED, None, last.exit_code, last.oom_killed, blocked=blocked, raw=raw
        )
    phase = (pod.get("status") or {}).get("phase", "unknown")
    return ProcessView(ProcessState.EXITED, raw=f"pod {name} is {phase}{_unscheduled(pod)}")


def container_status(pod: Json, container: str = "") -> Json:
    """Return the status of a pod's database container; empty before there is one."""
    name = database_container(pod, container)
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((each for each in statuses if each["name"] == name), {})


def database_container(pod: Json, container: str = "") -> str:
    """Return which container the database runs in: the one given, one of a usual name, else the first."""
    there = [str(each["name"]) for each in pod["spec"]["containers"]]
    return next((name for name in (container, "etcd", "tikv", "pd") if name in there), there[0])


def ports_of(pod: Json) -> Mapping[str, int]:
    """Return the ports that the database container declares, by name."""
    name = database_container(pod)
    spec = next(each for each in pod["spec"]["containers"] if each["name"] == name)
    return {str(port.get("name", "")): int(port["containerPort"]) for port in spec.get("ports") or ()}


def declared(pod: Json) -> frozenset[int]:
    """Return the ports that the database container declares."""
    return frozenset(ports_of(pod).values())


def is_name_of(pods: Iterable[Json], name: str) -> bool:
    """Whether a certificate for `name` is that of one of these pods, or of a service of their namespace.

    What comes by port-forward reaches a member at its own loopback address.
    """
    if name in _LOOPBACK:
        return True
    for pod in pods:
        meta, spec = pod["metadata"], pod["spec"]
        host, service = spec.get("hostname") or meta["name"], spec.get("subdomain", "")
        if f".{meta['namespace']}.svc." in f"{name}." or name in {host, f"{host}.{service}"}:
            return True
        if name in {f"{host}.{service}.{meta['namespace']}", (pod.get("status") or {}).get("podIP")}:
            return True
    return False


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def leaving(pod: Json) -> bool:
    """Whether somebody has asked for the pod's end: a drain, a rollout, a delete."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def lost(pod: Json) -> bool:
    """Whether its machine has stopped reporting: what is said of its containers is from before that.

    The node controller takes Ready away from such a pod and changes nothing else, so that its container is
    still called ready; a kubelet that takes Ready away says why.
    """
    status = pod.get("status") or {}
    ready: Json = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), {})
    containers = status.get("containerStatuses") or ()
    return (
        ready.get("status") in ("False", "Unknown")
        and not ready.get("reason")
        and bool(containers)
        and all(each.get("ready") for each in containers)
    )


def planned(pod: Json) -> bool:
    """Whether it is shut down in order: not where its machine is lost, and nobody can."""
    return leaving(pod) and not lost(pod)


def why_leaving(pod: Json) -> str:
    """Say who asked for a pod's end, where its conditions tell (a drain, a full node)."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("type") == "DisruptionTarget" and each.get("status") == "True":
            return f": {each.get('reason')}"
    return ""


def last_end(pod: Json) -> ProcessView:
    """Return how the container's run before this one ended; nothing is known of it where there was none."""
    status = container_status(pod)
    ended = (status.get("lastState") or {}).get("terminated")
    if not ended:
        return ProcessView(ProcessState.EXITED)
    return _ended(pod, status["name"], ended)


def failed_probe(pod: Json, container: str, events: Iterable[Json]) -> str:
    """Return what the kubelet's event says of a probe for which it ended the last run; empty without one."""
    status = container_status(pod, container)
    ends = [(status.get(name) or {}).get("terminated") for name in ("state", "lastState")]
    began = next((str(each["startedAt"]) for each in ends if each and each.get("startedAt")), None)
    for each in events:
        said, at = str(each.get("message", "")), str(each.get("lastTimestamp") or each.get("eventTime") or "")
        ours = each["involvedObject"]["uid"] == pod["metadata"]["uid"] and f"{container} " in said
        if ours and _PROBE.search(said) and began is not None and at >= began:
            return f"pod {pod['metadata']['name']}: {_short(said)}"
    return ""


_PROBE = re.compile(r"failed (?:liveness|startup) probe")
"""pkg/kubelet/kuberuntime/kuberuntime_manager.go, computePodActions."""


def _ended(pod: Json, container: str, ended: Json) -> ProcessView:
    code, reason = ended.get("exitCode"), ended.get("reason")
    how = describe_exit(code) if isinstance(code, int) else "unknown"
    return ProcessView(
        ProcessState.EXITED,
        exit_code=code,
        oom_killed=reason == "OOMKilled",
        evicted=bool(evicted := _evicted(pod)),
        raw=f"pod {pod['metadata']['name']}: {evicted}{container} has ended: {how}, reason {reason}",
    )


def _evicted(pod: Json) -> str:
    """Say that the kubelet ended the whole pod, and why; empty where it did not."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed" or not status.get("reason"):
        return ""
    return f"{status['reason']}: {_short(status.get('message'))}; "


def _short(message: object) -> str:
    return " ".join(str(message or "").split())[:200]


def _unscheduled(pod: Json) -> str:
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("status") == "False" and each.get("message"):
            return f": {_short(each['message'])}"
    return ""
