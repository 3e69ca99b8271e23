"""`operator`: the chat at a terminal."""

import asyncio
import signal
from typing import TYPE_CHECKING

from agent.chat.repl import Repl
from agent.permissions import Ask
from agent.running import RESTORING, ended_by_signals, ending_signals
from agent.setup import Setup
from agent.view.terminal import TerminalView
from subjects.errors import SubjectError
from subjects.state import open_state
from tools.events import Failed, Notice
from tools.tasks import uncancelled

if TYPE_CHECKING:
    from agent.sessions.session import Session


def chat(setup: Setup, resume: str | None) -> int:
    """Chat until the person leaves; returns the exit code. The world is left as it was found."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it has to leave the world as it was found
    return asyncio.run(_chat(setup, resume))


async def _chat(setup: Setup, resume: str | None) -> int:
    from agent.view.open import open_view

    view = open_view("text")
    if not isinstance(view, TerminalView):
        raise TypeError("The chat needs a terminal.")
    try:
        state = open_state(setup.state_dir)
    except SubjectError as error:
        view.show(Failed(str(error)))
        await view.aclose()
        return 1

    opened: list[Session] = []

    async def opening(ask: Ask) -> "Session":
        from agent.sessions.opening import open_session

        session = await open_session(setup, view, ask)
        opened.append(session)
        session.warm()
        await session.open_cluster()
        if resume is not None:
            view.show(Notice(await session.resume(resume)))
        return session

    chatting = asyncio.ensure_future(Repl(view, opening, state.root / "history").run())
    received: list[int] = []
    with ended_by_signals(chatting, ending_signals(), received):
        try:
            return await chatting
        except (asyncio.CancelledError, OSError, EOFError):  # OSError: the terminal is gone
            if not received:
                raise
            return 128 + received[0]
        finally:
            # Ctrl-C would cancel what is being healed: the terminal is no longer ours to read.
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, view.show, Notice(RESTORING))
            await uncancelled(_close(opened, view))


async def _close(opened: "list[Session]", view: TerminalView) -> None:
    for session in opened:
        if closing_words := await session.aclose():
            view.show(Notice(closing_words))
    await view.aclose()
