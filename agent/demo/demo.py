"""The chaos demo: a request asked of a session, its gate, and what the host guarantees at its end.

Whoever answers (a model, or offline mode) chooses the calls and narrates. The host announces the stages,
holds each call against the request, and heals and verifies what is left, whatever was forgotten.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

from agent.demo.facts import Facts
from agent.demo.gate import DemoGate, Pause
from agent.demo.request import DEFAULT_FAULT, DemoRequest
from agent.demo.result import demo_result
from agent.demo.stages import RECOVERY, Stages
from agent.demo.tables import tables
from agent.ending import TurnEnd
from agent.mode import Mode
from agent.orders import read_demo
from agent.sessions.session import Session
from prompts import remark
from subjects.errors import SubjectError
from tools.errors import ToolError
from tools.events import Notice
from tools.faults import measured_heal
from tools.tasks import uncancelled


@dataclass(slots=True)
class Demo:
    """One run of the demo in a session."""

    session: Session
    request: DemoRequest
    pause: Pause | None = None
    gate: DemoGate = field(init=False)
    end: TurnEnd | None = None
    """How the turn ended, once it has."""
    _asked_at: object = None
    """How far the demo was when the model was last asked to go on."""

    def __post_init__(self) -> None:
        workbench = self.session.workbench
        self.gate = DemoGate(workbench, self.request, Stages(workbench.emit), self.pause)

    @property
    def facts(self) -> Facts:
        """What was seen of it."""
        return self.gate.facts

    def result(self) -> dict[str, Any]:
        """Return the `result` of `demo chaos`, of however much of it was done."""
        return demo_result(self.session, self.gate.stages, self.facts, stopped=self.gate.stopped)

    async def run(self, text: str | None = None) -> TurnEnd:
        """Ask the session for it in the words `text`, and do the host's part however the turn ends.

        ToolError, before anything is started, for a fault or a target that can't be had here. A cancellation
        or a model's failure ends the conversation, not the healing: it is raised again once all is restored.
        """
        if self.request.fault or self.request.target:
            await self.session.check_fault(self.request.fault or DEFAULT_FAULT, self.request.target)
        self.facts.interrupted = True
        try:
            self.end = await self._ask(text or self.request.text)
        except Exception:
            self.facts.interrupted = False
            raise
        else:
            self.facts.interrupted = self.end.reason == "interrupted"
            return self.end
        finally:
            await self._finish()

    async def _ask(self, text: str) -> TurnEnd:
        session = self.session
        conversation = session.conversation
        with session.gate.during(self.gate, self.gate.shows):
            if conversation.model.driver == "claude":  # offline mode cannot forget a step
                conversation.unfinished = self._unfinished
            try:
                return await conversation.ask(text, self.request)
            finally:
                conversation.unfinished = str

    def _unfinished(self) -> str:
        """Say what a model that calls the demo done has left out, once at each point of it."""
        facts = self.facts
        at = (self.gate.stages.current, facts.injection, facts.diagnosis, facts.outcome)
        if self.gate.stopped or at == self._asked_at:
            return ""
        self._asked_at = at
        if facts.injection is None:
            return remark("nothing-broken")
        left = [remark("undiagnosed")] if facts.diagnosis is None else []
        left += [remark("unhealed")] if self.session.workbench.faults.journal.open_faults() else []
        return "\n".join(left)

    async def _finish(self) -> None:
        """The host's part: heal what is open, verify, end the load, show the tables."""
        try:
            await uncancelled(self._restore())  # a second Ctrl-C does not stop the healing; the CLI says so
        except asyncio.CancelledError:
            self.facts.interrupted = True
            raise
        finally:
            for table in tables(self.facts):
                self.session.workbench.emit(table)

    async def _restore(self) -> None:
        workbench, stages, facts = self.session.workbench, self.gate.stages, self.facts
        self.gate.take_injection()
        if facts.injection is not None and not stages.begun(RECOVERY):
            stages.announce(RECOVERY)
        await self._heal_leftovers()
        with contextlib.suppress(SubjectError, ToolError):
            if workbench.cluster is not None:
                facts.snapshot = await workbench.cluster.subject.observe()
        if facts.outcome is not None and facts.outcome.unproven:
            why = facts.outcome.observed.writes_not_measured
            workbench.emit(Notice(f"Acknowledged writes could not be read back: {why}.", level="warning"))
        if workbench.load is not None:
            await workbench.load.stop()
        if facts.injection is not None:
            stages.end(RECOVERY, ok=facts.restored)

    async def _heal_leftovers(self) -> None:
        """Heal what this session left open, and confirm what another process has healed meanwhile."""
        workbench, injection = self.session.workbench, self.facts.injection
        if workbench.cluster is None:
            return
        read_back = not self.facts.interrupted
        if workbench.faults.own_open():
            workbench.emit(Notice("Restoring: a fault is still open."))
            await measured_heal.heal(workbench, workbench.faults.heal_own(), read_back=read_back)
        elif injection is not None and self.facts.outcome is None:
            await measured_heal.heal(
                workbench, measured_heal.healed_meanwhile(workbench, injection), read_back=read_back
            )
        self.gate.take_outcome()


def ordered(session: Session, text: str) -> Demo | None:
    """Return the demo that a person orders in `text`, ready to run; None for every other request."""
    request = read_demo(text)
    if request is None or session.mode is Mode.READ_ONLY or session.gate.demo_runs:
        return None
    return Demo(session, request)
