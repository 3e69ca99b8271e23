"""A held probe: one connection to one port of one node, asked again and again."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from subjects.base import Health
from subjects.dial import create_connection, refuses_us
from tools.detection.health_answer import AnswerReader, StrangeAnswer, judge
from tools.observe.kinds import signal
from tools.observe.signal import Signal
from tools.observe.targets import DENIED, TRAVELS, ProbeTarget

FRESH_EVERY = 8
"""After the second miss and then every eighth a fresh connection takes the place of the silent one: one that
was cut may sit in TCP's retransmission pause long after the cut is gone. Not more often: to a stopped
process each leaves a dead connection in the kernel's accept queue."""

UNKNOWN_WAY_S = 0.5
"""How long a question and its answer are taken to travel before the first answer has shown it."""

KNOCK_S = 0.02
"""Between two connections to a port that refuses them, while it is awaited: a node that is started and dies
again within a second must be seen to have been back."""


@dataclass(frozen=True, slots=True)
class Reports:
    """Where a held connection reports to."""

    bad: Callable[[Signal], None]
    good: Callable[[ProbeTarget], None]
    """A healthy answer came just now."""
    awaited: Callable[[str], bool] = lambda _: False
    """Whether a node that is down is worth asking every KNOCK_S until it counts as back."""


class _Wire(asyncio.Protocol):
    """One connection of a probe. Once the probe lets go of it, nothing that it brings matters any more."""

    def __init__(self, probe: "HeldProbe", attempt: int) -> None:
        self.probe: HeldProbe | None = probe
        self.attempt = attempt
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - what create_connection gives
        self.transport = transport
        if self.probe is not None:
            self.probe.connected(self)

    def data_received(self, data: bytes) -> None:
        if self.probe is not None:
            self.probe.received(data)

    def eof_received(self) -> bool:
        if self.probe is not None:
            self.probe.ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.probe is not None:
            self.probe.lost(exc)


