"""The keys that are pressed while a turn runs and no prompt is shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prompt_toolkit.application import get_app_session
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys


@dataclass(frozen=True, slots=True)
class Handlers:
    """What is done about keys. None of them may block."""

    changed: Callable[[str], None]
    """The line that is being typed, after each key."""
    entered: Callable[[str], None]
    """A line, finished with Enter."""
    interrupted: Callable[[], None]
    """Ctrl-C."""
    mode: Callable[[], None]
    """Shift-Tab."""


class Keyboard:
    """Collects a line with the least of editing: the prompt is for more."""

    def __init__(self, handlers: Handlers) -> None:
        self._do = handlers
        self._escaped = False
        self._ahead: list[KeyPress] = []
        self.draft = ""
        """What was typed and not entered; it goes to the next prompt."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Read keys, without echo. A prompt shown meanwhile has them to itself."""
        terminal = get_app_session()
        source, output = terminal.input, terminal.output
        self.draft = ""

        def read() -> None:
            self.take(source.read_keys())

        self._ahead = get_typeahead(source)
        with source.raw_mode(), source.attach(read):
            output.enable_bracketed_paste()
            output.flush()
            try:
                yield
            finally:
                output.disable_bracketed_paste()
                output.flush()

    def take_typed_ahead(self) -> None:
        """Act on the keys that came after the Enter that ended the prompt."""
        ahead, self._ahead = self._ahead, []
        self.take(ahead)

    def take(self, keys: list[KeyPress]) -> None:
        """Act on keys, in order."""
        before = self.draft
        for key in keys:
            self._press(key)
        if self.draft != before:
            self._do.changed(self.draft)

    def _press(self, press: KeyPress) -> None:
        escaped, self._escaped = self._escaped, press.key is Keys.Escape
        match press.key:
            case Keys.ControlC:
                self._do.interrupted()
            case Keys.ControlD if not self.draft:
                self._do.entered("/quit")
            case Keys.BackTab:
                self._do.mode()
            case Keys.ControlM | Keys.ControlJ:
                self._enter(another_line=escaped)
            case Keys.Backspace | Keys.ControlH:
                self.draft = self.draft[:-1]
            case Keys.ControlU:
                self.draft = ""
            case Keys.ControlW:
                self.draft = self.draft.rstrip().rpartition(" ")[0]
            case Keys.BracketedPaste:
                self.draft += press.data.replace("\r\n", "\n").replace("\r", "\n")
            case str(character) if not isinstance(character, Keys):
                self.draft += character
            case _:
                pass

    def _enter(self, *, another_line: bool) -> None:
        if another_line or self.draft.endswith("\\"):
            self.draft = self.draft.removesuffix("\\") + "\n"
            return
        line, self.draft = self.draft.strip(), ""
        self._do.changed("")
        if line:
            self._do.entered(line)
