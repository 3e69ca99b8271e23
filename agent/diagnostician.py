"""Claude as diagnostician: a fresh conversation that reads, and has not seen what was done.

It gets an examination (`tools.diagnosis.examination`), the tools that need no more, the failure signatures of
the database, and the monitor's signals. What the session did is in none of them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agent.budget import Budget, Limits
from agent.errors import ModelError
from agent.events import CallStarted
from agent.mode import Mode
from agent.models.base import Model, ToolSpec, Usage
from agent.models.catalog import facts_of
from agent.permissions import PermissionGate
from agent.turn import Conversation
from prompts import read
from subjects import clock
from tools.diagnosis.check import settle
from tools.diagnosis.examination import Examination
from tools.diagnosis.rules import RulesDiagnostician
from tools.diagnosis.schema import Diagnosis
from tools.events import Emit, Event, Notice, Progress
from tools.registry import Dispatcher, load_tools
from tools.tool import Result, Tool

MAX_CALLS = 30
MAX_SIGNALS = 40

_SENTENCE_END = re.compile(r"(?<=[.:;!?])\s+")


@dataclass(slots=True)
class BlindDispatcher(Dispatcher):
    """Runs calls on an examination; hints that name other tools are left out."""

    hidden: tuple[str, ...] = ()

    async def _result(self, name: str, arguments: Mapping[str, Any]) -> Result:
        # An explicit base: a zero-argument super() does not survive the second class that slots make.
        result = await Dispatcher._result(self, name, arguments)  # noqa: SLF001 - its own base
        return replace(result, next=without(self.hidden, result.next))


@dataclass(slots=True)
class Unrecorded:
    """Keeps nothing: the diagnosis and its evidence are in the incident."""

    def record(self, entry: dict[str, Any]) -> object:
        """Do nothing."""
        return entry


@dataclass(slots=True)
class ClaudeDiagnostician:
    """A model that diagnoses examination. What it used adds up in `usage` and `cost_usd`."""

    model: Model
    emit: Emit
    session: Budget | None = None
    """The budget of the session that asks: it is charged, and what is left of it is the limit here."""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    by: Literal["claude", "rules"] = "claude"

    async def diagnose(self, examination: Examination) -> Diagnosis:
        """Let the model read and submit; where it can't or won't, the rules answer and say that they do."""
        conversation = self._conversation(examination)
        try:
            await conversation.ask(opening(examination))
        except ModelError as error:
            self.emit(Notice(f"The model could not diagnose ({error}); the rules do.", level="warning"))
        finally:
            self._count(conversation.budget)
            await conversation.aclose()
        if examination.findings is None:
            self.emit(Notice("No diagnosis came from the model: this one is by the rules.", level="warning"))
            return await RulesDiagnostician().diagnose(examination)
        return settle(
            examination.findings,
            self.by,
            examination.problems,
            ledger=examination.ledger,
            opened_wall=examination.case.opened_wall,
        )

    def _conversation(self, examination: Examination) -> Conversation:
        known = load_tools(Examination)
        hidden = tuple(name for name in load_tools() if name not in known)
        limits = self.session.left() if self.session else Limits()
        return Conversation(
            model=self.model,
            runner=BlindDispatcher(examination, known, hidden=hidden),
            gate=PermissionGate(Mode.READ_ONLY),
            emit=self._watch,
            transcript=Unrecorded(),
            budget=Budget(facts_of(self.model.name), replace(limits, calls_per_request=MAX_CALLS)),
            system=system(examination),
            tools=tuple(specs(known.values(), hidden)),
            unfinished=lambda: "" if examination.findings else "Submit your diagnosis with submit_diagnosis.",
        )

    def _watch(self, event: Event) -> None:
        """Show of the blind conversation only what it looks at, not its words."""
        if isinstance(event, CallStarted):
            on = event.arguments.get("node")
            self.emit(Progress(f"The diagnostician reads {event.tool}{f' of {on}' if on else ''}"))

    def _count(self, budget: Budget) -> None:
        self.usage += budget.usage
        if budget.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + budget.cost_usd
        if self.session is not None:
            self.session.charge(budget.usage, budget.cost_usd)


def system(examination: Examination) -> str:
    """Return the system prompt: how to work, and what this database's failures look like."""
    return f"{read('diagnostician')}\n\n{examination.require_cluster().subject.knowledge.strip()}"


def specs(tools: Iterable[Tool], hidden: Iterable[str]) -> Iterable[ToolSpec]:
    """Return the tools as the model is told of them, without sentences that name tools it has not."""
    names = tuple(hidden)
    for tool in tools:
        yield ToolSpec(tool.name, without(names, tool.description), tool.schema)


def without(names: Iterable[str], text: str) -> str:
    """Return `text` without the sentences that name one of `names`."""
    mark = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
    kept = (
        " ".join(part for part in _SENTENCE_END.split(line) if not mark.search(part))
        for line in text.splitlines()
    )
    return "\n".join(kept)


def opening(examination: Examination) -> str:
    """Return the first message: the case, in the monitor's words alone."""
    case, cluster = examination.case, examination.require_cluster()
    lines = [f"The cluster is {cluster.label}; its nodes are {', '.join(cluster.subject.nodes)}."]
    ago = max(0.0, clock.wall() - case.opened_wall)
    if case.detection is None:
        lines.append(
            f"Somebody asks for a check of the last {ago:.0f} seconds. The monitor reported no incident. "
            "Find out whether something happened, and what."
        )
    else:
        lines.append(
            f"The monitor opened an incident {ago:.1f} s ago: {case.detection.text}. "
            "Find out what happened; it may still go on or be over."
        )
    if case.incident is not None:
        lines.append(f"The incident's id is {case.incident}.")
    signals = [
        item for item in examination.ledger.since(case.opened_wall) if item.source.startswith("signal:")
    ]
    if signals:
        lines.append("Its signals so far, with seconds after the first:")
        lines += [
            f"[{item.id}] +{item.wall - case.opened_wall:.3f} s {item.source.removeprefix('signal:')} "
            f"{item.node or 'cluster'}: {item.text[:300]}"
            for item in signals[:MAX_SIGNALS]
        ]
    return "\n".join(lines)
