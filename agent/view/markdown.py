"""Markdown while it is being written: finished blocks once and for all, the open one in a short tail.

Markdown is decided block by block: once a new block begins, nothing that follows can change those
before it. So only the open block is parsed again and again, and only it is ever drawn twice.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it.token import Token

from agent.view.prose import Prose, parse
from subjects.untrusted import clean

_BLANK_LINES = re.compile(r"(?:[ \t]*\n)+")

LARGE = 6_000
"""Characters of one open block beyond which it is finished in pieces, to bound memory and time."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to be drawn, and whether a blank line comes before it."""

    prose: Prose
    spaced: bool


class MarkdownStream:
    """One text, fed in pieces of any size."""

    def __init__(self, style: str = "none") -> None:
        self._style = style
        self._parts: list[str] = []
        self._pending = ""
        self._size = 0
        self._fresh_lines = False
        self._spaced = False
        self._drawn = False

    @property
    def large(self) -> bool:
        """Whether so much is pending that `settled` should be asked now rather than at the next frame."""
        return self._size > LARGE

    def feed(self, text: str) -> None:
        """Take the next piece. Costs next to nothing; the work is done in `settled`."""
        kept = clean(text)
        self._parts.append(kept)
        self._size += len(kept)
        self._fresh_lines = self._fresh_lines or "\n" in kept

    def settled(self) -> Iterator[Piece]:
        """Yield what can't change any more, each thing once."""
        if not (self._fresh_lines or self.large):
            return
        self._fresh_lines = False
        self._gather()
        yield from self._finished_blocks()
        while self.large:
            before = self._size
            yield from self._cut()
            yield from self._finished_blocks()
            if self._size >= before:
                break

    def rest(self) -> Iterator[Piece]:
        """Yield all that is left: the text is at its end."""
        yield from self.settled()
        self._gather()
        text, self._pending, self._size = self._pending, "", 0
        yield from self._piece(parse(text))

    def tail(self) -> Prose:
        """Return the open block as it would look if the text ended here."""
        self._gather()
        return Prose(parse(self._pending), self._style)

    @property
    def empty(self) -> bool:
        """Whether nothing is pending."""
        return self._size == 0

    def _gather(self) -> None:
        if self._parts:
            self._pending += "".join(self._parts)
            self._parts = []
            if blank := _BLANK_LINES.match(
                self._pending
            ):  # they say nothing of the next block; its indent does
                self._pending = self._pending[blank.end() :]
                self._spaced = self._drawn  # what was cut here is over all the same
            self._size = len(self._pending)

    def _keep(self, text: str) -> None:
        self._pending, self._size = text, len(text)

    def _whole_lines(self) -> str:
        """Return what is pending up to the last line break."""
        return self._pending[: self._pending.rfind("\n") + 1]

    def _finished_blocks(self) -> Iterator[Piece]:
        text = self._whole_lines()
        tokens = parse(text)
        if not tokens:
            return
        lines = text.split("\n")[:-1]
        last = _last_block(tokens)
        over = _is_over(tokens[last], lines)
        start = len(lines) if over else (tokens[last].map or [0, 0])[0]
        finished = sum(len(line) + 1 for line in lines[:start])
        yield from self._piece(tokens if over else tokens[:last])
        self._keep(self._pending[finished:])

    def _piece(self, tokens: Sequence[Token]) -> Iterator[Piece]:
        """Yield `tokens` as one piece; a blank line goes between any two blocks."""
        if not tokens:
            return
        yield Piece(Prose(tokens, self._style), self._spaced)
        self._spaced = self._drawn = True

    def _cut(self) -> Iterator[Piece]:
        """Finish a part of an open block that has become too large; the rest goes on as the same kind."""
        text = self._whole_lines()
        tokens = parse(text)
        kind = tokens[0].type if tokens else ""
        lines = text.split("\n")[:-1]
        # What opens the block is said again, so that the rest is still code, or rows of the same table.
        opening = {"fence": 1, "table_open": 2}.get(kind, 0)
        end = _last_item(tokens) if kind.endswith("_list_open") else len(lines)
        if end <= opening:
            yield from self._cut_line()
            return
        finished = "\n".join(lines[:end]) + "\n"
        yield from self._piece(parse(finished))
        self._spaced = False
        self._keep("".join(f"{line}\n" for line in lines[:opening]) + self._pending[len(finished) :])

    def _cut_line(self) -> Iterator[Piece]:
        """Finish most of a line that does not end, at a space where there is one."""
        at = self._pending.rfind(" ", LARGE // 2, LARGE) + 1 or LARGE
        head, tail = self._pending[:at], self._pending[at:]
        yield from self._piece(parse(head))
        self._spaced = False
        self._keep(tail)


def _last_block(tokens: Sequence[Token]) -> int:
    """Return the index of the token that opens the last top-level block."""
    starts = [n for n, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0]
    return starts[-1] if starts else 0


def _last_item(tokens: Sequence[Token]) -> int:
    """Return the line where the last item of the list begins; 0 when it is the only one."""
    items = [
        token.map[0] for token in tokens if token.type == "list_item_open" and token.level == 1 and token.map
    ]
    return items[-1] if len(items) > 1 else 0


def _is_over(block: Token, lines: Sequence[str]) -> bool:
    """Say whether the last block, which `block` opens, is complete, whatever follows."""
    if block.type == "fence" and block.map:
        return block.content.count("\n") == block.map[1] - block.map[0] - 2
    if block.type in ("heading_open", "hr"):
        return True
    return block.type in ("paragraph_open", "table_open", "blockquote_open") and not lines[-1].strip()
