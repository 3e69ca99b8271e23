"""Questions to the person, one line each: may this run, and shall we go on."""

import contextlib
import shutil
import termios
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from agent.view.words import call_words, one_line

if TYPE_CHECKING:
    from agent.models.base import ToolCall
    from agent.permissions import Answer
    from tools.tool import Effect

Aside = Callable[[], AbstractContextManager[None]]
"""How the terminal is had for a question: `View.aside`."""

EFFECT_WORDS = {"read": "reads", "act": "acts", "destroy": "disrupts"}

CHOICES = "[y]es once / [a]lways this session / [n]o, and why"

INTERRUPTED = "interrupted before it was answered"


async def may_run(call: "ToolCall", effect: "Effect", about: str, aside: Aside) -> "Answer":
    """Ask whether `call` may run; `about` says what it would do: node, effect, prediction, undo.

    Ctrl-C and Ctrl-D mean no, as does every answer that is not a yes; a slash command is no answer.
    """
    from agent.permissions import Answer

    words = f"{one_line(call.name, 60)} {call_words(call.arguments)}".strip()
    question = wrapped(f"{words} ({EFFECT_WORDS[effect.value]}) – run it? {CHOICES}:")
    if about:
        question = "\n".join(wrapped(line).rstrip() for line in about.splitlines()) + f"\n{question}"
    said: str | None = ""
    while said is not None:
        said = await _line(question, aside)
        if said and not said.startswith("/"):
            return read_answer(said)
    return Answer("no", INTERRUPTED)


def wrapped(question: str) -> str:
    """Return the question broken at words where it does not fit on a line, with room to answer."""
    columns = max(20, shutil.get_terminal_size().columns - 1)
    return "\n".join(textwrap.wrap(question, columns, break_on_hyphens=False)) + " "


def read_answer(said: str) -> "Answer":
    """Read an answer: only an unmistakable yes is one, all other words are the reason for a no."""
    from agent.permissions import Answer

    match said.strip().lower():
        case "y" | "yes" | "once":
            return Answer("once")
        case "a" | "always":
            return Answer("session")
    first, _, rest = said.strip().partition(" ")
    if first.lower().rstrip(",.:;") in ("n", "no"):
        return Answer("no", rest.strip())
    return Answer("no", said.strip())


async def consents(question: str, aside: Aside) -> bool:
    """Ask a question that only an unmistakable yes answers with yes."""
    said = await _line(wrapped(f"{question}? [y]es / [n]o:"), aside)
    return said is not None and said.lower() in ("y", "yes")


async def press_enter(text: str, aside: Aside) -> bool:
    """Wait for Enter; False for Ctrl-C and Ctrl-D."""
    return await _line(text, aside) is not None


async def _line(question: str, aside: Aside) -> str | None:
    """Return what is entered; None for Ctrl-C and Ctrl-D."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import DummyHistory
    from prompt_toolkit.input.typeahead import clear_typeahead

    with aside():
        session: PromptSession[str] = PromptSession(history=DummyHistory())
        clear_typeahead(session.input)  # keys that were typed before the question do not answer it
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(session.input.fileno(), termios.TCIFLUSH)  # nor those not read yet
        try:
            return (await session.prompt_async(question, handle_sigint=True)).strip()
        except (KeyboardInterrupt, EOFError):
            return None
