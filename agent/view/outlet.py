"""Writing to a pipe from a thread of its own, so that a slow reader cannot hold up the event loop."""

import asyncio
import errno
import os
import queue
import select
import stat
import sys
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TextIO

from agent.errors import NotWritten

BACKLOG = 20_000
"""Writes that may wait for the reader; beyond that the writer waits too, rather than lose any."""

CLOSE_TIMEOUT_S = 10.0
"""How long the end of the program waits for a reader that does not read."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Outlet:
    """A text stream, written in the order of `write`, each piece whole.

    A short piece that a pipe has room for is written at once: on a busy machine the thread would come to it
    milliseconds later.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pipe = _pipe_of(stream)
        self._pieces: queue.Queue[str | None] = queue.Queue(BACKLOG)
        self._lock = threading.Lock()
        self._waiting = 0
        """Pieces that the thread has yet to write."""
        self._thread = threading.Thread(target=self._drain, name="outlet", daemon=True)
        self._thread.start()
        self.broken = False
        """Whether the reader went away."""
        self._no_room = ""

    def write(self, text: str) -> None:
        """Hand over `text`; written soon, and silently dropped once the reader is gone."""
        if not text or self.broken:
            return
        with self._lock:
            if not self._waiting and self._pipe is not None and self._written(self._pipe, text):
                return
            self._waiting += 1
        self._pieces.put(text)

    async def aclose(self) -> None:
        """Write what is left, for at most `CLOSE_TIMEOUT_S`."""
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._pieces.put_nowait(None)
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)

    @property
    def unread(self) -> bool:
        """Whether something was to be written after the reader had gone away."""
        return self.broken and not self._no_room

    def check(self) -> None:
        """Raise NotWritten where what was handed over is lost, but not to a reader that went away."""
        if self._no_room:
            raise NotWritten(f"Standard output cannot be written: {self._no_room}. The output is incomplete.")

    def _written(self, pipe: int, text: str) -> bool:
        """Write `text` if that cannot block: a pipe that is ready takes PIPE_BUF bytes."""
        data = text.encode(self._stream.encoding, self._stream.errors or "strict")
        ready = select.poll()
        ready.register(pipe, select.POLLOUT)
        if len(data) > select.PIPE_BUF or ready.poll(0) != [(pipe, select.POLLOUT)]:
            return False
        try:
            return os.write(pipe, data) == len(data)
        except OSError:
            return False  # the thread finds out what became of it

    def _drain(self) -> None:
        while (text := self._pieces.get()) is not None:
            if not self.broken:
                self._write(text)
            with self._lock:
                self._waiting -= 1
        self._write("")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            if self._pieces.empty():
                self._stream.flush()
        except (OSError, ValueError) as error:  # the reader is gone, or the stream was closed under us
            self._broke(error)

    def _broke(self, error: Exception) -> None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            self._no_room = str(error.strerror)
        self.broken = True
        self._silence()

    def _silence(self) -> None:
        """Point the real standard output at nothing: Python flushes it once more as it ends."""
        if self._stream is not sys.stdout:
            return
        with suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)


class PipeView:
    """What the views without a terminal have in common: `out`, and nobody who could be asked."""

    interactive = False

    def __init__(self, stream: TextIO | None) -> None:
        self._out = Outlet(tolerant(stream or sys.stdout))

    @property
    def unread(self) -> bool:
        """Whether there was more to print after the reader of standard output had gone away."""
        return self._out.unread

    def aside(self) -> AbstractContextManager[None]:
        """Do nothing: nobody is asked here."""
        return nullcontext()


def _pipe_of(stream: TextIO) -> int | None:
    """Return the descriptor of a stream that is a pipe; what was written to it before is flushed."""
    try:
        stream.flush()
        descriptor = stream.fileno()
        return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError):
        return None


def tolerant(stream: TextIO) -> TextIO:
    """Return `stream`, told to show what its encoding lacks as `\\uXXXX` rather than to raise, and to wait.

    Whoever shares a pipe with us (Node.js does) may have set it to fail where it has no room yet.
    """
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    with suppress(OSError, ValueError):
        os.set_blocking(stream.fileno(), True)
    return stream
