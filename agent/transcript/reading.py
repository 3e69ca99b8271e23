"""A transcript read back, as far as it is whole: what is damaged is left out and counted.

A crash, a full disk or a loss of power tears lines; nothing that was written before or after is lost for it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from agent.errors import BadTranscript
from subjects.untrusted import NotJson, read_object

FORMAT = "operator-transcript"
VERSION = 1
"""Raised when an older operator could misread what we write; the header says it."""

LONGEST_S = 2e11
"""The year 8307. A time beyond it is damage, and no calendar holds it."""

LONGEST_HEADER = 1 << 20
"""Bytes. What is no transcript may be one line of gigabytes."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a transcript is of."""

    id: str
    made: float
    """Wall time, seconds since the epoch."""
    operator: str
    """The version of operator that made it."""
    driver: str
    model: str | None
    command: str = "chat"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a transcript."""

    line: int
    """Its number in the file, from 1."""
    type: str
    t: float
    """Seconds since the session began."""
    data: Mapping[str, Any]


def read_header(path: Path) -> Header:
    """Return what the transcript `path` is of; a field of it that is damaged is told by the file itself.

    Raises BadTranscript where it is none, or of a newer version.
    """
    with _opened(path) as file:
        return _header(path, file.readline(LONGEST_HEADER))


def read(path: Path, damaged: Callable[[int], None] = lambda _line: None) -> Iterator[Entry]:
    """Yield the entries of `path`; `damaged` gets the number of each line that is none.

    A torn last line is left out without a word: its writer was killed. Raises BadTranscript where the file is
    no transcript or is of a newer version.
    """
    with _opened(path) as file:
        _header(path, file.readline(LONGEST_HEADER))
        for number, line in enumerate(file, start=2):
            entry = read_entry(number, line)
            if entry is not None:
                yield entry
            elif line.strip() and line.endswith(b"\n"):
                damaged(number)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if path.is_fifo():  # it is read more than once, and opening it could wait for ever
            raise BadTranscript(f"{path} is a pipe: copy it to a file.")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise BadTranscript(f"{path}: cannot be read: {error.strerror}.") from error


def read_entry(number: int, line: bytes) -> Entry | None:
    """Return one line as an entry; None where it is none, or lacks what its type must have."""
    try:
        # After a loss of power, blocks of a file that were never written read as NULs.
        found = read_object(line.replace(b"\0", b""))
    except NotJson:
        return None
    kind = found.get("type")
    if not isinstance(kind, str) or not _is_whole(kind, found):
        return None
    return Entry(number, kind, _seconds(found.get("t")), found)


def _is_whole(kind: str, found: Mapping[str, Any]) -> bool:
    """Return whether an entry has what is read of its type, each of the type that it is read as."""
    match kind:
        case "user":
            needed = _are(str, found.get("text"), found.get("remark", ""), found.get("by", ""))
        case "assistant":
            needed = _are(str, found.get("stop_reason", "")) and _are_blocks(found.get("content"))
        case "call":
            needed = _are(str, found.get("id"), found.get("tool", "")) and _are(
                dict, found.get("arguments", {})
            )
        case "outcome":
            needed = _are(str, found.get("id"), found.get("tool", ""), found.get("text", "")) and _are(
                dict, found.get("data", {})
            )
        case "system" if found.get("kind") == "compaction":
            messages = found.get("messages")
            needed = isinstance(messages, list) and all(
                isinstance(each, dict)
                and each.get("role") in ("user", "assistant", "system")
                and _are_blocks(each.get("content"))
                for each in messages
            )
        case "system":
            needed = _are(str, found.get("text"))
        case _:
            needed = True
    return needed


def _are_blocks(content: object) -> bool:
    return isinstance(content, list) and all(
        isinstance(block, dict) and _is_block(block) for block in content
    )


def _is_block(block: Mapping[str, Any]) -> bool:
    match block.get("type"):
        case "text":
            return _are(str, block.get("text"))
        case "thinking":
            return _are(str, block.get("thinking"))
        case "tool_use":
            return _are(str, block.get("id"), block.get("name")) and _are(dict, block.get("input"))
        case "tool_result":
            return _are(str, block.get("tool_use_id"))
        case kind:
            return isinstance(kind, str)


def _are(kind: type, *values: object) -> bool:
    return all(isinstance(value, kind) for value in values)


def _seconds(value: object) -> float:
    is_time = isinstance(value, int | float) and math.isfinite(value) and 0 <= value < LONGEST_S
    return float(value) if is_time and isinstance(value, int | float) else 0.0


def _header(path: Path, line: bytes) -> Header:
    try:
        found = read_object(line.replace(b"\0", b""))
    except NotJson:
        found = {}
    if found.get("format") != FORMAT:
        raise BadTranscript(f"{path} is no transcript of operator: its first line is not the header of one.")
    version = found.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise BadTranscript(
            f"{path} was written by a newer operator (transcript version {version}; this one reads "
            f"{VERSION}). Update operator to read it."
        )
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    return Header(
        texts.get("id", path.stem),
        _seconds(found.get("made")) or path.stat().st_mtime,
        texts.get("operator", "an unknown version"),
        texts.get("driver", "unknown"),
        texts.get("model"),
        texts.get("command", "chat"),
    )
