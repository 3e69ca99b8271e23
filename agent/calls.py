"""The calls of one reply: reads side by side, acts one at a time, each recorded before and after.

However a round ends (done, refused, interrupted, cancelled), every call has an outcome that says
truthfully what is known of it.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

from agent.budget import Budget, headline
from agent.events import CallStarted, ended
from agent.models.base import ToolCall
from agent.permissions import Gate
from agent.transcript import entries
from prompts import remark
from tools.events import Emit
from tools.tool import Effect, Outcome

GRACE_S = 2.0
"""How long a cancelled call may take to come to rest before it is left behind."""


class Runner(Protocol):
    """Who runs calls: `tools.registry.Dispatcher`, or in tests a tape."""

    def effect(self, name: str) -> Effect:
        """Return what the tool does to the world."""
        ...

    async def run(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> Outcome:
        """Run one call to its end."""
        ...


@dataclass(slots=True)
class Running:
    """One call that has begun."""

    call: ToolCall
    task: asyncio.Task[Outcome]
    begun: bool = False
    """Past the gate."""
    acting: bool = False
    """Past the gate, in a tool that changes the world: the first interrupt lets it finish."""
    outcome: Outcome | None = None
    """What it came to, known before the gate was told."""


@dataclass(slots=True)
class Calls:
    """Runs rounds of calls; `interrupt` may come at any time from the same event loop."""

    runner: Runner
    gate: Gate
    emit: Emit
    transcript: entries.Recorder
    budget: Budget
    late: Callable[[Outcome], None] = field(default=lambda _outcome: None)
    """Told when a call ends that was left behind, after its outcome was called unknown."""
    hints: list[str] = field(default_factory=list)
    """What the budget wants the model to be told after the round."""
    _running: dict[str, Running] = field(default_factory=dict)
    _stopped: bool = False
    _given_up: asyncio.Event = field(default_factory=asyncio.Event)
    _patience: asyncio.TimerHandle | None = None
    _one_question: asyncio.Lock = field(default_factory=asyncio.Lock)
    _left: set[asyncio.Task[Outcome]] = field(default_factory=set)

    def begin(self) -> None:
        """Begin a turn: an interrupt of an earlier one is over."""
        self._stopped = False
        self._given_up.clear()

    async def run(self, calls: Sequence[ToolCall], outcomes: dict[str, Outcome]) -> None:
        """Run a round and put an outcome for every call into `outcomes`, also if cancelled on the way."""
        self.hints.clear()
        try:
            for batch in self._batches(calls):
                if not self._stopped:
                    await self._together(batch, outcomes)
        finally:
            self._running.clear()
            self._settle_patience()
            for call in calls:
                if call.id not in outcomes:
                    outcomes[call.id] = self._ended(not_run(call, remark("not-run")))

    def refuse(self, calls: Sequence[ToolCall], why: str) -> dict[str, Outcome]:
        """Answer a round without running any of it."""
        return {call.id: self._ended(not_run(call, f"Not run: {why}.")) for call in calls}

    def interrupt(self, *, again: bool) -> None:
        """Begin no more calls and stop the reads; `again`: stop the act too, whatever it leaves."""
        self._stopped = True
        stopping = [running for running in self._running.values() if again or not running.acting]
        for running in stopping:
            running.task.cancel()
        if stopping:
            self._settle_patience()
            self._patience = asyncio.get_running_loop().call_later(GRACE_S, self._given_up.set)

    def _settle_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = None

    async def aclose(self) -> None:
        """Wait, bounded, for calls that were left behind."""
        if self._left:
            await asyncio.wait(self._left, timeout=GRACE_S)

    def _batches(self, calls: Sequence[ToolCall]) -> Iterator[list[ToolCall]]:
        for reads, group in groupby(calls, lambda call: self.runner.effect(call.name) is Effect.READ):
            if reads:
                yield list(group)
            else:
                yield from ([call] for call in group)

    async def _together(self, batch: list[ToolCall], outcomes: dict[str, Outcome]) -> None:
        mine = [Running(call, asyncio.create_task(self._one(call))) for call in batch]
        self._running = {running.call.id: running for running in mine}
        tasks = [running.task for running in mine]
        try:
            await self._settled(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=GRACE_S)
            raise
        finally:
            for running in mine:
                outcomes[running.call.id] = self._harvest(running)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def _settled(self, tasks: list[asyncio.Task[Outcome]]) -> None:
        """Wait until all are done, or until the person's patience is."""
        given_up = asyncio.create_task(self._given_up.wait())
        try:
            while (waiting := {task for task in tasks if not task.done()}) and not given_up.done():
                await asyncio.wait({*waiting, given_up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            given_up.cancel()

    async def _one(self, call: ToolCall) -> Outcome:
        if why := self.budget.admit(call):
            return self._ended(not_run(call, f"Not run: {why}."))
        running = self._running[call.id]
        effect = self.runner.effect(call.name)
        if call.broken:
            unread = self._ended(not_run(call, remark("unreadable", reason=call.broken)))
            if hint := self.budget.learn(call, Effect.READ, unread):
                self.hints.append(hint)
            running.outcome = unread
            return unread
        async with self._one_question:
            verdict = await self.gate.before(call, effect)
        if not verdict.allowed:
            not_allowed = not_run(
                call,
                remark("refused" if verdict.final else "refused-for-now", reason=verdict.reason),
                f"Refused: {verdict.reason}",
            )
            running.outcome = self._ended(
                not_allowed
            )  # kept: a Ctrl-C at the question cancels this very task
            return running.outcome
        running.begun, running.acting = True, effect is not Effect.READ
        arguments = dict(call.arguments)
        self.transcript.record(entries.call(call, effect))
        self.emit(CallStarted(call.id, call.name, arguments))
        running.outcome = outcome = self._ended(
            await self.runner.run(call.id, call.name, arguments), ran=True
        )
        if hint := self.budget.learn(call, effect, outcome):
            self.hints.append(hint)
        await self.gate.after(call, outcome)
        return outcome

    def _harvest(self, running: Running) -> Outcome:
        task = running.task
        if running.outcome is not None:
            return running.outcome
        if not task.done():
            self._left.add(task)
            task.add_done_callback(self._forget)
        elif not task.cancelled() and task.exception() is None:
            return task.result()
        known = ("unknown-outcome" if running.acting else "read-stopped") if running.begun else "not-run"
        return self._ended(not_run(running.call, remark(known)))

    def _forget(self, task: asyncio.Task[Outcome]) -> None:
        self._left.discard(task)
        if not task.cancelled() and task.exception() is None:
            self.late(task.result())

    def _ended(self, outcome: Outcome, *, ran: bool = False) -> Outcome:
        self.transcript.record(entries.outcome(outcome, ran=ran))
        self.emit(ended(outcome, headline(outcome)))
        return outcome


def not_run(call: ToolCall, text: str, summary: str = "") -> Outcome:
    """Return the outcome of a call that never ran, or whose end nobody saw; `summary` is for the person."""
    return Outcome(call.id, call.name, False, text, {"error": text}, None, 0.0, summary)
