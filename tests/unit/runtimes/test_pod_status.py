"""What a pod's status says of the node in it, and what it cannot say."""

from typing import Any

import pytest

from subjects.base import ProcessState, RuntimeEvent
from subjects.runtimes.kubernetes.api import Api
from subjects.runtimes.kubernetes.pod_status import failed_probe, view
from subjects.runtimes.kubernetes.pods import Pods

Pod = dict[str, Any]
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def pod(state: Pod, *, restarts: int = 0, last: Pod | None = None, **status: Any) -> Pod:
    container = {
        "name": "etcd",
        "state": state,
        "lastState": last or {},
        "restartCount": restarts,
        "ready": "running" in state,
        "containerID": f"containerd://{restarts}",
    }
    return {
        "metadata": {"name": "etcd-1", "uid": "u"},
        "spec": {"containers": [{"name": "etcd"}]},
        "status": {"phase": "Running", "containerStatuses": [container], **status},
    }


def ended(code: int, reason: str) -> Pod:
    return {"terminated": {"exitCode": code, "reason": reason}}


def test_that_it_runs_may_be_out_of_date() -> None:
    found = view(pod(RUNNING))

    assert found.state is ProcessState.RUNNING
    assert found.delayed


@pytest.mark.parametrize(
    ("reason", "oom"),
    [("OOMKilled", True), ("Error", False)],
)
def test_an_end_is_told_with_its_reason(reason: str, oom: bool) -> None:
    found = view(pod(ended(137, reason)))

    assert (found.state, found.exit_code, found.oom_killed) == (ProcessState.EXITED, 137, oom)
    assert reason in found.raw
    assert not found.delayed


def test_an_eviction_is_no_kill() -> None:
    text = "The node was low on resource: memory."
    found = view(pod(ended(137, "Error"), phase="Failed", reason="Evicted", message=text))

    assert found.evicted
    assert text in found.raw


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_a_container_that_cannot_be_started_says_why(reason: str) -> None:
    waiting = {"waiting": {"reason": reason, "message": 'pull of "etcd:v9": not found'}}
    found = view(pod(waiting, restarts=1, last=ended(0, "Completed")))

    assert found.state is ProcessState.EXITED
    assert reason in found.blocked
    assert "etcd:v9" in found.raw


def test_one_that_waits_after_crashes_is_not_blocked() -> None:
    found = view(pod({"waiting": {"reason": "CrashLoopBackOff"}}, restarts=4, last=ended(137, "OOMKilled")))

    assert not found.blocked
    assert found.oom_killed


def test_nothing_is_known_of_a_pod_whose_machine_does_not_report() -> None:
    """The node controller takes Ready away, and leaves what the kubelet last said of the container."""
    found = view(pod(RUNNING, conditions=[{"type": "Ready", "status": "False"}]))

    assert found.state is ProcessState.UNKNOWN
    assert "does not report" in found.raw


def test_a_probe_that_fails_is_no_machine_that_is_lost() -> None:
    failing = pod(RUNNING, conditions=[{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}])
    failing["status"]["containerStatuses"][0]["ready"] = False

    assert view(failing).state is ProcessState.RUNNING


def told(before: Pod, after: Pod) -> list[RuntimeEvent]:
    """What a watch tells of a change."""
    happened: list[RuntimeEvent] = []
    pods = Pods(Api(None, None, "", "", ""), "db", "app=etcd")
    pods.tell(happened.append)
    pods._take("ADDED", before)
    pods._listed = True
    pods._take("MODIFIED", after)
    return happened


def test_a_restart_that_is_seen_afterwards_still_tells_how_the_one_before_ended() -> None:
    again = pod(RUNNING, restarts=1, last=ended(137, "OOMKilled"))

    assert [(each.kind, each.exit_code) for each in told(pod(RUNNING), again)] == [
        ("oom", 137),
        ("start", None),
    ]


@pytest.mark.parametrize(
    ("message", "at", "uid", "told"),
    [
        ("Container etcd failed liveness probe, will be restarted", "2026-01-01T00:00:09Z", "u", True),
        ("Container etcd failed startup probe, will be restarted", "2026-01-01T00:00:09Z", "u", True),
        ("Container sidecar failed liveness probe, will be restarted", "2026-01-01T00:00:09Z", "u", False),
        ("Container etcd failed liveness probe, will be restarted", "2025-12-31T23:59:59Z", "u", False),
        ("Container etcd failed liveness probe, will be restarted", "2026-01-01T00:00:09Z", "other", False),
        ("Stopping container etcd", "2026-01-01T00:00:09Z", "u", False),
    ],
)
def test_a_probe_is_the_reason_of_an_end_if_it_failed_in_that_run(
    message: str, at: str, uid: str, *, told: bool
) -> None:
    last = ended(137, "Error")
    last["terminated"]["startedAt"] = "2026-01-01T00:00:00Z"
    event = {"message": message, "lastTimestamp": at, "involvedObject": {"uid": uid}}

    assert (message in failed_probe(pod(RUNNING, restarts=1, last=last), "etcd", [event])) is told


def test_an_eviction_is_told_as_one() -> None:
    gone = pod(ended(137, "Error"), phase="Failed", reason="Evicted", message="low on memory")

    assert [each.kind for each in told(pod(RUNNING), gone)] == ["evicted"]


def test_a_pod_taken_from_a_machine_that_is_lost_is_not_shut_down_in_order() -> None:
    lost = pod(
        RUNNING,
        conditions=[
            {"type": "Ready", "status": "False"},
            {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"},
        ],
    )
    lost["metadata"]["deletionTimestamp"] = "2026-01-01T00:05:00Z"

    assert told(pod(RUNNING), lost) == []