class HeldProbe:
    """A probe of one target. The wheel has it ask once a period; all else follows from the connection."""

    def __init__(self, target: ProbeTarget, reports: Reports) -> None:
        self.target = target
        self.healthy: bool | None = None
        """What the last completed question over the present connection showed; None before the first."""
        self.answered = 0
        self.missed = 0
        """How often something was seen wrong here: no answer in time, or a broken connection."""
        self.way_s: float | None = None
        """The quickest answer of all: how long the way takes, be it through a VPN or a tunnel."""
        self._reports = reports
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._connect_began = 0.0
        self._attempt = 0
        self._asked_at: float | None = None
        self._reader = AnswerReader()
        self._silent_turns = 0
        self._fruitless = 0
        """Connections in a row that broke before one answer came over them."""
        self._denied = False
        """Whether it is known that the node lets us in no more."""
        self._knocking = False
        """Whether the port refused us, and the node has not been seen to be back since."""
        self._next_knock: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def owes(self) -> bool:
        """Whether a question, or an attempt to connect, is without an answer."""
        return self._asked_at is not None or self._connecting is not None

    def ask(self) -> None:
        """Ask, over a new connection if none is held. Only for a probe that owes nothing."""
        if self._closed:
            return
        self._silent_turns = 0
        if self._wire is not None:
            self._ask()
        else:
            self._connect()

    def miss(self, at_least_s: float) -> None:
        """Note that the answer is missing, if it was owed for `at_least_s` and the way's own time."""
        since = self._asked_at or self._connect_began
        way_s = UNKNOWN_WAY_S if self.way_s is None else self.way_s
        travels = TRAVELS if self._wire is None else 1
        if self._closed or time.monotonic() - since < at_least_s + travels * way_s:
            return
        self._silent_turns += 1
        self.missed += 1
        what = "no answer" if self._wire is not None else "no connection"
        elapsed_ms = (time.monotonic() - since) * 1000
        self._bad("silent", f"{what} from {self.target.where} for {elapsed_ms:.0f} ms")
        if self._silent_turns % FRESH_EVERY == 2:
            self._drop()
            self._connect()

    async def aclose(self) -> None:
        """Let go of the connection."""
        self._closed = True
        if self._next_knock is not None:
            self._next_knock.cancel()
        connecting = self._connecting
        self._drop()
        if connecting is not None:
            await asyncio.gather(connecting, return_exceptions=True)

    def connected(self, wire: _Wire) -> None:
        """Ask at once: a connection alone proves little."""
        if wire.attempt != self._attempt:  # given up while it was being made
            _cut(wire)
            return
        self._wire = wire
        self._ask()

    def received(self, data: bytes) -> None:
        """Take a piece of the answer."""
        if self._asked_at is None:
            self._strange("data that nobody asked for")
            return
        try:
            answer = self._reader.feed(data)
            if answer is not None:
                self._take(*judge(answer), closes=answer.closes)
        except StrangeAnswer as error:
            self._strange(str(error))

    def ended(self) -> None:
        """The server closed its side: an answer without a length ends here."""
        if self._asked_at is not None:
            try:
                answer = self._reader.end()
                if answer is not None:
                    self._take(*judge(answer), closes=True)
            except StrangeAnswer as error:
                self._strange(str(error))

    def lost(self, exc: Exception | None) -> None:
        """The held connection broke. One new one tells whether the node is gone or merely tidied up."""
        self._wire = None
        self.healthy = None
        self.missed += 1
        how = f"the held connection to {self.target.where} was {_closed_how(exc)}"
        idle = self._asked_at is None
        self._asked_at = None
        if self._closed:
            return
        if refuses_us(exc):
            self._say_denied()
            return
        self._fruitless += 1
        if self._fruitless > 1 and not idle:
            self._bad("reset", f"{how}, {self._fruitless} times in a row without an answer")
            return
        self._connect(after=how)

    def _ask(self) -> None:
        assert self._wire is not None  # noqa: S101 - callers know
        assert self._wire.transport is not None  # noqa: S101 - it is connected
        self._reader = AnswerReader()
        self._asked_at = time.monotonic()
        self._wire.transport.write(self.target.request)

    def _take(self, health: Health, raw: str, *, closes: bool) -> None:
        assert self._asked_at is not None  # noqa: S101 - callers know
        took_s = time.monotonic() - self._asked_at
        self.way_s = took_s if self.way_s is None else min(self.way_s, took_s)
        self._asked_at = None
        self._silent_turns = 0
        self._fruitless = 0
        self._denied = False
        self.answered += 1
        if closes:
            self._drop()
        if health is Health.HEALTHY:
            self.healthy = True
            self._reports.good(self.target)
        else:
            self._bad("unhealthy", f"{self.target.where} answers {raw}")
        self._knock()

    def _connect(self, after: str = "") -> None:
        self._connect_began = time.monotonic()
        self._attempt += 1
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(
            self._open(after), name=f"probe {self.target.node} {self.target.via}"
        )

    async def _open(self, after: str) -> None:
        attempt = self._attempt
        lead = f"{after}; a new one " if after else f"connecting to {self.target.where} "
        try:
            await create_connection(
                lambda: _Wire(self, attempt), self.target.host, self.target.port, self.target.tls
            )
        except ssl.SSLCertVerificationError as error:
            self._bad("untrusted", f"{self.target.where}: {error.verify_message}")
        except ssl.SSLError as error:
            if refuses_us(error):
                self._say_denied()
                return
            self._bad("strange", f"{self.target.where} does not speak TLS: {error.reason or error}")
        except ConnectionRefusedError:
            self._bad("refused", f"{lead}was refused")
            self._knocking = True
            self._knock()
        except ConnectionResetError:
            self._bad("reset", f"{lead}was reset")
        except OSError as error:
            self._bad("unreachable", f"{lead}failed: {error.strerror or error}")
        finally:
            if self._connecting is asyncio.current_task():
                self._connecting = None

    def _knock(self) -> None:
        """Ask again soon, if the port refused us and the node is awaited."""
        if self._next_knock is not None:
            self._next_knock.cancel()
            self._next_knock = None
        self._knocking = self._knocking and self._reports.awaited(self.target.node)
        if self._knocking:
            self._next_knock = asyncio.get_running_loop().call_later(KNOCK_S, self._ask_if_free)

    def _ask_if_free(self) -> None:
        if not self.owes:
            self.ask()

    def _strange(self, raw: str) -> None:
        self._drop()
        self._bad("strange", f"{self.target.where} gave {raw}")

    def _say_denied(self) -> None:
        """Say once that we are let in no more: that is ours, and says nothing of the node."""
        self.healthy = None
        if not self._denied:
            self._denied = True
            raw = f"{self.target.where}: {DENIED}"
            self._reports.bad(signal("denied", self.target.node, raw, via=self.target.via))

    def _bad(self, kind: str, raw: str) -> None:
        self.healthy = False
        self._reports.bad(signal(kind, self.target.node, raw, via=self.target.via))

    def _drop(self) -> None:
        """Let go of the present connection or attempt, unreported."""
        self._asked_at = None
        self._attempt += 1
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._wire is not None:
            wire, self._wire = self._wire, None
            _cut(wire)


def _cut(wire: _Wire) -> None:
    wire.probe = None
    if wire.transport is not None:
        wire.transport.abort()


def _closed_how(exc: Exception | None) -> str:
    return "closed by the other side" if exc is None else f"broken ({exc})"
