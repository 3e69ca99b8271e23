"""One session: a conversation about one cluster, and its end, which leaves the world as it was found.

`agent.sessions.opening` opens one.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.ending import TurnEnd
from agent.events import Finished
from agent.mode import Mode
from agent.models.base import Message
from agent.models.catalog import ALIASES, facts_of
from agent.permissions import ActiveGate
from agent.setup import Setup
from agent.transcript.event_entries import to_entry
from agent.transcript.file import Transcript
from agent.turn import Conversation
from agent.view.base import View
from agent.workbench import close_workbench
from prompts import remark
from subjects import clock
from subjects.errors import SubjectError
from tools.cluster import lifecycle
from tools.errors import ToolError
from tools.observe.ledger import Ledger
from tools.registry import Dispatcher
from tools.tool import Outcome, Tool
from tools.workbench import Workbench

RECOVERY_S = 10.0
"""How long the end waits for the incident of a fault that it healed to be seen over."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the status line and /cost show. None is `not known`."""

    driver: str
    model: str | None
    mode: Mode
    context_tokens: int = 0
    context_limit: int | None = None
    tokens: int = 0
    """Of the whole session, in and out."""
    cost_usd: float | None = None
    cluster: str | None = None
    """Its label, `etcd × process`; None where there is none."""
    open_faults: int = 0
    """Faults that are in force."""


