"""Lines from standard input, read so that a client that says nothing cannot keep the program from ending."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator

from subjects.lines import Lines

CHUNK = 65_536
AHEAD = 16
"""Chunks that are read ahead of whoever takes the lines."""


class InputLines:
    """Iterates over the lines of a file descriptor until it ends.

    The blocking read is done by a daemon thread: the loop's own pool would be waited for at exit. It reads
    the bare descriptor, since the lock of a buffered file is taken down with the interpreter.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue(AHEAD)

    async def __aiter__(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="input", daemon=True).start()
        lines = Lines()
        while chunk := await self._chunks.get():
            for line in lines.feed(chunk):
                yield line.decode("utf-8", "replace")
        if rest := lines.rest():
            yield rest.decode("utf-8", "replace")

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        chunk = b"?"
        while chunk:
            try:
                chunk = os.read(self._descriptor, CHUNK)
            except OSError:
                chunk = b""  # a terminal that went away ends the input, too
            putting = self._chunks.put(chunk)
            try:
                asyncio.run_coroutine_threadsafe(putting, loop).result()
            except (RuntimeError, asyncio.CancelledError):  # the loop is closed or closing
                putting.close()
                return


def divert_input() -> int:
    """Return a descriptor of our own for standard input, whose place an empty one takes.

    So no child and no stray read can take a line from the wire.
    """
    own = os.dup(0)
    os.set_inheritable(own, False)
    empty = os.open(os.devnull, os.O_RDONLY)
    with contextlib.closing(os.fdopen(empty)):
        os.dup2(empty, 0)
    return own
