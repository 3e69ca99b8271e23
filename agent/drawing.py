"""From a driver's events to what views draw, and to what is kept if the reply is cut short."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from agent.budget import Budget
from agent.errors import ModelError
from agent.events import Spent, Text, TextVoid
from agent.models.assembly import Pieces
from agent.models.base import (
    Block,
    HandedOver,
    Model,
    ModelEvent,
    NoteDelta,
    Reduced,
    Reply,
    Request,
    Restarted,
    TextDelta,
    Waiting,
)
from agent.repair import text_block
from tools.events import Emit, Event, Notice


class Drawing:
    """One reply while it is drawn."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._open: TextDelta | NoteDelta | None = None
        self._pieces = Pieces()
        self._drew_text = False
        self.complete: list[Block] = []
        """The text blocks that were finished: what an interrupted reply leaves."""

    def take(self, event: ModelEvent) -> None:
        """Draw one event."""
        match event:
            case TextDelta() | NoteDelta():
                self._piece(event)
            case Waiting(reason, seconds):
                self._emit(
                    Notice(f"{reason}; trying again in {seconds:.0f} s, Ctrl-C stops it", level="warning")
                )
            case HandedOver(declined, answers, category):
                self.close()
                why = f" ({category})" if category else ""
                self._emit(Notice(f"{declined} declined this{why}; {answers} answers instead.", "warning"))
            case Reduced(parameter, loss):
                text = f"The service does not take {parameter}: {loss}. Requests go without it from now on."
                self._emit(Notice(text, "warning"))
            case Restarted(reason):
                self._open, self._drew_text = None, False
                self._pieces = Pieces()
                self.complete.clear()
                self._emit(TextVoid(reason))
            case Reply():
                self.close()
                if event.text and not self._drew_text:  # a driver that doesn't stream
                    self._emit(Text(event.text, done=True))

    def _piece(self, event: TextDelta | NoteDelta) -> None:
        if self._open is not None and type(self._open) is not type(event):
            self.close()
        self._open = event
        self._drew_text = self._drew_text or isinstance(event, TextDelta)
        self._pieces.add(event.text)
        if event.text:
            self._emit(Text(event.text, note=isinstance(event, NoteDelta)))
        if event.done:
            self.close(whole=True)

    def close(self, *, whole: bool = False) -> None:
        """End the block that is open, if one is; `whole` as the model meant it to end."""
        if self._open is None:
            return
        note = isinstance(self._open, NoteDelta)
        text = str(self._pieces)
        if whole and not note and text.strip():
            self.complete.append(text_block(text))
        self._emit(Text("", note=note, done=True))
        self._open = None
        self._pieces = Pieces()


@dataclass(slots=True)
class Listener:
    """Asks the driver for replies, one at a time, and draws them; `interrupt` cuts the one under way."""

    model: Model
    emit: Emit
    budget: Budget
    complete: list[Block] = field(default_factory=list)
    """After a cut: the text blocks that were whole."""
    _hearing: asyncio.Task[Reply] | None = None

    async def hear(self, request: Request, *, draw: bool = True) -> Reply:
        """Return the driver's reply. Raises ModelError, or CancelledError when it is cut."""
        drawing = Drawing(self.emit if draw else _unseen)
        self._hearing = asyncio.create_task(self._reply(request, drawing))
        try:
            reply = await self._hearing
        finally:
            drawing.close()
            self._hearing = None
            self.complete = drawing.complete if draw else []
        self.budget.spend(reply.usage)
        limit = self.budget.facts.context_limit
        self.emit(Spent(self.budget.context_tokens, limit, self.budget.cost_usd))
        return reply

    def interrupt(self) -> None:
        """Cut the reply under way, if there is one."""
        if self._hearing is not None:
            self._hearing.cancel()

    async def _reply(self, request: Request, drawing: Drawing) -> Reply:
        events = cast("AsyncGenerator[ModelEvent, None]", self.model.respond(request))
        async with aclosing(events):
            async for event in events:
                drawing.take(event)
                if isinstance(event, Reply):
                    return event
        raise ModelError("The model's driver ended without a reply.")


def _unseen(_event: Event) -> None:
    """Draw nothing."""
