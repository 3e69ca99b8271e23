"""Bracketed pastes without an end: the terminal's end mark got lost, or megabytes of a log were pasted."""

import re
from typing import Any

_MARK = re.compile("\x1b\\[20[01]~|[\x03\x04]")
_BEGIN, _END = "\x1b[200~", "\x1b[201~"
_LAST = re.compile("\x1b\\[201~|[\x03\x04]")

LONGEST_PASTE = 1_000_000
"""Characters. The prompt takes seconds to draw so many, and minutes for ten times as many."""

LEFT_OUT = f"\n[The paste was too long: what came after {LONGEST_PASTE:,} characters is left out.]"


class EndedPastes:
    """A reader of keys, in the place of prompt-toolkit's: Ctrl-C and Ctrl-D end a paste that has no end.

    What is beyond LONGEST_PASTE is left out, and said in the text itself, for the person and the model.

    Terminals leave control characters out of what is pasted; one that comes alone was pressed.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._pasting = False
        self._carry = ""
        """The end of what was read before: a mark may be cut in two."""
        self._length = 0
        self._left_out: str | None = None
        """The end of what was left out so far; None where nothing is."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def read(self, *given: Any) -> str:
        """Return what was typed, with the end mark put before a key that shows that it is missing."""
        data: str = self._reader.read(*given)
        if self._left_out is not None:
            last = _LAST.search(rest := self._left_out + data)
            if last is None:
                self._left_out = rest[-(len(_END) - 1) :]
                return ""
            data = LEFT_OUT + _END + rest[last.end() if last[0] == _END else last.start() :]
            self._left_out, self._carry = None, ""
        taken = self._with_ends(data)
        self._length += len(taken) if self._pasting else 0
        if self._length > LONGEST_PASTE:
            self._left_out = ""
        return taken

    def _with_ends(self, data: str) -> str:
        seen, begins = self._carry + data, len(self._carry)
        kept: list[str] = []
        at = begins
        for mark in _MARK.finditer(seen):
            if mark[0] == _BEGIN:
                self._pasting = True
            elif mark[0] == _END:
                self._pasting, self._length = False, 0
            elif self._pasting and mark.start() >= begins and _END not in seen[mark.start() :]:
                kept += [seen[at : mark.start()], _END]
                at, self._pasting, self._length = mark.start(), False, 0
        kept.append(seen[at:])
        self._carry = seen[-(len(_BEGIN) - 1) :] if not _MARK.search(seen[-len(_BEGIN) :]) else ""
        return "".join(kept)
