"""The chat at a terminal: prompt, turn, prompt. The prompt and what is drawn in place never meet.

The prompt appears at once; the session opens behind it. While a turn runs, lines that are typed reach
the model at its next safe point, and slash commands wait for the turn's end.
"""

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_toolkit.application import get_app_or_none, in_terminal

from agent.chat import asking, slash_commands
from agent.chat.keyboard import Handlers, Keyboard
from agent.chat.prompt import Prompt, status_words, terminal
from agent.errors import AgentError
from agent.view.terminal import TerminalView
from subjects.errors import SubjectError
from tools.errors import ToolError
from tools.events import Failed, Notice

if TYPE_CHECKING:
    from agent.models.base import ToolCall
    from agent.permissions import Answer, Ask
    from agent.sessions.session import Session
    from tools.tool import Effect

GREETING = "Ask, or say “run the chaos demo”. /help lists what else there is; Ctrl-D leaves."

Opening = Callable[["Ask"], Awaitable["Session"]]
"""Opens the session, given how to ask the person; may take a second, since heavy modules are loaded."""

LEAVES = {"exit", "quit", ":q"}
"""What ends the chat without a slash, too, as in a shell."""

HINT_AFTER_S = 0.4
"""How long a turn may take to stop before the person is told of the second Ctrl-C."""

HARD_AFTER = 3
"""The Ctrl-C that cancels the turn's task itself, should all else hang."""


