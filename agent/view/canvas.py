"""From Rich renderables to lines of text with their widths, for a terminal of the size it has now."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.theme import Theme

from agent.view.style import MAX_WIDTH, STYLES

Size = Callable[[], tuple[int, int]]
"""Columns and lines, asked before each drawing: the window may have been resized."""

LEAST = 20
"""Columns below which nothing is laid out any more; a terminal that says 0 does not know its size."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its escape sequences, and the cells it takes."""

    text: str
    width: int


class Canvas:
    """Lays renderables out; colours only with `coloured`."""

    def __init__(self, stream: TextIO, *, coloured: bool, size: Size | None) -> None:
        self._size = size or (lambda: _terminal_size(stream))
        self._colours = ColorSystem.STANDARD if coloured else None
        self._console = Console(
            file=stream,
            width=80,
            height=24,
            force_terminal=True,
            color_system="standard" if coloured else None,
            theme=Theme(STYLES),
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def width(self) -> int:
        """Columns there are now."""
        return max(LEAST, self._size()[0])

    @property
    def column(self) -> int:
        """Columns that are used for what is read."""
        return min(self.width, MAX_WIDTH)

    @property
    def height(self) -> int:
        """Lines there are now."""
        return max(2, self._size()[1])

    def lines(self, *drawn: RenderableType, wide: bool = False) -> list[Line]:
        """Lay out `drawn`, one below the other; `wide` in the whole window."""
        options = self._console.options.update(width=self.width if wide else self.column, height=None)
        lines: list[Line] = []
        for item in drawn:
            lines += map(self._line, self._console.render_lines(item, options, pad=False))
        return lines

    def _line(self, segments: Iterable[Segment]) -> Line:
        """Write one line, without the blanks at its end: they would wrap when the window gets narrower."""
        kept = [segment for segment in segments if not segment.control]
        while kept and not kept[-1].text.rstrip(" "):
            kept.pop()
        if kept:
            last = kept.pop()
            kept.append(Segment(last.text.rstrip(" "), last.style))
        text = "".join(
            segment.style.render(segment.text, color_system=self._colours) if segment.style else segment.text
            for segment in kept
        )
        return Line(text, Segment.get_line_length(kept))


def _terminal_size(stream: TextIO) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24
