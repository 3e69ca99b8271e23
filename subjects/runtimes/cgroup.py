"""CPU limits on a process through the kernel's control groups, version 2 or 1.

A limited process is moved to a group of its own and moved back when the limit is lifted.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from subjects.errors import Unsupported

PERIOD_US = 100_000
"""The kernel's default period of CPU bandwidth control."""
_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Controller:
    """Where this machine has the cpu controller."""

    root: Path
    version: int

    def group_of(self, pid: int) -> Path:
        """Return the group that the process is in."""
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
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


def set_share(name: str, pid: int, cores: float | None) -> None:
    """Let the process use at most `cores` cores; None lifts the limit. `name` names the group."""
    controller = find_controller()
    group = controller.root / name
    if cores is None:
        _lift(controller, group)
        return
    group.mkdir(exist_ok=True)
    quota = max(1000, int(cores * PERIOD_US))  # the kernel takes no less than 1 ms
    if controller.version == 2:
        (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    (group / "cgroup.procs").write_text(str(pid))


def share(name: str) -> float | None:
    """Return the limit in force in the group `name`, in cores; None when there is none."""
    try:
        controller = find_controller()
    except Unsupported:
        return None
    group = controller.root / name
    if not group.exists() or not (group / "cgroup.procs").read_text().split():
        return None
    if controller.version == 2:
        quota, period = (group / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    quota = (group / "cpu.cfs_quota_us").read_text().strip()
    return None if quota == "-1" else int(quota) / int((group / "cpu.cfs_period_us").read_text())


def _lift(controller: Controller, group: Path) -> None:
    if not group.exists():
        return
    for pid in (group / "cgroup.procs").read_text().split():
        (controller.root / "cgroup.procs").write_text(pid)
    group.rmdir()


def _is_v1(path: Path) -> bool:
    return (path / "cpu.shares").exists()


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