class Repl:
    """One chat. `run` returns the exit code; whoever opened the session closes it."""

    def __init__(self, view: TerminalView, opening: Opening, history: Path | None = None) -> None:
        self._view = view
        self._opening = opening
        self._opened: asyncio.Future[Session] | None = None
        self._turn: asyncio.Task[str] | None = None
        self._interrupts = 0
        self._hint: asyncio.TimerHandle | None = None
        self._queued: list[str] = []
        self._drawing = False
        self._history = history
        self._prompt: Prompt | None = None
        self._keyboard = Keyboard(
            Handlers(view.typing, self._typed_ahead, self._interrupt, self._next_mode),
        )

    @property
    def session(self) -> "Session | None":
        """The session, once it is open."""
        task = self._opened
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()

    async def run(self) -> int:
        """Chat until the person leaves."""
        # Never on the first line of the screen: there tmux takes the prompt's erasing for `clear`, and
        # keeps what was erased in its scrollback.
        self._view.show(Notice(GREETING))
        with terminal():
            self._prompt = Prompt(self._history, self._words, self._status_line, self._next_mode, self._shown)
            self._view.on_held = self._draw_above
            try:
                await self._chat(self._prompt)
            except slash_commands.Quit:
                return 0
            finally:
                self._view.on_held = None
                await self._abandon_opening()
        return 0

    async def _chat(self, prompt: Prompt) -> None:
        draft = ""
        while True:
            if self._queued:
                text: str | None = self._queued.pop(0)
                self._view.show(Notice(f"\u203a {text}"))  # above its answer, as if it were typed now
            else:
                with self._view.aside():
                    text = await prompt.ask(draft)
            if text is None:
                return
            draft = await self._handle(text.strip())

    async def ask_permission(self, call: "ToolCall", effect: "Effect", about: str) -> "Answer":
        """Ask the person whether `call` may run: what `Opening` is given."""
        answer = await asking.may_run(call, effect, about, self._view.aside)
        if answer.reason == asking.INTERRUPTED:
            self._interrupt()
        return answer

    # -- reading -----------------------------------------------------------------------------------

    def _draw_above(self) -> None:
        """Draw what happened while the prompt is shown, above it, once for all that came at once."""
        app = get_app_or_none()
        if app is None or self._drawing or self._turn is not None:
            return

        async def draw() -> None:
            try:
                await app.renderer.wait_for_cpr_responses()
                if app.is_done:  # it is drawn below, now that the prompt is gone
                    return
                async with in_terminal():
                    self._drawing = False
                    self._view.draw_held()
            finally:
                self._drawing = False

        self._drawing = True
        app.create_background_task(draw())

    def _words(self, before: str) -> Iterable[tuple[str, str]]:
        if before.startswith("/"):
            return slash_commands.completions(before, self.session)
        return [(node, "node") for node in (self.session.nodes if self.session else ())]

    def _status_line(self) -> str:
        session = self.session
        failed = self._opened is not None and self._opened.done() and session is None
        if failed:
            return " no session: /help"
        return status_words(session.status() if session else None, shutil.get_terminal_size().columns)

    def _next_mode(self) -> None:
        if self.session is not None:
            self.session.set_mode(self.session.mode.following)
            if self._turn is not None:
                self._view.show(Notice(f"Mode: {self.session.mode.value}"))

    # -- acting ------------------------------------------------------------------------------------

    async def _handle(self, text: str) -> str:
        """Do what was entered; return what the next prompt begins with."""
        if not text:
            return ""
        if text.lower() in LEAVES:
            raise slash_commands.Quit
        work = self._command(text) if text.startswith("/") else self._ask(text)
        returned = await self._run(work)
        if session := self.session:
            self._queued.extend(session.unread())
        waiting = self._take_back() if self._interrupts else []
        return "\n".join(part for part in (returned, *waiting, self._keyboard.draft) if part)

    def _take_back(self) -> list[str]:
        """Return requests that wait for their turn: who interrupts decides again whether to send them."""
        requests = [line for line in self._queued if not line.startswith("/")]
        self._queued = [line for line in self._queued if line.startswith("/")]
        return requests

    async def _command(self, text: str) -> str:
        await slash_commands.run(text, self.session, self._view)
        return ""

    async def _ask(self, text: str) -> str:
        from agent.demo.demo import ordered

        session = self.session or await self._ready()
        demo = ordered(session, text)
        end = await (demo.run(text) if demo is not None else session.ask(text))
        if end.reason == "interrupted":
            self._view.show(Notice("Interrupted."))
        return text if end.nothing_shown else ""

    async def _run(self, work: Coroutine[Any, Any, str]) -> str | None:
        """Run one turn or command; whatever goes wrong in it, the chat goes on."""
        try:
            return await self._listen_to(work)
        except ToolError as error:
            self._view.show(Failed(f"{error} {error.next}".strip()))
        except (AgentError, SubjectError) as error:
            self._view.show(Failed(str(error)))
        except asyncio.CancelledError:
            if (chat := asyncio.current_task()) is not None and chat.cancelling():
                raise
            self._view.show(Notice("Abandoned. Check the state with /status before acting.", "warning"))
        except slash_commands.Quit:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a bug must not end the conversation
            self._view.show(Failed(f"A bug in operator: {type(error).__name__}: {error}. The chat goes on."))
        return None

    async def _listen_to(self, work: Coroutine[Any, Any, str]) -> str:
        """Run `work` while the keyboard is heard."""
        self._interrupts = 0
        turn = asyncio.create_task(work)
        try:
            with self._keyboard.listening(), self._signals():
                self._turn = turn
                await asyncio.sleep(0)  # the turn begins before keys that were typed ahead speak to it
                self._keyboard.take_typed_ahead()
                return await turn
        finally:
            self._turn = None
            turn.cancel()
            self._view.settle()
            if self._hint is not None:
                self._hint.cancel()

    def _typed_ahead(self, line: str) -> None:
        """Hand a line to the model at its next safe point; a command waits for the turn's end."""
        if line.startswith("/") or self.session is None:
            self._queued.append(line)
        else:
            self.session.interject(line)
        self._view.show(Notice(f"queued: {line}"))

    def _interrupt(self) -> None:
        turn = self._turn
        if turn is None:
            return
        self._interrupts += 1
        if self.session is None or self._interrupts >= HARD_AFTER:
            turn.cancel()
            return
        self.session.interrupt()
        if self._hint is None or self._interrupts == 1:
            text = "Stopping at the next safe point. Ctrl-C again abandons what runs."
            loop = asyncio.get_running_loop()
            self._hint = loop.call_later(HINT_AFTER_S, self._view.show, Notice(text))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Take SIGINT from outside (`kill -INT`) as Ctrl-C; the keyboard's own arrives as a key."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    # -- the session -------------------------------------------------------------------------------

    def _shown(self) -> None:
        """Open the session now that the prompt is there: its heavy imports would have delayed it."""
        if self._opened is None:
            self._open()

    def _open(self) -> "asyncio.Future[Session]":
        self._opened = asyncio.ensure_future(self._opening(self.ask_permission))
        if self._prompt is not None:
            self._opened.add_done_callback(self._prompt.refresh)
        return self._opened

    async def _ready(self) -> "Session":
        """Return the session; one that failed to open is tried again. Raises what opening raises."""
        task = self._opened
        if task is None or (task.done() and self.session is None):
            task = self._open()
        return await asyncio.shield(task)

    async def _abandon_opening(self) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.cancel()
            with suppress(asyncio.CancelledError):
                await self._opened
