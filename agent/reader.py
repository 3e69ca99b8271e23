"""Whoever reads our standard output through a pipe: when that program ends, so do we."""

import os
import select
import stat
from contextlib import suppress
from typing import Self

STDOUT = 1


class Reader:
    """The other end of standard output, where that is a pipe. `with` holds it."""

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._pipe: int | None = None
        with suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                self._pipe = os.dup(descriptor)  # the original may be pointed elsewhere once it is broken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    @property
    def gone(self) -> bool:
        """Whether nobody can ever read what we write; known without writing anything."""
        if self._pipe is None:
            return False
        poll = select.poll()
        poll.register(self._pipe, 0)  # POLLERR and POLLHUP are always reported
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
