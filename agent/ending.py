"""How a turn ends, and what a reply that cannot end it still lacks."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent.models.base import Reply
from agent.repair import WHOLE
from agent.view.words import one_line
from prompts import remark
from tools.events import Emit, Notice

Reason = Literal["answered", "refused", "truncated", "budget", "interrupted", "failed"]
CUT = frozenset({"max_tokens", "model_context_window_exceeded"})
"""The stop reasons of a reply that ran out of room."""
KNOWN = CUT | WHOLE | {"refusal"}
MAX_CONTINUES = 2
"""How often in a row a reply that was cut, empty or unfinished is asked to go on."""
LATE_CHARS = 2_000
"""How much of a result is told that came after it had been given up."""


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """How a turn ended."""

    reason: Reason
    text: str = ""
    """The last answer; for `budget` it may be the host's own summary."""
    detail: str = ""
    """Why, where it did not end by an answer: fit to be shown."""
    calls: int = 0
    nothing_shown: bool = False
    """Interrupted before anything came of it: the prompt may offer the person's text again."""


def continuation_prompt(reply: Reply, unfinished: Callable[[], str]) -> str:
    """Return what the model is told when its reply does not end the turn; empty if it does.

    An `end_turn` proves neither that something was said nor that all was done.
    """
    if reply.stop_reason in CUT:
        return remark("cut")
    return unfinished() if reply.text.strip() else remark("empty")


def refused(reply: Reply, emit: Emit) -> TurnEnd:
    """Tell the person that the model declined, and what they can do."""
    why = f"The model declined to answer this ({reply.detail or 'no reason given'})."
    emit(Notice(f"{why} Word it differently, or take another model.", level="warning"))
    return TurnEnd("refused", detail=why)


def ended_strangely(reply: Reply, emit: Emit) -> TurnEnd:
    """Tell the person that the reply ended for a reason that operator does not know."""
    why = f"The reply ended for a reason that operator does not know ({one_line(reply.stop_reason, 60)})"
    emit(Notice(f"{why}: it may be incomplete, and no call in it was run.", level="warning"))
    return TurnEnd("truncated", reply.text, f"{why}.")


def stayed_incomplete(reply: Reply, emit: Emit) -> TurnEnd:
    """Tell the person that nothing whole came, however often the model was asked to go on."""
    why = "The reply stayed incomplete" if reply.text.strip() else "The model said nothing"
    why += f", though it was asked {MAX_CONTINUES + 1} times"
    emit(Notice(f"{why}. Ask again, or take another model.", level="warning"))
    return TurnEnd("truncated", reply.text, f"{why}.")


def cancelled_from_outside() -> bool:
    """Return whether the whole task is being cancelled, not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
