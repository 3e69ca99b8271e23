"""The playbook: a fixed script in the place of a model, for when there is no key or `--offline`.

It answers what it has a pattern for, from results and recorded evidence alone, and says what it is.
"""

from collections.abc import AsyncIterator
from typing import Literal

from agent.models.base import Block, ModelEvent, Reply, Request, TextDelta
from agent.models.playbook.plan import plan
from agent.models.playbook.record import Record, read
from agent.models.playbook.step import Step

INTRODUCTION = (
    "I am operator's playbook, a fixed script, not Claude: I run real tools and tell what they return, "
    "and I understand only what `help` lists."
)


class PlaybookModel:
    """Answers by script; keeps nothing between replies, so that a resumed session goes on as it was."""

    @property
    def driver(self) -> Literal["playbook"]:
        """It is the playbook."""
        return "playbook"

    @property
    def name(self) -> None:
        """There is no model."""
        return

    @property
    def compaction(self) -> None:
        """A script can't sum up, and answers from results, which a summary would take from it."""
        return

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
        "id": f"toolu_playbook_{record.calls + 1}",
        "name": step.tool,
        "input": dict(step.arguments),
    }
    return Reply((said, call), "tool_use")
