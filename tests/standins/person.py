"""A person at a real pseudo-terminal: types keys, looks at the screen, and waits for what they expect."""

import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect
import pyte

ENTER, ALT_ENTER, TAB, SHIFT_TAB, CTRL_C, CTRL_D, CTRL_R, BACKSPACE = (
    "\r", "\x1b\r", "\t", "\x1b[Z", "\x03", "\x04", "\x12", "\x7f"
)  # fmt: skip

PATIENCE_S = 60.0
"""How long anything may take on a busy machine."""


class Person:
    """One program in one terminal window."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        columns: int = 80,
        lines: int = 24,
        environ: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        known = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **(environ or {})}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            if name not in (environ or {}):
                known.pop(name, None)
        self._child = pexpect.spawn(
            sys.executable,
            list(arguments),
            env=known,
            cwd=str(folder or Path(__file__).parents[2]),
            dimensions=(lines, columns),
            encoding="utf-8",
            codec_errors="replace",
            timeout=PATIENCE_S,
        )
        self._child.delaybeforesend = None
        self._screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=0.5)
        # Terminals tell where their cursor is when they are asked.
        self._screen.write_process_input = self._child.send  # type: ignore[method-assign]
        self._stream = pyte.Stream(self._screen)
        self.raw = ""

    @property
    def lines(self) -> list[str]:
        """Everything on the screen and above it, without the empty lines at the end."""
        rows = ["".join(row[n].data for n in range(self._screen.columns)) for row in self._screen.history.top]
        kept = [line.rstrip() for line in [*rows, *self._screen.display]]
        while kept and not kept[-1]:
            kept.pop()
        return kept

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def pid(self) -> int:
        return int(self._child.pid)

    def hang_up(self) -> None:
        """Close the terminal window, so that the kernel hangs up; nothing is sent to the program by us."""
        terminal = self._child.ptyproc
        terminal.fileobj.close()
        terminal.fd = self._child.child_fd = -1  # the number may soon be somebody else's
        terminal.closed = self._child.closed = True

    def type(self, text: str) -> None:
        """Press keys."""
        self._child.send(text)

    def enter(self, text: str) -> None:
        """Type a line and press Enter."""
        self.type(text + ENTER)

    def resize(self, columns: int, lines: int) -> None:
        """Make the window another size."""
        self._screen.resize(lines, columns)
        self._child.setwinsize(lines, columns)

    def sees(self, *words: str) -> None:
        """Wait until all of `words` stand on the screen."""
        self.waits(lambda: all(word in self.text for word in words), f"{words} on the screen")

    def waits(self, condition: Callable[[], bool], what: str) -> None:
        """Read what the program writes until `condition` holds; AssertionError after `PATIENCE_S`."""
        until = time.monotonic() + PATIENCE_S
        while not condition():
            ended = self._read()
            if condition():
                return
            if ended or time.monotonic() > until:
                why = "the program ended" if ended else "patience did"
                raise AssertionError(f"no {what}: {why}. The screen:\n{self.text}")

    def leaves(self) -> int:
        """Wait for the program to end; return its exit code."""
        until = time.monotonic() + PATIENCE_S
        while not self._read():
            assert time.monotonic() < until, f"it does not end. The screen:\n{self.text}"
        self._child.wait()
        return int(
            self._child.exitstatus if self._child.exitstatus is not None else -self._child.signalstatus
        )

    @property
    def echoes(self) -> bool:
        """Whether the terminal is as a shell expects it: echo and whole lines."""
        flags = termios.tcgetattr(self._child.child_fd)[3]
        return bool(flags & termios.ECHO) and bool(flags & termios.ICANON)

    def close(self) -> None:
        """Close the window; what still runs in it is ended."""
        if self._child.isalive():
            self._child.kill(signal.SIGKILL)
            self._child.wait()  # pexpect's own close gives a busy kernel 0.1 s
        self._child.close()

    def _read(self) -> bool:
        """Take in what was written; True when the program has ended."""
        try:
            piece = self._child.read_nonblocking(65_536, timeout=0.1)
        except pexpect.TIMEOUT:
            return False
        except pexpect.EOF:
            return True
        self.raw += piece
        self._stream.feed(piece)
        return False
