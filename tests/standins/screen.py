"""A terminal in memory (pyte): what a person would see after all escape sequences, scrollback included."""

import io
from typing import Any

import pyte


class Screen(io.StringIO):
    """A text stream that is a terminal of a given size."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        super().__init__()
        self.columns, self.height = columns, lines
        self._screen = pyte.HistoryScreen(columns, lines, history=100_000, ratio=0.5)
        self._stream = pyte.Stream(self._screen)
        self.raw: list[str] = []
        self.keep_raw = True

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.keep_raw:
            self.raw.append(text)
        self._stream.feed(text.replace("\n", "\r\n"))  # as the line discipline does
        return len(text)

    def size(self) -> tuple[int, int]:
        return self.columns, self.height

    def resize(self, columns: int, lines: int) -> None:
        self.columns, self.height = columns, lines
        self._screen.resize(lines, columns)

    @property
    def written(self) -> str:
        return "".join(self.raw)

    @property
    def cursor(self) -> tuple[int, int]:
        return self._screen.cursor.x, self._screen.cursor.y

    @property
    def scrollback(self) -> list[str]:
        history: Any = self._screen.history.top
        return ["".join(row[n].data for n in range(self.columns)).rstrip() for row in history]

    @property
    def visible(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> list[str]:
        """All lines, without the empty ones at the end."""
        lines = [*self.scrollback, *self.visible]
        while lines and not lines[-1]:
            lines.pop()
        return lines
