"""Local processes known by (pid, start time), so that a reused pid is never touched.

On Linux a pidfd holds the process while it is checked and signalled; on macOS kqueue tells of its end.
"""

import asyncio
import contextlib
import functools
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from subjects.base import Identity, ProcessState
from subjects.errors import NotReady, StaleTarget
from subjects.runtimes.json_file import read_file, write_json

LINUX = sys.platform == "linux"


def identify(pid: int) -> Identity | None:
    """Return the identity of the process that has `pid` now; None when none has, or it has already ended."""
    started = _start_time(pid)
    return None if started is None else Identity("process", str(pid), started)


@functools.cache
def boot_id() -> str:
    """Return which boot of the machine this is; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def own() -> Identity:
    """Return the identity of this process. NotReady where it can't see itself (/proc is hidden)."""
    known = identify(os.getpid())
    if known is None:
        raise NotReady("This process cannot see itself in the process table: is /proc mounted?")
    return known


def write(path: Path, known: Identity) -> None:
    """Write down a process, for whoever comes next; readers see the old file or the new one."""
    write_json(path, {"pid": int(known.id), "started": known.started})


def read(path: Path) -> Identity | None:
    """Return the process that was written down there; None where none was."""
    raw = read_file(path) or {}
    pid, started = raw.get("pid"), raw.get("started")
    if not isinstance(pid, int) or not isinstance(started, str):
        return None
    return Identity("process", str(pid), started)


def running(path: Path) -> Identity | None:
    """Return the process that was written down there if it still runs."""
    known = read(path)
    return None if known is None or state(known) is ProcessState.EXITED else known


def state(identity: Identity) -> ProcessState:
    """Return what the kernel says of that very process; EXITED when it is gone or its pid was reused."""
    pid = int(identity.id)
    if LINUX:
        fields = _stat_fields(pid)
        if fields is None or fields[_STARTTIME] != identity.started or _ended(fields):
            return ProcessState.EXITED
        return ProcessState.PAUSED if fields[0] in "Tt" else ProcessState.RUNNING
    return _psutil_state(identity)


def ending(identity: Identity) -> bool:
    """Return whether the kernel is putting an end to that very process, or has done so since it was seen.

    Known on Linux alone. Taking the memory of a large process down takes milliseconds, on a busy machine
    many: a start in that moment would find a process that seems to run.
    """
    if not LINUX:
        return False
    pid = int(identity.id)
    fields = _stat_fields(pid)
    if fields is None or fields[_STARTTIME] != identity.started:
        return True
    return bool(int(fields[_FLAGS]) & _ON_ITS_WAY_OUT) or _kill_pending(pid)


def send_signal(identity: Identity, number: signal.Signals) -> None:
    """Send a signal to that very process. StaleTarget when it is not there any more."""
    pid = int(identity.id)
    if not LINUX:
        if state(identity) is ProcessState.EXITED:
            raise StaleTarget(f"Process {pid} is not the one that was meant: it has ended.")
        os.kill(pid, number)
        return
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError as error:
        raise StaleTarget(f"Process {pid} is not there any more.") from error
    try:
        # The check comes after the open: what the pidfd holds cannot be replaced in between.
        if state(identity) is ProcessState.EXITED:
            raise StaleTarget(f"Process {pid} is not the one that was meant: it has ended.")
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError as error:
        raise StaleTarget(f"Process {pid} is not there any more.") from error
    finally:
        os.close(handle)


def descendants(pid: int, proc: Path = Path("/proc")) -> Iterator[int]:
    """Yield what a process started, and what that started; nothing where the kernel does not tell."""
    for thread in _threads(pid, proc):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            for child in map(int, (thread / "children").read_text().split()):
                yield child
                yield from descendants(child, proc)


def _threads(pid: int, proc: Path) -> list[Path]:
    try:
        return list((proc / str(pid) / "task").iterdir())
    except OSError:  # the process has ended meanwhile
        return []


