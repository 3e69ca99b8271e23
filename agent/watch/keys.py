"""The keys of `operator watch` on a terminal: filter the nodes, and look into one."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

UP, DOWN = "\x1b[A", "\x1b[B"
ENTER = ("\r", "\n")
ERASE = ("\x7f", "\b")
ESCAPE = "\x1b"


@dataclass(slots=True)
class Focus:
    """What the person looks at."""

    filter: str = ""
    """Only nodes with this text in their name, state or role."""
    typing: bool = False
    """Whether the filter is being typed."""
    row: int = 0
    """The chosen row, among those that are shown."""
    open: bool = False
    """Whether the chosen node is looked into."""

    def take(self, typed: str) -> None:
        """Act on what was typed."""
        for arrow, step in ((UP, -1), (DOWN, 1)):
            self.row = max(0, self.row + step * typed.count(arrow))
            typed = typed.replace(arrow, "")
        for key in typed:
            if self.typing:
                self._type(key)
            else:
                self._command(key)

    def _type(self, key: str) -> None:
        if key in ENTER:
            self.typing = False
        elif key in ERASE:
            self.filter = self.filter[:-1]
        elif key == ESCAPE:
            self.typing, self.filter = False, ""
        elif key.isprintable():
            self.filter += key
            self.row = 0

    def _command(self, key: str) -> None:
        match key:
            case "/":
                self.typing, self.filter, self.open = True, "", False
            case "j":
                self.row += 1
            case "k":
                self.row = max(0, self.row - 1)
            case "\r" | "\n":
                self.open = not self.open
            case "\x1b" | "q":
                self.filter, self.open = ("" if not self.open else self.filter), False
            case _:
                pass


@contextmanager
def keys(focus: Focus, changed: Callable[[], None]) -> Iterator[None]:
    """Read keys without echo while the block runs; Ctrl-C stays what it is."""
    loop, source = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(source)

    def read() -> None:
        typed = os.read(source, 1024).decode(errors="ignore")
        if not typed:  # the terminal is gone
            loop.remove_reader(source)
            return
        focus.take(typed)
        changed()

    tty.setcbreak(source)
    loop.add_reader(source, read)
    try:
        yield
    finally:
        loop.remove_reader(source)
        termios.tcsetattr(source, termios.TCSADRAIN, before)
