"""`operator.db`: the one SQLite file of a state folder, shared by the fault journal and the incidents.

Each room makes its own tables with CREATE TABLE IF NOT EXISTS; the file's version is kept here.
"""

import sqlite3
from pathlib import Path

from subjects.errors import NewerState, NotReady

VERSION = 1
"""Raised when a table changes in a way that older code cannot read; kept in `PRAGMA user_version`."""

BUSY_TIMEOUT_S = 5.0
"""How long a write waits for another process's write; ours take milliseconds."""


def connect(path: Path, tables: str) -> sqlite3.Connection:
    """Open the database in autocommit, durable (WAL, synchronous=FULL), for one thread at a time.

    `tables` is the script that makes the caller's tables where they are missing. Rows come as `sqlite3.Row`.

    Raises NewerState for a file of a newer version, NotReady for one that is no database or can't be used.
    """
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise NotReady(f"{path} cannot be opened: {error}. Give another folder with --state-dir.") from error
    try:
        _prepare(connection, path)
        connection.executescript(tables)
    except sqlite3.Error as error:
        connection.close()
        raise NotReady(
            f"{path} cannot be used as operator's database: {error}. "
            "Move the file away or give another folder with --state-dir."
        ) from error
    except NewerState:
        connection.close()
        raise
    return connection


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
