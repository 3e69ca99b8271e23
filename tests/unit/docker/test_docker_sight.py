"""An engine that has not heard yet that a container ended is not the last word on it."""

import shutil
from pathlib import Path
from typing import Any

from subjects.base import ProcessView
from subjects.runtimes.docker_containers import view
from subjects.runtimes.docker_sight import KernelSight

ID = "f" * 64


def inspected(pid: int = 7, status: str = "running") -> dict[str, Any]:
    state = {"Status": status, "Pid": pid, "StartedAt": "2026-01-01T00:00:00Z", "ExitCode": 137}
    return {"Id": ID, "State": state, "NetworkSettings": {"Networks": {}}}


def seen(sight: KernelSight, container: dict[str, Any]) -> ProcessView:
    return sight.check(container, view(container))


def has_process(proc: Path, pid: int = 7, container: str = ID) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "cgroup").write_text(f"0::/system.slice/docker-{container}.scope\n")


def test_an_engine_that_calls_running_what_the_kernel_has_no_more_comes_late(tmp_path: Path) -> None:
    sight = KernelSight(tmp_path)
    has_process(tmp_path)
    assert not seen(sight, inspected()).delayed

    shutil.rmtree(tmp_path / "7")
    assert seen(sight, inspected()).delayed

    has_process(tmp_path, container="e" * 64)  # its number is another's by now
    assert seen(sight, inspected()).delayed


def test_of_an_engine_elsewhere_nothing_is_known_but_what_it_says(tmp_path: Path) -> None:
    """Docker Desktop, or DOCKER_HOST: a process of that number here is another one, or there is none."""
    sight = KernelSight(tmp_path)
    assert not seen(sight, inspected()).delayed

    has_process(tmp_path, container="e" * 64)
    assert not seen(sight, inspected()).delayed


def test_what_the_engine_says_has_ended_or_is_paused_is_so(tmp_path: Path) -> None:
    sight = KernelSight(tmp_path)
    has_process(tmp_path)
    seen(sight, inspected())
    shutil.rmtree(tmp_path / "7")

    for status in ("exited", "paused"):
        assert not seen(sight, inspected(status=status)).delayed


def test_a_container_that_runs_is_told_to_be_in_a_network_or_in_none() -> None:
    cut, attached = inspected(), inspected()
    attached["NetworkSettings"]["Networks"] = {"peers": {"EndpointID": "e1"}, "gone": {"EndpointID": ""}}

    assert (view(cut).networked, view(attached).networked) == (False, True)
    assert view(inspected(status="exited")).networked is None


def test_what_a_container_waited_for_a_processor_is_that_of_all_its_processes(tmp_path: Path) -> None:
    has_process(tmp_path)
    for pid, figures, children in ((7, "1000000000 0 3", "8 "), (8, "500000000 4000000000 9", "")):
        task = tmp_path / str(pid) / "task" / str(pid)
        task.mkdir(parents=True)
        (task / "schedstat").write_text(figures)
        (task / "children").write_text(children)

    found = seen(KernelSight(tmp_path), inspected())

    assert (found.ran_s, found.waited_s) == (1.5, 4.0)


def test_an_engine_that_never_named_a_network_says_nothing_by_naming_none(tmp_path: Path) -> None:
    """A rootless engine lists no networks of containers that have one."""
    sight, attached = KernelSight(tmp_path), inspected()
    attached["NetworkSettings"]["Networks"] = {"peers": {"EndpointID": "e1"}}

    assert seen(sight, inspected()).networked is None
    assert seen(sight, attached).networked is True
    assert seen(sight, inspected()).networked is False
