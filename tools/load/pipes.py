"""Standard input and output of the generator, read and written without ever blocking it."""

import asyncio
import contextlib
import sys
from pathlib import Path

MAX_UNREAD = 1 << 20
"""Bytes that may wait for a reader who has stopped reading; beyond, windows go to the file alone."""


class _Input(asyncio.StreamReaderProtocol):
    def __init__(self, reader: asyncio.StreamReader, gone: asyncio.Event) -> None:
        super().__init__(reader)
        self._gone = gone

    def eof_received(self) -> bool | None:
        self._gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        super().connection_lost(exc)


class _Output(asyncio.BaseProtocol):
    def __init__(self, gone: asyncio.Event) -> None:
        self._gone = gone
        self.empty = asyncio.Event()
        self.empty.set()

    def pause_writing(self) -> None:
        self.empty.clear()

    def resume_writing(self) -> None:
        self.empty.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._gone.set()
        self.empty.set()


class Pipes:
    """The two pipes to the owner, and the file that keeps every window."""

    def __init__(
        self,
        commands: asyncio.StreamReader,
        gone: asyncio.Event,
        source: asyncio.ReadTransport,
        out: asyncio.WriteTransport,
        empty: asyncio.Event,
        file: Path,
    ) -> None:
        self.commands = commands
        self.gone = gone
        """Set when the owner has closed a pipe, as its death does."""
        self._source = source
        self._out = out
        self._empty = empty
        self._file = file.open("ab", buffering=0)

    @classmethod
    async def open(cls, file: Path) -> "Pipes":
        """Take over standard input and output; windows are appended to `file` as well."""
        loop = asyncio.get_running_loop()
        commands, gone = asyncio.StreamReader(), asyncio.Event()
        source, _ = await loop.connect_read_pipe(lambda: _Input(commands, gone), sys.stdin)
        out, output = await loop.connect_write_pipe(lambda: _Output(gone), sys.stdout)
        out.set_write_buffer_limits(high=0)
        return cls(commands, gone, source, out, output.empty, file)

    def say(self, line: bytes) -> None:
        """Send one line; a reader that does not read loses it rather than stopping the load."""
        if not self._out.is_closing() and self._out.get_write_buffer_size() < MAX_UNREAD:
            self._out.write(line)

    def keep(self, line: bytes) -> None:
        """Send one line and keep it in the file; a disk that takes no more keeps it from nobody else."""
        with contextlib.suppress(OSError):
            self._file.write(line)
        self.say(line)

    async def flush(self, timeout_s: float) -> None:
        """Wait until what was said has gone out, but not longer than `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()

    def close(self) -> None:
        """Close the file and both pipes."""
        self._source.close()
        self._file.close()
        if not self._out.is_closing():  # it is, once the owner has gone
            self._out.abort()
