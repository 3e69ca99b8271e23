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
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from agent.errors import BadTranscript
from agent.transcript.reading import FORMAT, VERSION, Header, read_entry, read_header
from subjects.runtimes.filelock import try_lock
from subjects.scrub import scrub
from subjects.untrusted import well_formed

LONGEST_LINE = 16_000_000
"""Bytes; far above any entry, results being bounded at the dispatcher."""


def new_id() -> str:
    """Return an id for a new session: the time, so that they sort, and a few random letters."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


class Transcript:
    """A transcript that is being written. One process at a time holds it.

    Writing never fails for whoever writes: where the disk takes no more, `trouble` is told once, the session
    goes on, and what is written when there is room again stands on a line of its own.
    """

    def __init__(self, path: Path, file: IO[bytes] | None, header: Header) -> None:
        self.path = path
        self.header = header
        self.trouble: Callable[[str], None] = lambda _text: None
        """Gets, once, why what is recorded is not kept, a sentence for the person."""
        self._file = file
        self._began = time.monotonic() - max(0.0, time.time() - header.made)
        self._acting: set[str] = set()
        """Ids of calls that act and have no outcome yet."""
        self._asked = False
        self._torn = False
        """Whether the last line has no end."""
        self._failed = ""

    @property
    def recorded(self) -> bool:
        """Whether all that was recorded is in the file."""
        return not self._failed

    @classmethod
    def create(cls, folder: Path, header: Header) -> "Transcript":
        """Start `folder`/ID.jsonl with its header; FileExistsError if there is one of that id.

        Where the folder takes no file, the session is not recorded, and `trouble` will be told so.
        """
        path = folder / f"{header.id}.jsonl"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError:
            raise
        except OSError as error:
            transcript = cls(path, None, header)
            transcript._failed = str(error.strerror)
            return transcript
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
        try:
            transcript = cls(path, path.open("ab", buffering=0), header)
        except OSError as error:
            raise BadTranscript(f"{path} cannot be continued: {error.strerror}.") from error
        transcript._hold()
        try:
            _mend(path)
        except OSError:
            transcript._torn = True
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
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
        vars(self).update(
            vars(earlier), _asked=True, trouble=self.trouble
        )  # from here on this is that transcript

    def record(self, entry: Mapping[str, Any]) -> None:
        """Append one entry, with `t` added and keys scrubbed.

        It outlives this process at once, and a loss of power too where it is about a call that acts.
        """
        self._asked = self._asked or entry["type"] == "user"
        timed = {"type": entry["type"], "t": round(time.monotonic() - self._began, 3), **entry}
        self._write(timed, sync=self._is_about_an_act(entry))

    def close(self) -> None:
        """Close the file; safe to call again."""
        if self._file is not None:
            self._file.close()

    def report(self, trouble: Callable[[str], None]) -> None:
        """Have `trouble` told why what is recorded is not kept: at once, or when it comes to that."""
        self.trouble = trouble
        if self._failed:
            self._say()

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
        if self._file is None:
            return
        text = json.dumps(scrub(entry), ensure_ascii=False, separators=(",", ":"), default=str)
        line = well_formed(text).encode() + b"\n"
        try:
            # Unbuffered: one write a line, so that a killed process leaves at most one torn line.
            whole = b"\n" + line if self._torn else line
            written = self._file.write(whole)
            self._torn = self._torn if not written else written < len(whole)
            if written is None or written < len(whole):
                self._fail("No space left on device")
            elif sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._fail(str(error.strerror))

    def _fail(self, why: str) -> None:
        if not self._failed:
            self._failed = why
            self._say()

    def _say(self) -> None:
        self.trouble(f"This session is not recorded any more: {self.path}: {self._failed}. It goes on.")

    def _hold(self) -> None:
        if self._file is not None and not try_lock(self._file.fileno()):
            self._file.close()
            raise BadTranscript(
                f"Session {self.header.id} is open in another operator. Close it there, or start a new one."
            )


def _mend(path: Path) -> None:
    """Finish or cut off a last line without an end, so that what is appended begins on a line of its own."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, end - LONGEST_LINE))
        tail = file.read()
        unfinished = tail[tail.rfind(b"\n") + 1 :]
        if not unfinished:
            return
        if read_entry(0, unfinished):
            file.write(b"\n")
        else:
            file.truncate(start + len(tail) - len(unfinished))
