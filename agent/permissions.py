"""Who may act: the gate that every tool call passes before it runs."""

from dataclasses import dataclass
from typing import Protocol

from agent.models.base import ToolCall
from tools.registry import Effect, Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call may run; a refusal's reason goes to the model."""

    allowed: bool
    reason: str = ""


ALLOWED = Verdict(allowed=True)


class Gate(Protocol):
    """Asked before each call and told after it. The demo paces itself here; the chat asks the person."""

    async def before(self, call: ToolCall, effect: Effect) -> Verdict:
        """Decide whether `call` may run; may wait for a person."""
        ...

    async def after(self, call: ToolCall, outcome: Outcome) -> None:
        """Learn what came of it."""
        ...
