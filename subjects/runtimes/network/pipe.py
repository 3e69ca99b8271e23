"""One end of a connection that passes the network process: what it receives goes to the other end.

Without rules a piece of data costs one receive and one send. A rule holds bytes back, and never drops or
reorders them: what TCP promised to its two ends stays true, however long a cut lasts. Held bytes are
bounded: beyond, the sender is no longer read from and blocks, as on a network that carries nothing.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

MAX_HELD = 1 << 20
"""Bytes that one direction of one connection holds back at most, and a piece more."""
_SLICES_PER_S = 20
"""In how many pieces a limited rate is passed on each second."""
_RESET = struct.pack("ii", 1, 0)
_buffer = bytearray(1 << 16)
"""What is received goes through here. One for all: each piece is copied out before the next is received."""


@dataclass(frozen=True, slots=True)
class Shaping:
    """What the rules make of one direction of one connection."""

    cut: bool = False
    delay_s: float = 0.0
    bytes_per_s: float = 0.0


PLAIN = Shaping()


class Pipe(asyncio.BufferedProtocol):
    """One end. Its owner sets `other` once the connection has both."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Pipe | None = None
        self.on_closed: Callable[[], None] = lambda: None
        self._write: Callable[[bytes], None] | None = None
        """Where pieces go at once while no rule is in the way and nothing waits."""
        self._shaping = PLAIN
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._free_at = 0.0
        self._choked = False
        """The other end can't take more."""
        self._reading = True
        self._ended = False
        self.passed_end = False
        """Whether the end of what it receives has gone out on the other side: nothing more will come."""
        self._lost = False
        self._broken = False

    @property
    def open(self) -> bool:
        """Whether it can still be written to."""
        return self.transport is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what TCP gives
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the protocol's signature
        """Receive into the one buffer."""
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass it on; at once when no rule is in the way and nothing waits."""
        data = bytes(memoryview(_buffer)[:nbytes])
        if self._write is not None:
            self._write(data)
        else:
            self._hold(data)

    def eof_received(self) -> bool:
        """Keep our half open: the other side may still be sending."""
        self._ended = True
        self.release()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the other side once all that was received has gone out; a reset is passed on as one."""
        self._lost, self._broken, self._ended = True, exc is not None, True
        self.release()
        self.on_closed()

    def pause_writing(self) -> None:
        """Stop the sender while this side can't take more."""
        if self.other is not None:
            self.other.choke(choked=True)

    def resume_writing(self) -> None:
        """Let the sender go on."""
        if self.other is not None:
            self.other.choke(choked=False)

    def choke(self, *, choked: bool) -> None:
        """Read no more for as long as the other end can't take it."""
        self._choked = choked
        self._read_or_not()

    def shape(self, shaping: Shaping) -> None:
        """Put rules in force on what this end receives, or lift them."""
        self._shaping = shaping
        self.release()

    def abort(self, *, reset: bool = False) -> None:
        """Close at once; with `reset` the peer gets an RST instead of an end."""
        if self.transport is None or self.transport.is_closing():
            return
        if reset:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def release(self) -> None:
        """Pass on what is due, then the end of the stream if it has come."""
        other = self.other
        if self._shaping.cut or other is None or other.transport is None:
            self._write = None
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not other.open:
            self._held.clear()
            self._held_bytes = 0
        self._pass_due(other.transport)
        self._write = other.transport.write if self._shaping is PLAIN and not self._held else None
        if self._held:
            self._timer = asyncio.get_running_loop().call_at(self._held[0][0], self.release)
        elif self._ended:
            self._pass_end(other, other.transport)
        self._read_or_not()

    def _pass_due(self, target: asyncio.Transport) -> None:
        now = asyncio.get_running_loop().time()
        while self._held and (self._shaping is PLAIN or self._held[0][0] <= now):
            data = self._held.popleft()[1]
            self._held_bytes -= len(data)
            target.write(data)

    def _hold(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        rate = self._shaping.bytes_per_s
        size = max(1, int(rate / _SLICES_PER_S)) if rate else len(data)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            due = now + self._shaping.delay_s
            if rate:
                self._free_at = max(self._free_at, now) + len(piece) / rate
                due = max(due, self._free_at)
            self._held.append((due, piece))
        self._held_bytes += len(data)
        self.release()
        self._read_or_not()

    def _read_or_not(self) -> None:
        """Read from the sender only while there is somewhere to put what it sends."""
        reading = not self._choked and self._held_bytes < MAX_HELD
        if reading == self._reading or not self.open or self.transport is None:
            return
        self._reading = reading
        if reading:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _pass_end(self, other: "Pipe", target: asyncio.Transport) -> None:
        """Do to the other end what was done to this one: a reset, a close, or the end of one direction."""
        self.passed_end = True
        if self._broken:
            other.abort(reset=True)
        elif self._lost:
            target.close()
        elif other.passed_end:
            target.close()
            if self.transport is not None:
                self.transport.close()
        elif other.open:
            with contextlib.suppress(OSError):  # it was reset a moment ago, and that is told next
                target.write_eof()
