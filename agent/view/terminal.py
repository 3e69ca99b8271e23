"""The terminal: what is finished is printed once, what goes on is drawn in place below it."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.text import Text as RichText

from agent.events import (
    CallEnded,
    CallStarted,
    Focused,
    NodesSeen,
    SessionOpened,
    Stage,
    Text,
    TextVoid,
    Verbatim,
)
from agent.view import drawing
from agent.view.canvas import Canvas, Line, Size
from agent.view.live import LiveArea
from agent.view.outlet import tolerant
from agent.view.pace import Pace
from agent.view.style import PROMPT
from agent.view.words import one_line
from tools.events import Diagnosed, Event, Failed, Notice, Progress, Table
from tools.observe.signal import Detection, Signal

if TYPE_CHECKING:
    from agent.view.markdown import MarkdownStream, Piece

TAIL = 8
"""Lines of an open block that are drawn in place."""

CALLS = 4
"""Running calls that are drawn at once."""

TICK_S = 0.5
"""How often the time of a running call is drawn again."""

MAX_HELD = 1_000
"""Events kept while somebody else has the terminal; the oldest go first."""

SPACED = ("detected", "panel", "table", "stage")
"""Kinds that a blank line goes before even where the same kind came before."""


class TerminalView:
    """Draws on a terminal.

    Without `animated` (TERM=dumb, NO_COLOR) nothing is drawn in place and no escape sequence is written.
    With `signals` each signal is drawn as it comes, not only with its detection.
    """

    interactive = True
    unread = False
    """A terminal that is closed ends the program by a signal of its own."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        animated: bool = True,
        signals: bool = False,
        size: Size | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        stream = tolerant(stream or sys.stdout)
        self._canvas = Canvas(stream, coloured=animated, size=size)
        self._live = LiveArea(stream, still=not animated)
        self._pace = Pace(self._tick, clock)
        self.animated = animated
        """Whether things are drawn in place."""
        self._signals = signals
        self._clock = clock
        self._text: MarkdownStream | None = None
        self._note = False
        self._running: dict[str, tuple[CallStarted, float]] = {}
        self._progress: Progress | None = None
        self._nodes: NodesSeen | None = None
        self._focus: Focused | None = None
        self._known: set[str] = set()
        """Columns of the nodes' table that had something once: they stay."""
        self._typed = ""
        self._kind = ""
        self._held: deque[Event] | None = None
        self.on_held: Callable[[], None] | None = None
        """Called when an event waits while the terminal is somebody else's."""

    def show(self, event: Event) -> None:
        """Draw `event`, or keep it while the terminal is somebody else's."""
        if self._held is None:
            self._draw(event)
            return
        self._held.append(event)
        if self.on_held is not None:
            self.on_held()

    def typing(self, text: str) -> None:
        """Draw below everything else what is being typed while a turn runs."""
        self._typed = text
        self._soon()

    def settle(self) -> None:
        """A turn is over: finish its text, and forget calls whose end nobody told."""
        self._running.clear()
        self._progress = None
        self._typed = ""
        self._end_text()
        self._frame([])

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take away what is drawn in place, and hold back what comes."""
        self._frame([], still=True)
        self._pace.stop()
        self._held = deque(maxlen=MAX_HELD)
        self._kind = "prompt"
        try:
            yield
        finally:
            self.draw_held()
            self._held = None
            self._soon()

    def draw_held(self) -> None:
        """Draw what was held back, while the prompt has made room for it."""
        held, self._held = self._held or deque(), None
        for event in held:
            self._draw(event)
        self._frame([], still=True)
        self._pace.stop()
        self._held = deque(maxlen=MAX_HELD)

    async def aclose(self) -> None:
        """Draw what is left and leave the terminal as it was."""
        if self._nodes is not None:
            last, self._nodes, self._focus = self._nodes, None, None
            self._frame([*self._gap("table"), self._watched(last)], wide=True)
        self.settle()
        self._pace.stop()

    def _watched(self, nodes: NodesSeen) -> RenderableType:
        from agent.view import watch_table  # only `operator watch` draws it

        return watch_table.draw(nodes, self._canvas.width, self._canvas.height, self._focus, self._known)

    def _draw(self, event: Event) -> None:
        width = self._canvas.column
        match event:
            case Text():
                self._write(event)
            case TextVoid():
                self._text = None
                self._commit("notice", RichText(one_line(event.text), "quiet"))
            case CallStarted():
                self._end_text()
                self._running[event.call_id] = (event, self._clock())
                self._soon()
            case CallEnded():
                self._end_text()
                started, _ = self._running.pop(event.call_id, (None, 0.0))
                self._progress = None
                self._commit("call", drawing.called(started, event, self._canvas.width), wide=True)
            case Progress():
                self._progressed(event)
            case Stage():
                self._end_text()
                self._commit("stage" if event.ok is None else "call", drawing.stage(event, width))
            case Signal() if self._signals:
                self._commit("signal", drawing.signal(event, self._canvas.width), wide=True)
            case Detection():
                self._progress = None
                kind = "signal" if self._signals else "detected"
                self._commit(
                    kind, drawing.detected(event, self._canvas.width, alone=self._signals), wide=True
                )
            case Diagnosed() if self._signals:
                self._commit("signal", drawing.concluded(event), wide=True)
            case Diagnosed():
                from agent.view import panel

                self._commit("panel", panel.diagnosis(event.diagnosis, width))
            case NodesSeen():
                self._nodes = event
                self._soon()
            case Focused():
                self._focus = event
                self._soon()
            case Verbatim():
                self._end_text()
                self._commit("verbatim", drawing.verbatim(event))
            case Table():
                self._commit("table", drawing.table(event, self._canvas.width), wide=True)
            case Notice():
                self._commit("notice", drawing.notice(event))
            case Failed():
                self._commit("notice", drawing.failed(event))
            case SessionOpened():
                self._commit("notice", drawing.session(event))
            case _:
                pass

    def _write(self, event: Text) -> None:
        from agent.view.markdown import MarkdownStream  # the first prompt does not wait for it

        if self._text is None or event.note is not self._note:
            self._end_text()
            self._text = MarkdownStream("quiet" if event.note else "none")
            self._note = event.note
        self._text.feed(event.text)
        if self._text.large:
            self._frame(self._spaced(self._text.settled()))
        if event.done:
            self._end_text()
        else:
            self._soon()

    def _end_text(self) -> None:
        if self._text is not None:
            ended, self._text = self._text, None
            self._frame(self._spaced(ended.rest()))

    def _progressed(self, event: Progress) -> None:
        if event.done:
            self._progress = None
            if not self._running:  # a call's own line is about to tell
                self._commit("call", drawing.progressed(event))
            return
        if not self.animated and (self._progress is None or self._progress.text != event.text):
            self._commit("call", RichText(one_line(event.text)))
        self._progress = event
        self._soon()

    def _commit(self, kind: str, what: RenderableType, *, wide: bool = False) -> None:
        """Print `what` for good; a text that is under way goes on below it. `wide` uses the whole window."""
        before = self._spaced(self._text.settled()) if self._text is not None else []
        self._frame([*before, *self._gap(kind), what], wide=wide)

    def _gap(self, kind: str) -> list[RenderableType]:
        """Return the blank line that goes between different kinds of things."""
        before, self._kind = self._kind, kind
        apart = before not in ("", "stage") and (before != kind or kind in SPACED)
        return [RichText()] if apart else []

    def _spaced(self, pieces: "Iterator[Piece]") -> list[RenderableType]:
        kind = "note" if self._note else "text"
        drawn: list[RenderableType] = []
        for piece in pieces:
            gap = self._gap(kind) or ([RichText()] if piece.spaced else [])
            drawn += [*gap, piece.prose]
        return drawn

    def _soon(self, delay_s: float = 0.0) -> None:
        if self.animated and self._held is None:
            self._pace.soon(delay_s)

    def _tick(self) -> None:
        if self._held is not None:
            return
        self._frame(self._spaced(self._text.settled()) if self._text is not None else [])
        if self._running:
            self._soon(TICK_S)

    def _frame(self, finished: list[RenderableType], *, still: bool = False, wide: bool = False) -> None:
        """Print `finished`, and below it what goes on; with `still`, nothing below."""
        below = [] if still or not self.animated or self._held is not None else self._below()
        self._live.frame(self._canvas.lines(*finished, wide=wide), below, self._canvas.width)

    def _below(self) -> list[Line]:
        """Lay out what goes on: the open block's last lines, running calls, progress, what is typed."""
        width, now = self._canvas.column, self._clock()
        tail: list[Line] = []
        if self._text is not None and not self._text.empty:
            gap = [RichText()] if self._kind not in ("", "stage") else []
            tail = self._canvas.lines(*gap, self._text.tail())[-TAIL:]
        parts: list[RenderableType] = [
            drawing.running(call, now - since, width) for call, since in list(self._running.values())[:CALLS]
        ]
        if self._progress is not None:
            parts.append(drawing.progress(self._progress, width))
        if self._typed:
            parts.append(drawing.typed(PROMPT, self._typed, width))
        lines = [*tail, *self._canvas.lines(*parts)]
        if self._nodes is not None:
            lines += self._canvas.lines(self._watched(self._nodes), wide=True)
        return lines[-(self._canvas.height - 1) :]
