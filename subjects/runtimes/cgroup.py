"""CPU limits on a process through the kernel's control groups, version 2 or 1.

A limited process is moved to a group of its own and moved back when the limit is lifted.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from subjects.errors import Unsupported

PERIOD_US = 100_000
"""The kernel's default period of CPU bandwidth control."""
_ROOT = Path("/sys/fs/cgroup")
_REMOVE_S = 0.2


@dataclass(frozen=True, slots=True)
class Controller:
    """Where this machine has the cpu controller."""

    root: Path
    version: int

    def group_of(self, pid: int, proc: Path = Path("/proc")) -> Path:
        """Return the group that the process is in."""
        for line in (proc / str(pid) / "cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            if (self.version == 2 and names == "") or (self.version == 1 and "cpu" in names.split(",")):
                return self.root / path.lstrip("/")
        raise Unsupported(f"Process {pid} is in no cpu control group.")


def find_controller() -> Controller:
    """Return the cpu controller if groups can be made in it; Unsupported with the reason if not."""
    v1 = _ROOT / "cpu"
    controller = Controller(v1, 1) if (v1 / "cpu.cfs_quota_us").exists() or _is_v1(v1) else None
    if controller is None and "cpu" in _words(_ROOT / "cgroup.subtree_control"):
        controller = Controller(_ROOT, 2)
    if controller is None:
        raise Unsupported("this kernel offers no cpu control group here")
    if not os.access(controller.root, os.W_OK):
        raise Unsupported(f"making a control group in {controller.root} needs root")
    return controller


def group_of(pid: int) -> Path:
    """Return the cpu group that the process is in: where it goes back to."""
    return find_controller().group_of(pid)


def throttled_s(pid: int, proc: Path = Path("/proc"), root: Path = _ROOT) -> float | None:
    """Return how long the quota of a process's group held it back, in seconds, summed over processors.

    Since the group was made; 0 where it has no quota, None where the kernel does not tell (`cpu.stat`).
    Unlike what threads wait for a processor it grows for no other reason.
    """
    v1 = root / "cpu"
    try:
        group = (Controller(v1, 1) if _is_v1(v1) else Controller(root, 2)).group_of(pid, proc)
        figures = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        return int(figures.get("throttled_time", 0)) / 1e9 + int(figures.get("throttled_usec", 0)) / 1e6
    except (OSError, ValueError, Unsupported):
        return None


def set_share(name: str, pid: int, cores: float) -> None:
    """Let the process use at most `cores` cores. `name` names the group that it is moved to."""
    controller = find_controller()
    group = controller.root / name
    group.mkdir(exist_ok=True)
    quota = max(1000, int(cores * PERIOD_US))  # the kernel takes no less than 1 ms
    if controller.version == 2:
        (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    (group / "cgroup.procs").write_text(str(pid))


def lift(name: str, back_to: Path | None) -> None:
    """Move what is in the group `name` back to where it was, and delete the group. Safe without one."""
    controller = find_controller()
    group = controller.root / name
    if not group.exists():
        return
    home = back_to if back_to is not None and back_to.exists() else controller.root
    for pid in (group / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            (home / "cgroup.procs").write_text(pid)
    _remove(group)


def share(name: str) -> float | None:
    """Return the limit in force in the group `name`, in cores; None when there is none."""
    try:
        controller = find_controller()
    except Unsupported:
        return None
    group = controller.root / name
    try:
        if not (group / "cgroup.procs").read_text().split():
            return None
        if controller.version == 2:
            quota, period = (group / "cpu.max").read_text().split()
            return None if quota == "max" else int(quota) / int(period)
        quota = (group / "cpu.cfs_quota_us").read_text().strip()
        return None if quota == "-1" else int(quota) / int((group / "cpu.cfs_period_us").read_text())
    except FileNotFoundError:
        return None


def _remove(group: Path) -> None:
    """Delete the group; a process that was killed in it is in it until the kernel has cleared it away."""
    deadline = time.monotonic() + _REMOVE_S
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _is_v1(path: Path) -> bool:
    return (path / "cpu.shares").exists()


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
