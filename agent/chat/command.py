"""`operator`: the chat at a terminal."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.chat.repl import Repl
from agent.permissions import Ask
from agent.running import ending_signals
from agent.setup import Setup
from agent.view.terminal import TerminalView
from subjects.errors import SubjectError
from subjects.state import open_state
from tools.events import Failed, Notice
from tools.tasks import uncancelled

if TYPE_CHECKING:
    from agent.sessions.session import Session

RESTORING = "Restoring; this takes a few seconds. If killed, the healer finishes."


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
    with _ended_by_signals(chatting) as received:
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


@contextmanager
def _ended_by_signals(chatting: "asyncio.Future[int]") -> Iterator[list[int]]:
    """Make SIGTERM and a closed terminal end the chat in order; the signals that came are in what is given.

    More of them change nothing: what is being healed and stopped by then is done in seconds.
    """
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        if len(received) == 1:
            chatting.cancel()

    numbers = ending_signals()
    for number in numbers:
        loop.add_signal_handler(number, end, number)
    try:
        yield received
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _close(opened: "list[Session]", view: TerminalView) -> None:
    for session in opened:
        if closing_words := await session.aclose():
            view.show(Notice(closing_words))
    await view.aclose()
