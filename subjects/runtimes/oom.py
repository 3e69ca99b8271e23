"""Whether the kernel's OOM killer ended a process: asked of its counter, and of its log."""

import os
from pathlib import Path

_VMSTAT = Path("/proc/vmstat")
_KMSG = Path("/dev/kmsg")
MAX_RECORDS = 20_000
"""Of the kernel's log; its ring buffer holds some thousands."""
_RECORD_BYTES = 8192


def oom_kills(vmstat: Path = _VMSTAT) -> int | None:
    """Return how many processes the OOM killer ended since boot; None where the kernel does not count."""
    try:
        lines = vmstat.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def oom_killed(pid: int, before: int | None, vmstat: Path = _VMSTAT, kmsg: Path = _KMSG) -> bool | None:
    """Return whether that process was OOM-killed; None if unknown. `before` is the count while it ran."""
    now = oom_kills(vmstat)
    if now is None:
        return None
    if now in (0, before):
        return False
    return _in_kernel_log(pid, kmsg)


def _in_kernel_log(pid: int, kmsg: Path) -> bool | None:
    """Return whether the kernel's log has it; None where we may not read that, or it no longer goes back."""
    named = f"Killed process {pid} ".encode()
    try:
        log = os.open(kmsg, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        for _ in range(MAX_RECORDS):
            record = os.read(log, _RECORD_BYTES)
            if named in record:
                return True
            if not record:
                return None
    except OSError:  # EAGAIN: that was the last
        return None
    finally:
        os.close(log)
    return None
