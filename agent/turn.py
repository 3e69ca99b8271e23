"""The loop: model → tool calls → results → model, until the model has answered.

One `Conversation` lives as long as a session. `ask` is one turn of the person's: it sends the history
to the driver (Claude or offline mode, in tests a tape: it can't tell), runs the calls that come back
(`agent.calls`), appends their results and goes on. Whatever ends a turn, the history is valid after it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from agent import ending
from agent.budget import Budget, host_summary
from agent.calls import Calls, Runner
from agent.compaction import Compactor
from agent.demo.request import DemoRequest
from agent.drawing import Listener
from agent.ending import TurnEnd
from agent.errors import ContextOverflow, ModelError
from agent.events import Text
from agent.history import History
from agent.models.base import Model, Reply, Request, ToolSpec
from agent.models.catalog import ModelFacts
from agent.permissions import Gate
from agent.repair import result_block
from agent.transcript import entries
from prompts import remark
from subjects.untrusted import well_formed
from tools.events import Emit
from tools.tool import Outcome


@dataclass(slots=True)
class Conversation:
    """A model, its tools and what was said. `system` and `tools` stay the same all session long."""

    model: Model
    runner: Runner
    gate: Gate
    emit: Emit
    transcript: entries.Recorder
    budget: Budget
    system: str
    tools: tuple[ToolSpec, ...]
    history: History = field(default_factory=History)
    compactor: Compactor | None = None
    unfinished: Callable[[], str] = str
    """What is still to be done though the model has answered, to be told it; empty if nothing is."""
    _interrupts: int = 0
    _kept: bool = False
    _room: int | None = None
    _demo: DemoRequest | None = None
    _outcomes: list[Outcome] = field(default_factory=list)
    _calls: Calls = field(init=False)
    _listener: Listener = field(init=False)

    def __post_init__(self) -> None:
        self._listener = Listener(self.model, self.emit, self.budget)
        self._calls = Calls(self.runner, self.gate, self.emit, self.transcript, self.budget, self._late)

    async def ask(self, text: str, demo: DemoRequest | None = None) -> TurnEnd:
        """Answer the person; `demo` is the demo that `text` asks for.

        Raises ModelError if the model can't; the history is valid then, too.
        """
        text = well_formed(text)
        self._interrupts, self._kept, self._room, self._demo = 0, False, None, demo
        self._outcomes.clear()
        self._calls.begin()
        self.budget.begin()
        end = TurnEnd("failed", detail="it ended unexpectedly")
        try:
            if self.compactor is not None and self.compactor.due(self.budget):
                await self.compact()
            self._user(text, demo=demo)
            end = await self._turn()
        except asyncio.CancelledError:
            self.history.remark(remark("interrupted"))
            if not self._interrupts or ending.cancelled_from_outside():
                raise
            end = TurnEnd(
                "interrupted", detail="interrupted", nothing_shown=not (self._kept or self._outcomes)
            )
        except ModelError as error:
            end = TurnEnd("failed", detail=str(error))
            raise
        finally:
            end = replace(end, calls=len(self._outcomes))
            self.transcript.record(entries.end(end.reason, end.detail))
        return end

    def interrupt(self) -> None:
        """Stop at the next safe point; called again: stop at once. For use in the loop's own thread."""
        self._interrupts += 1
        self._listener.interrupt()
        self._calls.interrupt(again=self._interrupts > 1)

    def interject(self, text: str) -> None:
        """Let the model know, as soon as the order of messages allows, what the person said meanwhile."""
        self.history.interject(well_formed(text))

    def unread(self) -> tuple[str, ...]:
        """Take back what was interjected after the last request, so that it can begin the next turn."""
        return self.history.unplaced()

    def note(self, text: str) -> None:
        """Tell the model of a change (the mode, the cluster) with its next request."""
        self.history.note(text)

    def paste(self, text: str) -> None:
        """Give the model what tools and databases wrote, as data, with what the person says next."""
        self.history.paste(text)

    async def compact(self) -> bool:
        """Replace the history by a summary of it; False if there is nothing to gain or it failed."""
        if self.compactor is None or not len(self.history):
            return False
        if not (messages := await self.compactor.compact(self._request(), self._listener)):
            return False
        self.transcript.record(entries.compaction(len(self.history), messages))
        self.history.replace(messages)
        self.budget.context_tokens = 0
        return True

    def clear(self) -> None:
        """Start over, with nothing said."""
        self.transcript.record(entries.compaction(len(self.history), ()))
        self.history.replace(())
        self.history.remark("")  # nor the one that waits
        self.budget.context_tokens = 0

    def switch(self, model: Model, facts: ModelFacts) -> None:
        """Let another model answer from the next request on; the history stays."""
        self.model = self._listener.model = model
        self.budget.facts = facts

    async def aclose(self) -> None:
        """Wait, bounded, for what is still under way."""
        await self._calls.aclose()

    async def _turn(self) -> TurnEnd:
        continues, spent = 0, ""
        # Once the budget is spent one more reply is asked for, whose calls are not run: its last words.
        while True:
            if why := self.budget.exhausted():
                return self._by_host(why)
            if not spent and (spent := self.budget.spent()):
                self.history.note(remark("last", why=spent))
            reply = await self._next()
            if reply.stop_reason == "tool_use" and reply.calls:
                if spent:
                    self._answer(reply, self._calls.refuse(reply.calls, spent))
                    return self._by_host(spent)
                await self._run(reply)
                continues = 0
                continue
            if reply.stop_reason == "refusal":
                return ending.refused(reply, self.emit)
            if reply.stop_reason not in ending.KNOWN:
                return ending.ended_strangely(reply, self.emit)
            paused = reply.stop_reason == "pause_turn"  # then it is sent back as it is
            wanting = "" if paused else ending.continuation_prompt(reply, self.unfinished)
            if not paused and (not wanting or (spent and reply.text.strip())):
                return TurnEnd("budget" if spent else "answered", reply.text, spent)
            if continues == ending.MAX_CONTINUES:
                return ending.stayed_incomplete(reply, self.emit)
            continues += 1
            if reply.stop_reason in ending.CUT:
                self._room = self.budget.facts.max_output
                if reply.stop_reason != "max_tokens":
                    await self.compact()
            if wanting:
                self._user(wanting, by="host")

    async def _next(self) -> Reply:
        """Ask for one reply and keep of it what may be kept, before anything in it is run."""
        if placed := self.history.settle():
            self.transcript.record(entries.system(placed))
        try:
            reply = await self._hear()
        except ContextOverflow:
            if not await self.compact():
                raise
            reply = await self._hear()
        self._keep(reply)
        return reply

    async def _hear(self) -> Reply:
        """Ask; of a reply that is interrupted, keep the blocks that are whole."""
        try:
            return await self._listener.hear(self._request())
        except asyncio.CancelledError:
            if self._listener.complete:
                self._keep(Reply(tuple(self._listener.complete), "interrupted"))
            raise

    async def _run(self, reply: Reply) -> None:
        outcomes: dict[str, Outcome] = {}
        try:
            await self._calls.run(reply.calls, outcomes)
        finally:
            self._answer(reply, outcomes)
        if self._interrupts:
            raise asyncio.CancelledError  # as if it had come while the calls ran
        for hint in self._calls.hints:
            self.history.note(hint)

    def _request(self) -> Request:
        return Request(self.system, self.tools, self.history.messages, self._room, demo=self._demo)

    def _user(self, text: str, by: str = "person", demo: DemoRequest | None = None) -> None:
        before = self.history.user(text)
        self.transcript.record(entries.user(text, before, by, demo))

    def _keep(self, reply: Reply) -> None:
        self.transcript.record(entries.assistant(reply, self.model))
        self._kept = bool(self.history.assistant(reply.content, reply.stop_reason)) or self._kept

    def _answer(self, reply: Reply, outcomes: dict[str, Outcome]) -> None:
        done = [outcomes[call.id] for call in reply.calls]
        self._outcomes.extend(done)
        self.history.results([result_block(item.call_id, item.text, ok=item.ok) for item in done])

    def _late(self, outcome: Outcome) -> None:
        self.history.note(remark("late", tool=outcome.tool, state="it worked" if outcome.ok else "it failed"))
        self.paste(f"{outcome.tool}: {outcome.text[: ending.LATE_CHARS]}")

    def _by_host(self, why: str) -> TurnEnd:
        text = host_summary(why, self._outcomes)
        self.emit(Text(text, done=True))
        return TurnEnd("budget", text, why)
