"""Limits on a local process while it runs: the largest file it may write, and its share of the cores."""

import contextlib
import resource
import zlib
from collections.abc import Mapping
from pathlib import Path

from subjects.base import Capability, Identity
from subjects.base.control import can, cannot
from subjects.errors import StaleTarget, Unsupported
from subjects.runtimes import cgroup
from subjects.runtimes.json_file import read_file, write_json


class ProcessLimits:
    """The limits of one node's processes, one after the other; `home` is the node's folder."""

    def __init__(self, cluster_folder: Path, node: str, home: Path) -> None:
        self._group = f"operator-{zlib.crc32(str(cluster_folder).encode()):08x}-{node}"
        self._origin = home / "cgroup.json"
        """Where the process was before it was moved to a control group of its own."""

    def in_force(self, known: Identity | None) -> Mapping[str, float | None]:
        """Return the limits in force on the process: `disk_bytes` and `cpu_share`; None is unlimited."""
        disk: float | None = None
        if known is not None and disk_capability().available:
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile, and its limits with it
                soft = resource.prlimit(int(known.id), resource.RLIMIT_FSIZE)[0]
                disk = None if soft == resource.RLIM_INFINITY else float(soft)
        return {"disk_bytes": disk, "cpu_share": cgroup.share(self._group)}

    def set(self, known: Identity, name: str, value: float | None) -> None:
        """Set a limit; None lifts it. Unsupported for another name, StaleTarget once the process ended."""
        pid = int(known.id)
        if name == "cpu_share":
            self._set_cpu(pid, value)
        elif name == "disk_bytes":
            soft = resource.RLIM_INFINITY if value is None else int(value)
            # Only the soft limit is lowered: an unprivileged process can't raise a hard one again.
            try:
                hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
            except ProcessLookupError as error:
                raise StaleTarget(f"Process {pid} is not there any more.") from error
        else:
            raise Unsupported(f"There is no limit {name!r}: disk_bytes and cpu_share are those there are.")

    def forget(self) -> None:
        """Lift what a process that has ended, or is about to, was limited to in the kernel's groups."""
        with contextlib.suppress(Unsupported, OSError):
            cgroup.lift(self._group, self._came_from())

    def _set_cpu(self, pid: int, cores: float | None) -> None:
        """Move the process to a group of its own, or back to where it was: that is written down before."""
        if cores is None:
            cgroup.lift(self._group, self._came_from())
            return
        origin = cgroup.group_of(pid)
        if origin.name != self._group:
            write_json(self._origin, {"home": str(origin)})
        cgroup.set_share(self._group, pid, cores)

    def _came_from(self) -> Path | None:
        home = (read_file(self._origin) or {}).get("home")
        return Path(home) if isinstance(home, str) else None


def disk_capability() -> Capability:
    """Say whether a running process's largest file can be limited here."""
    if hasattr(resource, "prlimit"):
        return can("the largest file that the process may write (prlimit)")
    return cannot("a running process's limits can't be changed on this system")


def cpu_capability() -> Capability:
    """Say whether a process's share of the cores can be limited here."""
    try:
        controller = cgroup.find_controller()
    except Unsupported as reason:
        return cannot(str(reason))
    return can(f"cpu control group, version {controller.version}")
