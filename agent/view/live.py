"""The few lines at the bottom that are drawn in place, below what stands for good.

Each frame is one write: step back over the last frame and erase it, print what is finished, print the
new lines. Nothing else moves the cursor, and there is no alternate screen.
"""

import os
from collections.abc import Sequence
from typing import TextIO

from agent.view.canvas import Line

BEGIN_FRAME, END_FRAME = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronized output: terminals that know it show a frame whole, the others ignore it."""


class LiveArea:
    """Draws lines in place; with `still`, only prints what is finished, without any escape sequence."""

    def __init__(self, stream: TextIO, *, still: bool = False) -> None:
        self._stream = stream
        self._still = still
        self._widths: list[int] = []
        self._last = ""
        # xterm and screen cut lines when the window gets narrower; nearly all others wrap them again.
        self._reflows = "XTERM_VERSION" not in os.environ and "STY" not in os.environ
        self.broken = False
        """Whether the terminal went away."""

    def frame(self, finished: Sequence[Line], below: Sequence[Line], columns: int) -> None:
        """Print `finished` for good and `below` under it, in place; `columns` the terminal has now."""
        printed = "".join(f"{line.text}\n" for line in finished)
        if self._still:
            self._write(printed)
            return
        drawn = "\n".join(line.text for line in below)
        if not printed and drawn == self._last:
            return
        back = self._step_back(columns)
        self._widths = [line.width for line in below]
        self._last = drawn
        self._write(f"{BEGIN_FRAME}{back}{printed}{drawn}{END_FRAME}")

    def _step_back(self, columns: int) -> str:
        if not self._widths:
            return ""
        rows = sum(self._rows(width, columns) for width in self._widths)
        # Line by line: tmux keeps a copy in its history of what is erased from the screen's first cell on.
        return "\r\x1b[2K" + "\x1b[A\x1b[2K" * (rows - 1)

    def _rows(self, width: int, columns: int) -> int:
        """Return how many rows a line takes now, after the window may have become narrower."""
        return max(1, -(-width // columns)) if self._reflows else 1

    def _write(self, text: str) -> None:
        if self.broken or not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone; the work goes on without it
            self.broken = True
