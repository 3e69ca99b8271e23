"""One run of a command: its view, its signals, its errors, its exit code and its last line."""

import asyncio
import errno
import os
import signal
import sys
import termios
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click

from agent.exit_codes import ExitCode
from agent.reader import Reader
from agent.setup import Setup
from agent.view.base import View
from tools.events import Failed, Notice

Body = Callable[[View], Awaitable[dict[str, Any]]]
"""Does the command's work; returns its `result`. `exit_code` in it, if any, is the exit code."""

RESTORING = "Restoring; this takes a few seconds. If killed, the healer finishes."

UNREAD_S = 0.25
"""How often to check whether anybody still reads standard output."""


def run(
    setup: Setup,
    body: Body,
    *,
    interrupted: str = "Interrupted",
    interrupted_code: int | None = None,
    stream: TextIO | None = None,
    listing: bool = False,
) -> int:
    """Run `body` in an event loop of its own, whatever comes; returns the exit code.

    After a signal that is `interrupted_code`, else 128 and the signal's number, as shells have it. 128 and
    SIGPIPE's it is in any case once nobody reads the output.
    `stream` is drawn on instead of standard output, where that is not ours to write to. With `listing` the
    tables that are shown are the command's answer.
    """
    from agent.errors import NotWritten
    from agent.view.open import open_view

    async def running() -> int:
        view = open_view(setup.output, stream=stream, signals=setup.command == "watch", listing=listing)
        try:
            code = await _guarded(setup, view, body, interrupted, interrupted_code)
        finally:
            try:
                await view.aclose()
            except NotWritten as error:
                sys.stderr.write(f"{error}\n")
                code = ExitCode.FAILED
        return code

    return asyncio.run(running())


async def _guarded(
    setup: Setup, view: View, body: Body, interrupted: str, interrupted_code: int | None
) -> int:
    import sqlite3

    from agent.errors import AgentError, ModelUnavailable
    from agent.events import Finished
    from subjects.errors import SubjectError
    from tools.errors import ToolError, UnknownNode

    work = asyncio.ensure_future(body(view))
    numbers = (signal.SIGINT, *ending_signals())
    received: list[int] = []

    def tell(again: bool) -> None:
        view.show(Notice(RESTORING) if again else Notice(f"{interrupted}.", level="warning"))

    def after_signal() -> int:
        if interrupted_code is not None and received[0] != signal.SIGPIPE:
            return interrupted_code
        return 128 + received[0]

    def failed(text: str, code: int) -> int:
        view.show(Failed(text))
        view.show(Finished({"ok": False, "command": setup.command, "error": text}))
        return after_signal() if received else code

    watching_reader = asyncio.ensure_future(_end_unread(setup, view, work, received))
    try:
        with ended_by_signals(work, numbers, received, tell), _unechoed(view):
            result = await work
    except asyncio.CancelledError:
        if received[:1] == [signal.SIGPIPE]:
            return after_signal()  # in silence: nobody asked for more
        return failed(interrupted, ExitCode.FAILED)
    except ModelUnavailable as error:
        return failed(str(error), ExitCode.TRY_LATER)
    except click.UsageError as error:
        return failed(error.format_message(), ExitCode.WRONG_USAGE)
    except ToolError as error:
        wrong = ExitCode.WRONG_USAGE if isinstance(error, UnknownNode) else ExitCode.FAILED
        return failed(f"{error} {error.next}".strip(), wrong)
    except (AgentError, SubjectError) as error:
        return failed(str(error), ExitCode.FAILED)
    except sqlite3.Error as error:  # another program holds it for long
        return failed(f"operator.db cannot be used: {error}. Try again in a moment.", ExitCode.FAILED)
    except OSError as error:  # what the machine lacks: room, permission, files that may be open
        return failed(_refused(error), ExitCode.FAILED)
    except MemoryError:
        return failed(
            "There is not enough memory: see `ulimit -v`, and what else runs here.", ExitCode.FAILED
        )
    finally:
        watching_reader.cancel()
    code = int(result.pop("exit_code", ExitCode.DONE if result.get("ok") else ExitCode.FAILED))
    view.show(Finished(result))
    return after_signal() if received and code else code


async def _end_unread(setup: Setup, view: View, work: "asyncio.Future[Any]", received: list[int]) -> None:
    """End the work in order, as by SIGPIPE, once nobody reads what it prints (`| head -1`).

    What serves without an end ends when its reader does: it may have nothing to print for days.
    """
    with Reader() as reader:
        while not view.unread and not (setup.command in {"watch", "mcp"} and reader.gone):  # noqa: ASYNC110
            await asyncio.sleep(UNREAD_S)
    if not received:  # else it is ending already: a second cancellation would stop the healing
        received.append(signal.SIGPIPE)
        work.cancel()


def _refused(error: OSError) -> str:
    """Say what the operating system refused, and what to do about it."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "Too many files are open. Allow more with `ulimit -n 1024`."
    where = f"{error.filename}: " if error.filename else ""
    return f"The operating system refuses: {where}{error.strerror or error}."


@contextmanager
def _unechoed(view: View) -> Iterator[None]:
    """Keep what is typed meanwhile off the screen: an Enter that is echoed moves what is drawn in place."""
    before = _foreground_terminal() if view.interactive else None
    if before is not None:
        quiet = [*before]
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        if before is not None and _foreground_terminal() is not None:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _foreground_terminal() -> list[Any] | None:
    """Return how the terminal on standard input is set; None for another program's, or for none."""
    try:
        ours = os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        return termios.tcgetattr(sys.stdin) if ours else None
    except (OSError, ValueError, termios.error):
        return None


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a command in order: under `nohup` a closed terminal ends nothing."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_by_signals(
    work: "asyncio.Future[Any]",
    numbers: Sequence[signal.Signals],
    received: list[int],
    tell: Callable[[bool], None] = lambda _again: None,
) -> Iterator[None]:
    """Make the first of these signals end `work` in order; each that comes is put into `received`.

    `tell` is called for each, with whether one had come before: more of them end nothing sooner.
    """
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        tell(bool(received))
        received.append(number)
        if len(received) == 1:
            work.cancel()

    for number in numbers:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
