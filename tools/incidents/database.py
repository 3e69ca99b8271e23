"""`operator.db`: the one SQLite file of a state folder, shared by the fault journal and the incidents.

Each room makes its own tables with CREATE TABLE IF NOT EXISTS; the file's version is kept here.

Where the disk takes no more, or the folder may not be written, work goes on in a copy in memory: what heals,
stops or reads must not fail for want of a place to write it down. What was written meanwhile goes into the
file when it is closed, if there is room by then. A damaged file is left as it is, and the copy is empty.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from subjects.errors import NewerState, NotReady

VERSION = 1
"""Raised when a table changes in a way that older code cannot read; kept in `PRAGMA user_version`."""

BUSY_TIMEOUT_S = 5.0
"""How long a write waits for another process's write; ours take milliseconds."""

_OF_THE_FILE = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN),
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
}
"""Primary result codes of SQLite for a disk that is full or broken, a folder that may not be written, or a
file that is damaged."""

Statement = tuple[str, Sequence[Any]]


class Database:
    """One connection, in autocommit, durable (WAL, synchronous=FULL), for one thread at a time."""

    def __init__(self, path: Path, tables: str) -> None:
        """Open the file. `tables` makes the caller's tables where they are missing. Rows are `sqlite3.Row`.

        Raises NewerState for a file of a newer version, NotReady for one that is no database.
        """
        self.trouble = ""
        """Why what is written is not in the file, a sentence for the person; empty where it is."""
        self._unreadable = ""
        """Why what was in the file is not known here; empty where it is."""
        self._report: Callable[[str], None] = lambda _text: None
        self._path = path
        self._tables = tables
        self._using = threading.RLock()
        """Held while the connection is used: closed under another thread's statement, SQLite would crash."""
        self._since_begin: list[Statement] = []
        self._unsaved: list[Statement] = []
        try:
            self._sqlite = _open(str(path), path, tables)
        except sqlite3.Error as error:
            if _code(error) == sqlite3.SQLITE_BUSY:
                raise NotReady(
                    f"{path} is held by another program for more than {BUSY_TIMEOUT_S:.0f} s. "
                    "Try again when that has let it go."
                ) from error
            if not (_code(error) in _OF_THE_FILE and path.parent.is_dir()):
                raise NotReady(
                    f"{path} cannot be used as operator's database: {error}. "
                    "Move the file away or give another folder with --state-dir."
                ) from error
            self._sqlite = self._copy(error)

    def report(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called with `trouble` when there is any: at once, or when it comes to that.

        It is called in the thread that writes.
        """
        self._report = tell
        if self.trouble:
            tell(self.trouble)

    def require_readable(self) -> None:
        """Raise NotReady where what was in the file is not known."""
        if self._unreadable:
            raise NotReady(f"{self._unreadable}: which faults and incidents there are is not known.")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._sqlite.in_transaction

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute one statement."""
        with self._using:
            return self._execute(sql, values)

    def _execute(self, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
        if sql.startswith("BEGIN"):
            self._since_begin.clear()
        try:
            cursor = self._sqlite.execute(sql, values)
        except sqlite3.Error as error:
            if self.trouble or _code(error) not in _OF_THE_FILE:
                raise
            cursor = self._go_on_in_memory(error, (sql, values))
        if not sql.startswith(("SELECT", "PRAGMA")):
            self._since_begin.append((sql, values))
            if not self._sqlite.in_transaction:
                if self.trouble:
                    self._unsaved += self._since_begin
                self._since_begin.clear()
        return cursor

    def close(self) -> None:
        """Close it; what was written in memory goes into the file, if that takes it by now."""
        with self._using:
            self._sqlite.close()
        unsaved, self._unsaved = self._unsaved, []
        if unsaved:
            with suppress(sqlite3.Error, NewerState):
                late = _open(str(self._path), self._path, self._tables)
                try:
                    late.execute("BEGIN IMMEDIATE")
                    for sql, values in unsaved:
                        if not sql.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
                            late.execute(sql, values)
                    late.execute("COMMIT")
                finally:
                    late.close()

    def _go_on_in_memory(self, error: sqlite3.Error, failed: Statement) -> sqlite3.Cursor:
        """Repeat, in a copy, what of the open transaction was done, and then what failed."""
        begun = [*self._since_begin]
        with suppress(sqlite3.Error):
            self._sqlite.execute("ROLLBACK")
        self._sqlite.close()
        self._sqlite = self._copy(error)
        for sql, values in begun:
            self._sqlite.execute(sql, values)
        return self._sqlite.execute(*failed)

    def _copy(self, why: sqlite3.Error) -> sqlite3.Connection:
        memory = self._read_file()
        if memory is not None or not os.path.lexists(self._path):
            self.trouble = (
                f"{self._path} cannot be written ({why}): what is done from here on is not kept, unless "
                "there is room again at the end. Nothing will be broken meanwhile; healing, stopping and "
                "reading work."
            )
        else:
            self._unreadable = f"{self._path} cannot be read ({why})"
            self.trouble = (
                f"{self._unreadable}, and nothing is kept. Nothing will be broken meanwhile; looking and "
                "stopping work. If the file is damaged, move it away."
            )
        self._report(self.trouble)
        memory = memory or _in_memory()
        _prepare(memory, self._path)
        memory.executescript(self._tables)
        memory.execute(f"PRAGMA foreign_keys = {'OFF' if self._unreadable else 'ON'}")
        return memory

    def _read_file(self) -> sqlite3.Connection | None:
        """Return a copy of the file; None where it cannot be read, or is damaged."""
        # A write-ahead log is read by the shared memory that others have made, or exclusively without one.
        for mode, lock in (("ro", "NORMAL"), ("rw", "EXCLUSIVE"), ("ro&immutable=1", "NORMAL")):
            memory = _in_memory()
            with suppress(sqlite3.Error):
                source = sqlite3.connect(f"file:{quote(str(self._path))}?mode={mode}", uri=True)
                try:
                    source.execute(f"PRAGMA locking_mode = {lock}")
                    source.backup(memory, progress=_Bounded(), sleep=0.05)
                finally:
                    source.close()
                if memory.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
                    return memory
            memory.close()
        return None


Row = TypeVar("Row")


def readable(rows: Sequence[sqlite3.Row], read: Callable[[sqlite3.Row], Row]) -> list[Row]:
    """Return the rows that can be read: one that is damaged hides no other."""
    found = []
    for row in rows:
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            found.append(read(row))
    return found


class _Bounded:
    """Ends a backup that only waits: by itself it would wait for a lock without end."""

    def __init__(self) -> None:
        self._left = int(BUSY_TIMEOUT_S / 0.05)

    def __call__(self, _status: int, _remaining: int, _total: int) -> None:
        self._left -= 1
        if not self._left:
            raise sqlite3.OperationalError("database is locked")


def _open(name: str, path: Path, tables: str) -> sqlite3.Connection:
    with suppress(OSError):
        path.touch(mode=0o600)  # the folder may be one that others look into
    connection = sqlite3.connect(name, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
        connection.executescript(tables)
    except (sqlite3.Error, NewerState):
        connection.close()
        raise
    return connection


def _in_memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise NewerState(
            f"{path} has version {version}, this operator knows up to {VERSION}. "
            "Upgrade operator, or give another folder with --state-dir."
        )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if version < VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")
