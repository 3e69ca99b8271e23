"""One run of a command: its view, its signals, its errors, its exit code and its last line."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from agent.setup import Setup
from agent.view.base import View
from tools.events import Failed, Notice

DONE, FAILED, WRONG_USAGE, TRY_LATER = 0, 1, 2, 75
"""The exit codes."""

Body = Callable[[View], Awaitable[dict[str, Any]]]
"""Does the command's work; returns its `result`. `exit_code` in it, if any, is the exit code."""


def run(
    setup: Setup,
    body: Body,
    *,
    interrupted: str = "Interrupted",
    stream: TextIO | None = None,
    listing: bool = False,
) -> int:
    """Run `body` in an event loop of its own, whatever comes; returns the exit code.

    `stream` is drawn on instead of standard output, where that is not ours to write to. With `listing` the
    tables that are shown are the command's answer.
    """
    from agent.errors import NotWritten
    from agent.view.open import open_view

    async def running() -> int:
        view = open_view(setup.output, stream=stream, signals=setup.command == "watch", listing=listing)
        try:
            code = await _guarded(setup, view, body, interrupted)
        finally:
            try:
                await view.aclose()
            except NotWritten as error:
                sys.stderr.write(f"{error}\n")
                code = FAILED
        return code

    return asyncio.run(running())


async def _guarded(setup: Setup, view: View, body: Body, interrupted: str) -> int:
    from agent.errors import AgentError, ModelUnavailable
    from agent.events import Finished
    from subjects.errors import SubjectError
    from tools.errors import ToolError, UnknownNode

    def failed(text: str, code: int) -> int:
        view.show(Failed(text))
        view.show(Finished({"ok": False, "command": setup.command, "error": text}))
        return code

    work = asyncio.ensure_future(body(view))
    try:
        with _signals(view, work, interrupted):
            result = await work
    except asyncio.CancelledError:
        return failed(interrupted, FAILED)
    except ModelUnavailable as error:
        return failed(str(error), TRY_LATER)
    except UnknownNode as error:
        return failed(f"{error} {error.next}".strip(), WRONG_USAGE)
    except ToolError as error:
        return failed(f"{error} {error.next}".strip(), FAILED)
    except (AgentError, SubjectError) as error:
        return failed(str(error), FAILED)
    code = int(result.pop("exit_code", DONE if result.get("ok") else FAILED))
    view.show(Finished(result))
    return code


@contextmanager
def _signals(view: View, work: "asyncio.Future[Any]", interrupted: str) -> Iterator[None]:
    """Make Ctrl-C, a hang-up and SIGTERM end the work in order; asked again, say that it is being ended."""
    loop = asyncio.get_running_loop()
    asked = False

    def end() -> None:
        nonlocal asked
        if asked:
            view.show(
                Notice("Restoring; this takes a few seconds. The healer would do it if this were killed.")
            )
            return
        asked = True
        view.show(Notice(f"{interrupted}.", level="warning"))
        work.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
