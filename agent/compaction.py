"""Compaction: the history replaced by a summary, when it grows long or the person asks.

Where the service can do it (the driver's `compaction`) its signed `compaction` block takes the place of
what it sums up; elsewhere one user message holds a summary. Both are followed by facts from the host
(open faults, the incident, evidence ids), which no summary can lose. Never between a call and its result.
What a script has said is left as it is: it can't sum up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.budget import Budget
from agent.drawing import Listener
from agent.errors import ContextOverflow, ModelError, ModelRefused
from agent.history import History
from agent.models.base import Block, Message, Request
from agent.repair import text_block
from prompts import read, remark
from tools.events import Notice

DUE_TOKENS = 150_000
"""What Anthropic's own automatic compaction waits for (its default trigger)."""
DUE_SHARE = 0.6
"""The share of a small context window at which it is due; the rest must hold a turn of calls."""
MESSAGE_CHARS = 2_000
SHOWN_CHARS = 20_000
"""How much of the newest messages the host's own digest keeps where no model can sum up."""


@dataclass(slots=True)
class Compactor:
    """How this session compacts."""

    facts: Callable[[], str]
    """What must survive: open faults, the incident's id, evidence ids; told by the workbench."""
    due_tokens: int = DUE_TOKENS

    def due(self, budget: Budget) -> bool:
        """Return whether the context has grown enough.

        Where the model's window is not known, the service's refusal of a conversation that is too long tells.
        """
        limit = budget.facts.context_limit
        most = self.due_tokens if limit is None else min(self.due_tokens, int(DUE_SHARE * limit))
        return budget.context_tokens > most

    async def compact(self, request: Request, listener: Listener) -> list[Message]:
        """Return the messages that may stand for those of `request`; none if nobody can, or it failed."""
        if listener.model.compaction is None:
            return []
        before = len(request.messages)
        try:
            messages = await self._by_server(request, listener) or await self._by_model(request, listener)
        except ContextOverflow:
            messages = self._by_host(request.messages)
        except ModelError as error:
            listener.emit(Notice(f"The conversation could not be compacted: {error}", level="warning"))
            return []
        listener.emit(Notice(f"Compacted: {before} messages are now a summary. What is open was kept."))
        return messages

    async def _by_server(self, request: Request, listener: Listener) -> list[Message]:
        """Return the service's signed block and the facts; nothing where it doesn't do that."""
        if listener.model.compaction != "server":
            return []
        try:
            reply = await listener.hear(replace(request, compact=read("compaction")), draw=False)
        except ContextOverflow:
            raise
        except ModelRefused:
            return []
        if not any(block.get("type") == "compaction" and block.get("content") for block in reply.content):
            return []
        return [Message("assistant", reply.content), Message("user", (text_block(self._open()),))]

    async def _by_model(self, request: Request, listener: Listener) -> list[Message]:
        """Return a summary that the model writes as an ordinary answer."""
        asking = History(request.messages)
        asking.user(read("compaction"))
        reply = await listener.hear(replace(request, messages=asking.messages), draw=False)
        summary = reply.text.strip()
        return self._told(summary) if summary else self._by_host(request.messages)

    def _by_host(self, messages: Sequence[Message]) -> list[Message]:
        """Return the newest texts, cut: for when not even a summary can be asked for."""
        newest: list[str] = []
        room = SHOWN_CHARS
        for message in reversed(messages):
            text = "\n".join(_said(block) for block in message.content)[:MESSAGE_CHARS]
            if len(text) > room:
                break
            room -= len(text)
            newest.append(f"{message.role}: {text}")
        return self._told("The newest messages, cut by operator:\n" + "\n".join(reversed(newest)))

    def _told(self, summary: str) -> list[Message]:
        return [Message("user", (text_block(remark("summary", summary=summary)), text_block(self._open())))]

    def _open(self) -> str:
        return remark("facts", facts=self.facts().strip() or "No fault is open.")


def _said(block: Block) -> str:
    match block.get("type"):
        case "text":
            return str(block["text"])
        case "tool_use":
            return f"(called {block['name']} {block['input']})"
        case "tool_result":
            return f"(result: {block.get('content')})"
        case _:
            return ""