@dataclass(slots=True)
class Session:
    """A conversation about one cluster, as the REPL, the demo and headless runs have it."""

    setup: Setup
    view: View
    workbench: Workbench
    conversation: Conversation
    transcript: Transcript
    gate: ActiveGate
    dispatcher: Dispatcher
    _warming: asyncio.Task[None] | None = None
    _waiting: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The session's id."""
        return self.transcript.header.id

    @property
    def mode(self) -> Mode:
        """What may run without asking."""
        return self.gate.permissions.mode

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools that the model has."""
        return self.dispatcher.tools

    @property
    def ledger(self) -> Ledger:
        """The evidence."""
        return self.workbench.ledger

    @property
    def messages(self) -> Sequence[Message]:
        """What was said so far."""
        return self.conversation.history.messages

    @property
    def nodes(self) -> Sequence[str]:
        """The cluster's nodes."""
        return self.workbench.cluster.subject.nodes if self.workbench.cluster else ()

    @property
    def recorded(self) -> bool:
        """Whether the session is written down whole, so that it can be continued."""
        return self.transcript.recorded

    @property
    def models(self) -> Sequence[str]:
        """Short names that `use_model` takes."""
        return tuple(ALIASES)

    async def ask(self, text: str) -> TurnEnd:
        """Answer the person."""
        monitor = self.workbench.monitor
        if monitor is None or not monitor.open_incidents:
            clock.follow()
        return await self.conversation.ask(text)

    def interrupt(self) -> None:
        """Stop at the next safe point; again: at once."""
        self.conversation.interrupt()

    def interject(self, text: str) -> None:
        """Let the model read `text` at the next safe point; offline mode does one thing after the other."""
        if self.conversation.model.driver == "playbook":
            self._waiting.append(text)
        else:
            self.conversation.interject(text)

    def unread(self) -> Sequence[str]:
        """Take back what came after the turn's last request, as requests: it begins the next turns.

        A model reads several lines as one request; offline mode answers each of them.
        """
        waiting, self._waiting = self._waiting, []
        together = "\n".join(self.conversation.unread())
        return (*waiting, together) if together else tuple(waiting)

    def status(self) -> Status:
        """What the status line shows."""
        model, budget = self.conversation.model, self.conversation.budget
        return Status(
            driver=model.driver,
            model=model.name,
            mode=self.mode,
            context_tokens=budget.context_tokens,
            context_limit=budget.facts.context_limit,
            tokens=budget.usage.prompt_tokens + budget.usage.output_tokens,
            cost_usd=budget.cost_usd,
            open_faults=len(self.workbench.faults.journal.open_faults()),
            cluster=self.workbench.cluster.label if self.workbench.cluster else None,
        )

    def set_mode(self, mode: Mode) -> None:
        """Change what may run without asking; the model is told with its next request."""
        self.gate.permissions.mode = mode
        self.conversation.note(remark(f"mode-{mode.value}"))

    async def run_tool(self, name: str, arguments: Mapping[str, Any]) -> Outcome:
        """Run a tool for the person; the model does not see it."""
        return await self.dispatcher.run(f"person-{len(self.workbench.ledger) + 1}", name, arguments)

    async def use_model(self, name: str) -> str:
        """Let another model answer from the next request on."""
        from agent.sessions.choosing import choose_diagnostician, choose_model

        model = choose_model(replace(self.setup, model=name, offline=name == "offline"))
        before = self.conversation.model
        self.conversation.switch(model, facts_of(model.name))
        self.workbench.diagnostician = choose_diagnostician(
            model, self.workbench.emit, self.conversation.budget
        )
        await before.aclose()
        return f"Model set to {model.name}." if model.name else "Offline mode."

    async def compact(self) -> bool:
        """Replace what was said by a summary."""
        return await self.conversation.compact()

    async def resume(self, session: str) -> str:
        """Go on with an earlier session, the last one if none is named."""
        from agent.sessions.resume import resume

        return await resume(session, self.workbench, self.conversation, self.transcript, self.open_cluster)

    async def clear(self) -> None:
        """Begin a new conversation on the same cluster."""
        self.conversation.clear()

    async def restore(self) -> str:
        """Heal every open fault of the state folder."""
        from tools.faults import measured_heal

        reports = await self.workbench.faults.restore()
        if not reports:
            return "There is no open fault."
        measured_heal.file_injected(self.workbench, reports)
        return "\n".join(report.sentence for report in reports)

    def warm(self) -> None:
        """Let Claude's SDK load while the person still types: it costs a second of the first answer."""
        from agent.models.claude import ClaudeModel

        if isinstance(model := self.conversation.model, ClaudeModel):
            self._warming = asyncio.create_task(model.warm())
            # What goes wrong is told by the first request, which does it again.
            self._warming.add_done_callback(lambda task: task.cancelled() or task.exception())

    def keep_result(self, result: Mapping[str, Any]) -> None:
        """Write a command's result into the transcript, so that a replay ends with it."""
        entry = to_entry(Finished(dict(result)))
        if entry is not None:
            self.transcript.record(entry)

    async def open_cluster(self) -> None:
        """Have the cluster of an earlier run, if one still runs, watched again."""
        with contextlib.suppress(SubjectError, ToolError):
            await lifecycle.find(self.workbench)

    async def check_fault(self, fault: str, target: str | None) -> None:
        """Raise ToolError for a demo that cannot be had here, before anything is started for it."""
        allowed = self.workbench.allow_quorum_loss
        async with lifecycle.open_or_planned(self.workbench) as cluster:
            self.workbench.faults.check(cluster, fault, target, allow_quorum_loss=allowed)

    async def aclose(self) -> str:
        """Heal, end the load, stop what this session started; returns the last line to tell, if any.

        Everything is tried, also when a part of it fails.
        """
        sentences: list[str] = []
        if self._warming is not None:
            self._warming.cancel()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self.transcript.close)
            stack.push_async_callback(close_workbench, self.workbench)
            stack.push_async_callback(self.conversation.model.aclose)
            stack.push_async_callback(self._close_cluster, sentences)
            stack.push_async_callback(self._heal_own, sentences)
            await self.conversation.aclose()
        return " ".join(sentences)

    async def _heal_own(self, sentences: list[str]) -> None:
        reports = await self.workbench.faults.heal_own()
        sentences += [
            f"Fault {report.fault} ({report.kind}) was {report.state}: {report.text}." for report in reports
        ]
        if reports and self.workbench.monitor is not None:
            self.workbench.monitor.settle()
            await self.workbench.monitor.until_quiet(RECOVERY_S)

    async def _close_cluster(self, sentences: list[str]) -> None:
        if text := await lifecycle.leave(self.workbench, keep=self.setup.keep):
            sentences.append(text)
