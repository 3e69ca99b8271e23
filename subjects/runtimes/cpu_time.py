"""What the kernel keeps of a process's time on processors, and of its waiting for one."""

from pathlib import Path

NS = 1e9


def cpu_time(pid: int) -> tuple[float, float] | None:
    """Return in seconds how long a process's threads ran, and how long they could have and had no processor.

    Waited is for a free one, and while a limit on the process's share was used up. Of threads that live; None
    where the kernel does not tell (it is Linux's `/proc/PID/task/TID/schedstat`).
    """
    ran = waited = 0
    measured = False
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            ran_ns, waited_ns, _ = path.read_text().split()
        except (OSError, ValueError):
            continue  # the thread has ended meanwhile
        ran, waited, measured = ran + int(ran_ns), waited + int(waited_ns), True
    return (ran / NS, waited / NS) if measured else None
