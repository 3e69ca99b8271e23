"""Maintenance windows: planned starts, stops and restarts, which must not alarm.

An exit or a refusal of a node is covered while its window is open and not a moment longer. What follows from
it elsewhere (an election, a peer that reconnects, a client's error) is seen later, and is covered for a tail.
A planned absence lasts until the node is healthy again, but not for ever: a restart after which it does not
come back is a failure. And it does not explain for long that others are lost.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tools.observe.kinds import Weight, meaning
from tools.observe.signal import CLIENT_PORT, Signal, Source

TAIL_S = 3.0
"""An election takes 1.2 to 1.8 s, client windows one second more."""

LEAVE_S = 300.0
"""How long a node that somebody else shuts down may be away: a drain moves it and pulls images."""

DOWN_S = 60.0
"""How long a node may take to be healthy after a planned act: TiKV on containers takes half a minute."""

REPORT_S = 0.3
"""How much later than it happened a report of the kernel or the engine may come (docker: 51 ms at most)."""

FOUND_S = 30.0
"""How long one of its peers may look for a node that is back at another address: on a busy machine 18 s were
measured of pods, until TCP had given the old address up."""

LOSSES = frozenset({"store_up", "quorum"})
"""Invariants that break when a node is lost. The absence of another one explains that for TAIL_S only."""

LED_AGAIN_S = 10.0
"""The same for answers that a node cannot give without a leader: on a busy machine elections take longer."""


@dataclass(slots=True)
class _Open:
    nodes: frozenset[str]
    reason: str
    began: float
    ended: float | None = None
    within_s: float = LEAVE_S
    grace_s: float = 0.0
    """How long a leaving node may take to go: TiKV gives its leaders away first, for hours if need be."""
    is_down: bool = False
    """Whether the node was down already when it began: then its next answer means that it is back."""
    moves: bool = False
    """Whether the node may come back at another address."""
    went: float | None = None
    """Monotonic time when a leaving node was first seen down; None while it still serves."""

    @property
    def until(self) -> float:
        """Monotonic time from which the node's absence is excused no more."""
        last = self.began + self.grace_s
        return (last if self.went is None else min(self.went, last)) + self.within_s

    def covers(self, signal: Signal, late: float) -> bool:
        """Return whether the time that `signal` shows lies in the window."""
        over = self.ended is not None and signal.shown_at > self.ended + late
        return self.began <= signal.at and not over


