"""The session as JSON lines: written before and after each act, read back for replay and resume.

The first line is the header. Every other line is an entry with its `type` and `t`, seconds since the
session began:

    user       text, by (person or host), remark
    assistant  content (the blocks as received), stop_reason, usage
    call       id, tool, arguments, effect      written before the call runs
    outcome    id, tool, ran, ok, text, data, evidence, seconds; `ran` is false for a refused call
    system     text                             what the host told the model
    event      event (what a view drew; see agent.transcript.event_entries)
    resumed    at                               the session goes on in another run
    end        reason, detail                   how a request ended
"""

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from agent.errors import BadTranscript
from agent.transcript.scrub import scrub
from subjects.runtimes.filelock import try_lock

FORMAT = "operator-transcript"
VERSION = 1
"""Raised when an older operator could misread what we write; the header says it."""

LONGEST_LINE = 16_000_000
"""Bytes; far above any entry, results being bounded at the dispatcher."""


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


def new_id() -> str:
    """Return an id for a new session: the time, so that they sort, and a few random letters."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


class Transcript:
    """A transcript that is being written. One process at a time holds it."""

    def __init__(self, path: Path, file: IO[bytes], header: Header) -> None:
        self.path = path
        self.header = header
        self._file = file
        self._began = time.monotonic() - max(0.0, time.time() - header.made)
        self._acting: set[str] = set()
        """Ids of calls that act and have no outcome yet."""
        self._asked = False

    @classmethod
    def create(cls, folder: Path, header: Header) -> "Transcript":
        """Start `folder`/ID.jsonl with its header; FileExistsError if there is one of that id."""
        path = folder / f"{header.id}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        transcript = cls(path, os.fdopen(descriptor, "ab", buffering=0), header)
        transcript._hold()
        transcript._write(
            {"type": "header", "format": FORMAT, "version": VERSION, **asdict(header)}, sync=True
        )
        return transcript

    @classmethod
    def reopen(cls, path: Path) -> "Transcript":
        """Go on with an earlier transcript; what a crash tore off its last line is removed first."""
        header = read_header(path)
        transcript = cls(path, path.open("ab", buffering=0), header)
        transcript._hold()
        _mend(path)
        transcript.record({"type": "resumed", "at": time.time()})
        return transcript

    def take_over(self, path: Path) -> None:
        """Go on in the earlier transcript `path` from here, for everybody who writes to this one.

        What this one held stays where it is, unless nothing was asked yet: then its file goes.
        Raises BadTranscript, and changes nothing, where `path` is none or is held by another process.
        """
        earlier = Transcript.reopen(path)
        self.close()
        if not self._asked:
            self.path.unlink(missing_ok=True)
        vars(self).update(vars(earlier), _asked=True)  # from here on this is that transcript

    def record(self, entry: Mapping[str, Any]) -> None:
        """Append one entry, with `t` added and keys scrubbed.

        It outlives this process at once, and a loss of power too where it is about a call that acts.
        """
        self._asked = self._asked or entry["type"] == "user"
        timed = {"type": entry["type"], "t": round(time.monotonic() - self._began, 3), **entry}
        self._write(timed, sync=self._is_about_an_act(entry))

    def close(self) -> None:
        """Close the file; safe to call again."""
        self._file.close()

    def _is_about_an_act(self, entry: Mapping[str, Any]) -> bool:
        call_id = str(entry.get("id"))
        if entry["type"] == "call" and entry.get("effect") != "read":
            self._acting.add(call_id)
            return True
        if entry["type"] == "outcome" and call_id in self._acting:
            self._acting.discard(call_id)
            return True
        return False

    def _write(self, entry: Mapping[str, Any], *, sync: bool) -> None:
        line = json.dumps(scrub(entry), ensure_ascii=False, separators=(",", ":"), default=str)
        # Unbuffered: one write a line, so that a killed process leaves at most one torn line.
        self._file.write(line.encode("utf-8", "replace") + b"\n")
        if sync:
            os.fsync(self._file.fileno())

    def _hold(self) -> None:
        if not try_lock(self._file.fileno()):
            self._file.close()
            raise BadTranscript(
                f"Session {self.header.id} is open in another operator. Close it there, or start a new one."
            )


def read_header(path: Path) -> Header:
    """Return what the transcript `path` is of.

    Raises BadTranscript where it is none, or of a newer version.
    """
    try:
        with path.open("rb") as file:
            first = file.readline()
    except OSError as error:
        raise BadTranscript(f"{path}: cannot be read: {error.strerror}.") from error
    return _header(path, first)


def read(path: Path) -> Iterator[Entry]:
    """Yield the entries of `path`, line by line. A torn last line is left out.

    Raises BadTranscript where the file is no transcript, is of a newer version or is damaged in the middle.
    """
    try:
        with path.open("rb") as file:
            _header(path, file.readline())
            for number, line in enumerate(file, start=2):
                entry = _entry(number, line)
                if entry is not None:
                    yield entry
                elif file.read(1):
                    raise BadTranscript(f"{path}, line {number}: not an entry of a transcript.")
    except OSError as error:
        raise BadTranscript(f"{path}: cannot be read: {error.strerror}.") from error


def _header(path: Path, line: bytes) -> Header:
    found = _object(line)
    if found is None or found.get("format") != FORMAT:
        raise BadTranscript(f"{path} is no transcript of operator: its first line is not the header of one.")
    version = found.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise BadTranscript(
            f"{path} was written by a newer operator (transcript version {version}; this one reads "
            f"{VERSION}). Update operator to read it."
        )
    known = {name: found.get(name) for name in Header.__dataclass_fields__ if name in found}
    try:
        return Header(**known)  # type: ignore[arg-type] # a header that lacks a field says so below
    except TypeError as error:
        raise BadTranscript(f"{path}: its header is not complete ({error}).") from error


def _entry(number: int, line: bytes) -> Entry | None:
    found = _object(line)
    if found is None or not isinstance(found.get("type"), str):
        return None
    t = found.get("t")
    return Entry(number, found["type"], float(t) if isinstance(t, int | float) else 0.0, found)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _mend(path: Path) -> None:
    """Finish or cut off a last line without an end, so that what is appended begins on a line of its own."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, end - LONGEST_LINE))
        tail = file.read()
        unfinished = tail[tail.rfind(b"\n") + 1 :]
        if not unfinished:
            return
        if _object(unfinished):
            file.write(b"\n")
        else:
            file.truncate(start + len(tail) - len(unfinished))
