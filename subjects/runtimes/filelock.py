"""A lock on a file, for what only one process of a machine may do at a time.

The kernel gives it back when its holder dies, however it dies: no lock outlives a `kill -9`.
"""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

from subjects.errors import NotReady

_LOOK_S = 0.005


@asynccontextmanager
async def locked(path: Path, timeout_s: float) -> AsyncIterator[None]:
    """Hold the file's lock. NotReady when somebody else holds it for longer than `timeout_s`."""
    with path.open("a") as handle:
        deadline = time.monotonic() + timeout_s
        while not try_lock(handle.fileno()):
            if time.monotonic() > deadline:
                raise NotReady(f"{path} has been locked by another operator for {timeout_s:g} s.")
            await asyncio.sleep(_LOOK_S)
        yield


def hold(path: Path) -> TextIO | None:
    """Take the file's lock without waiting, until what is returned is closed; None when it is taken."""
    handle = path.open("a")
    if try_lock(handle.fileno()):
        return handle
    handle.close()
    return None


def share(path: Path) -> TextIO | None:
    """Take a share of the file's lock without waiting; None when somebody holds it alone."""
    handle = path.open("a")
    if _flock(handle.fileno(), fcntl.LOCK_SH):
        return handle
    handle.close()
    return None


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file, without waiting; False when somebody else holds it or a share of it."""
    return _flock(descriptor, fcntl.LOCK_EX)


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
