"""Bracketed pastes that never end: the terminal's end mark got lost, and all keys would count as pasted."""

import re
from typing import Any

_MARK = re.compile("\x1b\\[20[01]~|[\x03\x04]")
_BEGIN, _END = "\x1b[200~", "\x1b[201~"


class EndedPastes:
    """A reader of keys, in the place of prompt-toolkit's: Ctrl-C and Ctrl-D end a paste that has no end.

    Terminals leave control characters out of what is pasted; one that comes alone was pressed.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._pasting = False
        self._carry = ""
        """The end of what was read before: a mark may be cut in two."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def read(self, *given: Any) -> str:
        """Return what was typed, with the end mark put before a key that shows that it is missing."""
        data: str = self._reader.read(*given)
        seen, begins = self._carry + data, len(self._carry)
        kept: list[str] = []
        at = begins
        for mark in _MARK.finditer(seen):
            if mark[0] == _BEGIN:
                self._pasting = True
            elif mark[0] == _END:
                self._pasting = False
            elif self._pasting and mark.start() >= begins and _END not in seen[mark.start() :]:
                kept += [seen[at : mark.start()], _END]
                at, self._pasting = mark.start(), False
        kept.append(seen[at:])
        self._carry = seen[-(len(_BEGIN) - 1) :] if not _MARK.search(seen[-len(_BEGIN) :]) else ""
        return "".join(kept)
