"""The picture in the README: a recorded session, drawn by the real view, as an SVG.

`python -m tests.replay.picture TRANSCRIPT [FIRST LAST]` prints it; FIRST and LAST are words that the first
and the last line to be shown contain.
"""

import asyncio
import io
import re
import sys
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from agent.transcript.replay import replay
from agent.view.terminal import TerminalView

WIDTH, HEIGHT = 104, 400


class Terminal(io.StringIO):
    """A stream that says it is a terminal and keeps what was drawn on it."""

    def isatty(self) -> bool:
        return True


async def drawn(path: Path) -> list[Text]:
    """Return the lines that a terminal is left with after the recording was played."""
    stream = Terminal()
    view = TerminalView(stream, size=lambda: (WIDTH, HEIGHT))
    await replay(path, view.show, speed=0)
    await view.aclose()
    screen = pyte.Screen(WIDTH, HEIGHT)
    screen.set_mode(pyte.modes.LNM)
    pyte.Stream(screen).feed(stream.getvalue())
    return [_line(screen, row) for row in range(HEIGHT)]


def _line(screen: pyte.Screen, row: int) -> Text:
    """Return one row, a span for each run of cells that look the same."""
    cells = [screen.buffer[row][column] for column in range(WIDTH)]
    line = Text()
    for (colour, bold, italics), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold, cell.italics)):
        named = None if colour == "default" else colour.replace("brown", "yellow")
        line.append("".join(cell.data for cell in run), Style(color=named, bold=bold, italic=italics))
    line.rstrip()
    return line


def main() -> None:
    """Draw, cut and print."""
    lines = asyncio.run(drawn(Path(sys.argv[1])))
    if len(sys.argv) > 3:
        plain = [line.plain for line in lines]
        first = next(n for n, line in enumerate(plain) if sys.argv[2] in line)
        last = next(n for n, line in enumerate(plain) if sys.argv[3] in line and n > first)
        lines = lines[first : last + 1]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title="operator demo chaos")
    print(re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL))  # a picture fetches nothing


if __name__ == "__main__":
    main()
