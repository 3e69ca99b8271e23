"""The prompt: history, many lines, completion, the status line, and what the keys do."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session, get_app_session
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import is_dumb_terminal

from agent.chat.pastes import EndedPastes
from agent.view.style import PROMPT
from agent.view.words import answerer

if TYPE_CHECKING:
    from agent.sessions.session import Status

STYLE = Style.from_dict(
    {
        "bottom-toolbar": "noreverse dim",
        "prompt": "bold ansicyan",
        "continuation": "dim",
        "completion-menu": "noreverse bg:default",
        "completion-menu.completion": "noreverse bg:default fg:default",
        "completion-menu.completion.current": "bold underline bg:default fg:default",
        "completion-menu.meta.completion": "dim bg:default fg:default",
        "completion-menu.meta.completion.current": "bg:default fg:default",
    }
)

LEAVING = " Ctrl-C again, or Ctrl-D, to leave"

Words = Callable[[str], Iterable[tuple[str, str]]]
"""Given the text before the cursor, what the last word may become, each with a few words about it."""


@contextmanager
def terminal() -> Iterator[None]:
    """Have the terminal for a whole chat.

    It stays in raw mode between prompt and turn, too: a Ctrl-C or Ctrl-D pressed just then would be
    lost otherwise. On a dumb terminal the few escapes that prompts write even there are kept back.
    """
    if not os.environ.get("TERM"):
        os.environ["TERM"] = "dumb"  # prompt_toolkit would take a terminal that nobody named for a good one
    plain = create_app_session(output=PlainTextOutput(sys.stdout)) if is_dumb_terminal() else nullcontext()
    with plain:
        source = get_app_session().input
        if isinstance(source, Vt100Input):
            source.stdin_reader = EndedPastes(source.stdin_reader)  # type: ignore[assignment] # it reads alike
        with source.raw_mode():
            yield


class _Kept(FileHistory):
    """A file that is done without where it cannot be read or has no room: the prompt goes on."""

    def load_history_strings(self) -> Iterable[str]:
        try:
            return super().load_history_strings()
        except OSError:
            return ()

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            super().store_string(string)


class WordCompleter(Completer):
    """Completes the last word."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield what the last word may become."""
        before = document.text_before_cursor
        last = "" if before.endswith((" ", "\n")) else before.split()[-1] if before.split() else ""
        for word, about in self._words(before):
            if word.startswith(last) and word != last:
                yield Completion(word, start_position=-len(last), display_meta=about)


class Prompt:
    """Asks for the next request, as often as it is told to; `shown` is called whenever it was drawn."""

    def __init__(
        self,
        history: Path | None,
        words: Words,
        status: Callable[[], str],
        next_mode: Callable[[], None],
        shown: Callable[[], None],
    ) -> None:
        self._status = status
        self._next_mode = next_mode
        self._leaving = False
        self._session: PromptSession[str] = PromptSession(
            message=[("", "\n"), ("class:prompt", f"{PROMPT} ")],
            prompt_continuation=[("class:continuation", "… ")],
            multiline=True,
            history=kept_history(history),
            completer=WordCompleter(words),
            complete_while_typing=Condition(self._at_a_command),
            reserve_space_for_menu=6,
            bottom_toolbar=self._toolbar,
            key_bindings=self._keys(),
            style=STYLE,
            enable_suspend=True,
            mouse_support=False,
        )
        self._session.app.after_render += lambda _: shown()
        self._session.default_buffer.on_text_changed += lambda _: self._stay()

    async def ask(self, draft: str = "") -> str | None:
        """Return what the person entered, or None when they want to leave."""
        self._leaving = False
        try:
            return await self._session.prompt_async(default=draft)
        except EOFError:
            return None

    def refresh(self, _: object = None) -> None:
        """Draw the status line again, if the prompt is shown."""
        if not self._session.app.is_done:
            self._session.app.invalidate()

    def _at_a_command(self) -> bool:
        return self._session.default_buffer.text.startswith("/")

    def _toolbar(self) -> StyleAndTextTuples:
        return [("", LEAVING if self._leaving else self._status())]

    def _stay(self) -> None:
        self._leaving = False

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        here = has_focus(DEFAULT_BUFFER)  # in a search these keys are the search's

        @keys.add("enter", filter=here)
        def enter(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if buffer.complete_state and buffer.complete_state.current_completion:
                buffer.complete_state = None
            elif buffer.document.text_before_cursor.endswith("\\") and buffer.document.is_cursor_at_the_end:
                buffer.delete_before_cursor()
                buffer.newline(copy_margin=False)
            else:
                buffer.validate_and_handle()

        @keys.add("escape", "enter", filter=here)
        def new_line(event: KeyPressEvent) -> None:
            event.current_buffer.newline(copy_margin=False)

        @keys.add("c-c", filter=here)
        @keys.add("<sigint>", filter=here)
        def interrupt(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            elif self._leaving:
                event.app.exit(exception=EOFError)
            else:
                self._leaving = True

        @keys.add("s-tab")
        def mode(event: KeyPressEvent) -> None:
            self._next_mode()
            event.app.invalidate()

        return keys


def status_words(status: "Status | None", columns: int) -> str:
    """Say the status in one line; what matters least goes first when there is no room."""
    if status is None:
        return " starting…"
    parts = [answerer(status.driver, status.model), status.mode.value]
    if status.open_faults:
        parts.insert(0, f"{status.open_faults} fault{'s' * (status.open_faults > 1)} open: /restore")
    parts += _used(status)
    if status.cluster:
        parts.append(status.cluster)
    while len(parts) > 1 and len(" " + " · ".join(parts)) > columns:
        parts.pop()
    return f" {' · '.join(parts)}"[:columns]


def _used(status: "Status") -> Sequence[str]:
    used: list[str] = []
    if status.context_tokens and status.context_limit:
        share = 100 * status.context_tokens / status.context_limit
        used.append(f"context {share:.0f} %" if share >= 1 else "context <1 %")
    elif status.context_tokens:
        used.append(f"context {_thousands(status.context_tokens)}")
    if status.cost_usd is not None:
        used.append(f"${status.cost_usd:.2f}")
    if status.tokens:
        used.append(f"{_thousands(status.tokens)} tokens")
    return used


def _thousands(number: int) -> str:
    return f"{number / 1000:.1f}k" if number >= 1000 else str(number)


def kept_history(path: Path | None) -> History:
    """Keep what was entered in `path`, readable by its owner only; in memory where that can't be."""
    if path is None:
        return InMemoryHistory()
    try:
        path.touch(mode=0o600, exist_ok=True)
    except OSError:
        return InMemoryHistory()
    return _Kept(path)
