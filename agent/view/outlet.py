"""Writing to a pipe from a thread of its own, so that a slow reader cannot hold up the event loop."""

import asyncio
import errno
import os
import queue
import sys
import threading
from contextlib import suppress
from typing import TextIO

from agent.errors import NotWritten

BACKLOG = 20_000
"""Writes that may wait for the reader; beyond that the writer waits too, rather than lose any."""

CLOSE_TIMEOUT_S = 10.0
"""How long the end of the program waits for a reader that does not read."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Outlet:
    """A text stream, written in the order of `write`, each piece whole."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pieces: queue.Queue[str | None] = queue.Queue(BACKLOG)
        self._thread = threading.Thread(target=self._drain, name="outlet", daemon=True)
        self._thread.start()
        self.broken = False
        """Whether the reader went away."""
        self._no_room = ""

    def write(self, text: str) -> None:
        """Hand over `text`; written soon, and silently dropped once the reader is gone."""
        if text and not self.broken:
            self._pieces.put(text)

    async def aclose(self) -> None:
        """Write what is left, for at most `CLOSE_TIMEOUT_S`."""
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._pieces.put_nowait(None)
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)

    def check(self) -> None:
        """Raise NotWritten where what was handed over is lost, but not to a reader that went away."""
        if self._no_room:
            raise NotWritten(
                f"Standard output cannot be written: {self._no_room}. What is there is not whole."
            )

    def _drain(self) -> None:
        while (text := self._pieces.get()) is not None:
            if self.broken:
                continue
            try:
                self._stream.write(text)
                if self._pieces.empty():
                    self._stream.flush()
            except (OSError, ValueError) as error:  # the reader is gone, or the stream was closed under us
                self._broke(error)
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
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


def tolerant(stream: TextIO) -> TextIO:
    """Return `stream`, told to write what its encoding lacks as `\\uXXXX` rather than to raise."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