class Maintenance:
    """The windows that were declared."""

    def __init__(self) -> None:
        self._windows: list[_Open] = []
        self._down: dict[str, float] = {}
        """Nodes that were planned down → monotonic time from which that is no excuse any more."""
        self._back: dict[str, float] = {}
        """Nodes that were planned down → when they were healthy again."""
        self._started: dict[str, float] = {}
        """Nodes → when their process was last reported to have started."""
        self._leaving: dict[str, _Open] = {}
        """Nodes that somebody else is shutting down gracefully, until they are back."""

    @contextmanager
    def window(self, nodes: Iterable[str], reason: str, still_down: Callable[[str], bool]) -> Iterator[None]:
        """Cover `nodes` for the length of the block; one that is `still_down` at its end is planned down."""
        opened = _Open(frozenset(nodes), reason, time.monotonic())
        self._windows.append(opened)
        try:
            yield
        finally:
            opened.ended = time.monotonic()
            until = opened.ended + DOWN_S
            # A connection to a process that was replaced may be seen to break only after that.
            down = [n for n in opened.nodes if still_down(n) or self._started.get(n, 0.0) >= opened.began]
            self._down.update(dict.fromkeys(down, until))
            self._prune()

    def leave(
        self,
        node: str,
        reason: str,
        within_s: float = LEAVE_S,
        *,
        is_down: bool = False,
        grace_s: float = 0.0,
    ) -> None:
        """Cover a node that somebody else shuts down, until it is healthy again or away for `within_s`.

        It may take `grace_s` to go.
        """
        now = time.monotonic()
        opened = _Open(
            frozenset((node,)),
            reason,
            now,
            within_s=within_s,
            grace_s=grace_s,
            is_down=is_down,
            moves=not is_down,
            went=now if is_down else None,
        )
        if (before := self._leaving.get(node)) is not None:
            before.ended = now
        self._windows.append(opened)
        self._leaving[node] = opened
        self._down[node] = opened.until

    def recall(self, node: str) -> None:
        """Stop covering a node whose outage was taken for planned only after it was seen, also afterwards."""
        away = self._leaving.get(node)
        if away is not None and away.is_down:
            del self._leaving[node]
            self._down.pop(node, None)
        self._windows = [each for each in self._windows if not each.is_down or node not in each.nodes]

    def started(self, node: str) -> None:
        """Note that a node's process was started: what ends after that is another process."""
        self._started[node] = time.monotonic()

    def healthy(self, node: str) -> None:
        """Note that a node is healthy: from now on it is expected to stay so."""
        away = self._leaving.get(node)
        if away is not None and (away.is_down or self._started.get(node, 0.0) > away.began):
            away.ended = time.monotonic()
            del self._leaving[node]
            self._prune()
        expected = any(node in window.nodes for window in self._windows if window.ended is None)
        if not expected and self._down.pop(node, None) is not None:
            self._back[node] = time.monotonic()

    def planned_down(self, node: str) -> bool:
        """Tell whether the node was stopped on request and has not come back yet."""
        return self._down.get(node, 0.0) > time.monotonic()

    def covers(self, signal: Signal) -> bool:
        """Tell whether `signal` is what a planned act leads to."""
        if not self._windows and not self._down:
            return False
        self._end_the_late()
        if signal.kind == "blocked" or self._died_anew(signal):
            return False  # it does not come back by itself, however much its going was planned
        away = self._leaving.get(signal.node or "")
        if away is not None and away.went is None and meaning(signal.kind).invariant == "store_up":
            away.went = signal.at
            self._down[signal.node or ""] = away.until
        if signal.node is not None and (self.planned_down(signal.node) or self._was_down(signal)):
            return True
        if meaning(signal.kind).weight is not Weight.CERTAIN:
            return self._covers_what_follows(signal)
        return signal.node is not None and self._covers_node(signal)

    def recently(self, nodes: Iterable[str], within_s: float) -> bool:
        """Tell whether a window for one of `nodes` is open or ended less than `within_s` ago."""
        now, wanted = time.monotonic(), frozenset(nodes)
        return any(
            window.nodes & wanted and (window.ended is None or now - window.ended < within_s)
            for window in self._windows
        )

    def _was_down(self, signal: Signal) -> bool:
        """Whether it shows its node as it was before it was back: a look takes longer than an answer."""
        return signal.shown_at < self._back.get(signal.node or "", 0.0)

    def _died_anew(self, signal: Signal) -> bool:
        """Whether a process ended that was started in a window which is over: nobody planned that."""
        started = self._started.get(signal.node or "")
        if started is None or signal.source is not Source.PROCESS or signal.at <= started:
            return False
        last = max((w for w in self._windows if signal.node in w.nodes), key=lambda w: w.began, default=None)
        return last is not None and last.ended is not None and last.began <= started < signal.at > last.ended

    def _covers_node(self, signal: Signal) -> bool:
        """What the kernel reports of the node itself; what it says of its own start is seen a look later."""
        late = {Source.PROCESS: REPORT_S, Source.SELF: TAIL_S}.get(signal.source, 0.0)
        return any(signal.node in window.nodes and window.covers(signal, late) for window in self._windows)

    def _covers_what_follows(self, signal: Signal) -> bool:
        """What an election and reconnecting peers look like, of any node and of the cluster as a whole."""
        stopped = (node for node in self._down if node not in self._leaving)
        if signal.node is None and any(map(self.planned_down, stopped)):
            return True
        if signal.kind == "edge_lost" and any(
            each.moves and signal.node in each.nodes and each.covers(signal, FOUND_S)
            for each in self._windows
        ):
            return True
        # Of one that takes its time to go nothing follows yet.
        windows = [
            window
            for window in self._windows
            if window.covers(signal, TAIL_S)
            and (window.went is not None or signal.at <= window.began + window.within_s)
        ]
        if meaning(signal.kind).invariant in LOSSES:
            needs_leader = signal.node is not None and signal.via != CLIENT_PORT
            late = LED_AGAIN_S if needs_leader else TAIL_S
            return any(each.went is None or signal.shown_at <= each.went + late for each in windows)
        return bool(windows)

    def _end_the_late(self) -> None:
        """End the windows of nodes that have been away for too long to be on their way back."""
        for node, window in list(self._leaving.items()):
            if time.monotonic() > window.until:
                window.ended = window.until
                del self._leaving[node]

    def _prune(self) -> None:
        """Drop windows that cover nothing any more; a minute of them is kept for `recently`."""
        now = time.monotonic()
        self._windows = [w for w in self._windows if w.ended is None or now - w.ended < 60.0]
