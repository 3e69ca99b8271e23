"""Offline mode as a driver: it plays the demo, carries out plain orders, and answers from the record."""

from collections.abc import AsyncIterator
from typing import Literal

from agent.models.base import Block, ModelEvent, Reply, Request, TextDelta
from agent.models.offline.plan import plan
from agent.models.offline.record import Record, Step, read

INTRODUCTION = (
    "Offline mode: a script answers, not Claude. It runs real tools and reports what they return; `help` "
    "lists what it understands."
)


class OfflineModel:
    """Answers by script; keeps nothing between replies, so that a resumed session goes on as it was."""

    driver: Literal["playbook"] = "playbook"
    """What results call it."""
    name = None
    compaction = None
    """A script can't sum up, and answers from results, which a summary would take from it."""

    async def respond(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Answer once; takes no time and never fails."""
        record = read(request.messages, request.demo)
        step = plan(record)
        text = f"{INTRODUCTION}\n\n{step.say}" if record.first else step.say
        yield TextDelta(text, done=True)
        yield _reply(text, step, record)

    async def aclose(self) -> None:
        """There is nothing to close."""


def _reply(text: str, step: Step, record: Record) -> Reply:
    said: Block = {"type": "text", "text": text}
    if step.tool is None:
        return Reply((said,), "end_turn")
    call: Block = {
        "type": "tool_use",
        "id": f"toolu_offline_{record.calls + 1}",
        "name": step.tool,
        "input": dict(step.arguments),
    }
    return Reply((said, call), "tool_use")