def cpu_time(pid: int, proc: Path = Path("/proc")) -> tuple[float, float] | None:
    """Return in seconds how long a process's threads ran, and how long they could have and had no processor.

    Waited is for a free one, and while a limit on the process's share was used up. Of threads that live; None
    where the kernel does not tell (it is Linux's `/proc/PID/task/TID/schedstat`).
    """
    ran = waited = 0
    measured = False
    for thread in _threads(pid, proc):
        try:
            ran_ns, waited_ns, _ = (thread / "schedstat").read_text().split()
        except (OSError, ValueError):
            continue  # the thread has ended meanwhile
        ran, waited, measured = ran + int(ran_ns), waited + int(waited_ns), True
    return (ran / 1e9, waited / 1e9) if measured else None


class ExitWatch:
    """Calls back on the event loop when a process ends, by the kernel's notification."""

    def __init__(self, identity: Identity, on_exit: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_exit = on_exit
        self._descriptor: int | None = None
        self._kqueue: select.kqueue | None = None  # type: ignore[name-defined,unused-ignore]
        self._over = False
        pid = int(identity.id)
        try:
            self._descriptor = os.pidfd_open(pid) if LINUX else self._open_kqueue(pid)
        except ProcessLookupError:
            self._loop.call_soon(self._fire)
            return
        if state(identity) is ProcessState.EXITED:
            self._loop.call_soon(self._fire)
            return
        self._loop.add_reader(self._descriptor, self._fire)

    def close(self) -> None:
        """Stop watching."""
        self._over = True
        if self._descriptor is None:
            return
        self._loop.remove_reader(self._descriptor)
        if self._kqueue is not None:
            self._kqueue.close()
        else:
            os.close(self._descriptor)
        self._descriptor = None

    def _fire(self) -> None:
        if self._over:
            return
        self.close()
        self._on_exit()

    def _open_kqueue(self, pid: int) -> int:
        queue = select.kqueue()  # type: ignore[attr-defined,unused-ignore]
        event = select.kevent(  # type: ignore[attr-defined,unused-ignore]
            pid,
            filter=select.KQ_FILTER_PROC,  # type: ignore[attr-defined,unused-ignore]
            flags=select.KQ_EV_ADD,  # type: ignore[attr-defined,unused-ignore]
            fflags=select.KQ_NOTE_EXIT,  # type: ignore[attr-defined,unused-ignore]
        )
        queue.control([event], 0)
        self._kqueue = queue
        return int(queue.fileno())


async def wait_exit(identity: Identity, timeout_s: float) -> bool:
    """Wait until that process has ended; False when it still runs after `timeout_s`."""
    ended = asyncio.Event()
    watch = ExitWatch(identity, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), timeout_s)
    except TimeoutError:
        return False
    finally:
        watch.close()
    return True


_FLAGS, _THREADS, _STARTTIME = 6, 17, 19
"""Fields 9, 20 and 22 of proc_pid_stat(5), counted from the state, which follows the command's name."""
_ON_ITS_WAY_OUT = 0x4 | 0x400
"""PF_EXITING and PF_SIGNALED of the kernel's include/linux/sched.h."""


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _ended(fields: list[str]) -> bool:
    """A first thread that has ended is no end while others of the process still hold its ports and files."""
    return fields[0] in "ZX" and int(fields[_THREADS]) <= 1


def _kill_pending(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    pending = (line.split()[1] for line in status.splitlines() if line.startswith(("SigPnd:", "ShdPnd:")))
    return any(int(mask, 16) >> (signal.SIGKILL - 1) & 1 for mask in pending)


def _start_time(pid: int) -> str | None:
    if LINUX:
        fields = _stat_fields(pid)
        return None if fields is None or _ended(fields) else fields[_STARTTIME]
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return repr(process.create_time())
    return None


def _psutil_state(identity: Identity) -> ProcessState:
    import psutil

    try:
        process = psutil.Process(int(identity.id))
        if repr(process.create_time()) != identity.started:
            return ProcessState.EXITED
        status = process.status()
    except psutil.NoSuchProcess:
        return ProcessState.EXITED
    if status == psutil.STATUS_ZOMBIE:
        return ProcessState.EXITED
    return ProcessState.PAUSED if status == psutil.STATUS_STOPPED else ProcessState.RUNNING
