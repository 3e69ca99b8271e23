"""A conversation for tests: the real loop and dispatcher, over small tools that tell their order."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

from agent.budget import Budget, Limits
from agent.compaction import Compactor
from agent.errors import ModelError
from agent.history import History
from agent.mode import Mode
from agent.models.base import Block, Model, ModelEvent, Reply, Request, ToolSpec, Usage
from agent.models.catalog import ModelFacts, facts_of
from agent.permissions import Gate, PermissionGate
from agent.turn import Conversation
from tools.events import Event
from tools.observe.ledger import Ledger
from tools.registry import Dispatcher
from tools.tool import Effect, Params, Result, Tool, failure
from tools.workbench import Workbench

SYSTEM = "You are on call for a database that exists only in this test."


class Named(Params):
    """What the tools here take."""

    name: str = "etcd-1"


@dataclass
class House:
    """Tools that note when they begin and end; those in `held` wait until they are let go."""

    log: list[str] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    stubborn: set[str] = field(default_factory=set)
    """Tools that do not stop when they are cancelled, for as long as they are held."""
    answers: dict[str, Callable[[Named], Result]] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def tool(self, name: str, effect: Effect) -> Tool:
        async def run(params: Named, _bench: Workbench) -> Result:
            await self._note(f"begin {name} {params.name}")
            try:
                if name in self.held:
                    await self._wait(name)
            except asyncio.CancelledError:
                await self._note(f"cancelled {name} {params.name}")
                raise
            await self._note(f"end {name} {params.name}")
            answer = self.answers.get(name)
            return answer(params) if answer else Result({"tool": name, "name": params.name})

        return Tool(name, Named, effect, run, Path())

    async def until(self, line: str) -> None:
        """Wait until `line` is in the log."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: line in self.log)

    async def _note(self, line: str) -> None:
        async with self.changed:
            self.log.append(line)
            self.changed.notify_all()

    async def _wait(self, name: str) -> None:
        while True:
            try:
                await self.held[name].wait()
            except asyncio.CancelledError:
                if name not in self.stubborn:
                    raise
            else:
                return


@dataclass
class Notes:
    """A transcript in memory."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def record(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["type"] == kind]


@dataclass
class Room:
    """A conversation with everything that a test looks at."""

    talk: Conversation
    house: House
    notes: Notes
    events: list[Event]
    ledger: Ledger

    def seen(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Speaker:
    """A driver that says given replies in turn, and keeps the requests. A callable makes its reply."""

    driver: Literal["playbook"] = "playbook"
    name: str | None = None

    def __init__(
        self,
        *replies: Reply | ModelError | Callable[[Request], Reply],
        compaction: Literal["server", "model"] | None = "model",
    ) -> None:
        self.compaction = compaction
        self.replies = list(replies)
        self.requests: list[Request] = []

    async def respond(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, ModelError):
            raise reply
        yield reply if isinstance(reply, Reply) else reply(request)

    async def aclose(self) -> None:
        assert self.replies == [], "not everything was said"


def replies(*blocks: Block, stop: str | None = None, usage: Usage | None = None, detail: str = "") -> Reply:
    """A reply of blocks made by `messages_script`; calls without an id are numbered."""
    given = [dict(block) for block in blocks]
    for number, block in enumerate(given):
        if block["type"] == "tool_use" and block["id"] is None:
            block["id"] = f"call_{next(_ids)}_{number}"
    asks = any(block["type"] == "tool_use" for block in given)
    return Reply(tuple(given), stop or ("tool_use" if asks else "end_turn"), usage or Usage(), detail)


_ids = count(1)
READS = ("look", "peek")
ACTS = ("act", "change")
DESTROYERS = ("smash",)


def room(
    model: Model,
    *,
    gate: Gate | None = None,
    limits: Limits | None = None,
    facts: ModelFacts | None = None,
    history: History | None = None,
    compactor: Compactor | None = None,
) -> Room:
    """A conversation of `model` with reads (look, peek), acts (act, change) and a destroyer (smash)."""
    house, notes, events, ledger = House(), Notes(), list[Event](), Ledger()
    kinds = {Effect.READ: READS, Effect.ACT: ACTS, Effect.DESTROY: DESTROYERS}
    tools = {name: house.tool(name, effect) for effect, names in kinds.items() for name in names}
    workbench = cast("Workbench", SimpleNamespace(ledger=ledger))
    talk = Conversation(
        model=model,
        runner=Dispatcher(workbench, tools),
        gate=gate or PermissionGate(Mode.AUTO),
        emit=events.append,
        transcript=notes,
        budget=Budget(facts or facts_of(model.name), limits or Limits()),
        system=SYSTEM,
        tools=tuple(ToolSpec(name, f"Does {name}.", tool.schema) for name, tool in tools.items()),
        history=history or History(),
        compactor=compactor,
    )
    return Room(talk, house, notes, events, ledger)


__all__ = ["Effect", "House", "Named", "Notes", "Result", "Room", "failure", "room"]
