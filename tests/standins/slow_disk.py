"""A disk that is slow for one process: the kernel holds its writes back (cgroup v1, blkio; needs root)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BLKIO = Path("/sys/fs/cgroup/blkio")
_LIMIT = "blkio.throttle.write_iops_device"


def why_not() -> str:
    """Say what keeps it from being done here; empty where it can be."""
    if not (BLKIO / _LIMIT).exists():
        return "this kernel offers no blkio control group, version 1"
    return "" if os.access(BLKIO, os.W_OK) else "making a control group needs root"


@contextmanager
def slow_disk(pid: int, folder: Path, writes_per_s: int) -> Iterator[None]:
    """Let the process write to the disk that `folder` is on only so often, for the length of the block."""
    device = folder.stat().st_dev
    home = _group_of(pid)
    group = BLKIO / f"operator-test-{pid}"
    group.mkdir()
    try:
        (group / _LIMIT).write_text(f"{os.major(device)}:{os.minor(device)} {writes_per_s}")
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for member in (group / "cgroup.procs").read_text().split():
            (home / "cgroup.procs").write_text(member)
        group.rmdir()


def _group_of(pid: int) -> Path:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    path = next(line.split(":", 2)[2] for line in lines if "blkio" in line.split(":", 2)[1].split(","))
    return BLKIO / path.lstrip("/")
