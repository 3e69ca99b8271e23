"""Incidents in SQLite: what happened, who knew when, what was done, from first signal to recovery."""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from subjects import clock
from subjects.scrub import scrub, scrub_text
from tools.errors import ToolError
from tools.incidents.database import Database, readable
from tools.incidents.record import Incident
from tools.observe.incident import FirstSeen, State
from tools.observe.signal import Signal, Source

_TABLES = """
CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY, cluster TEXT NOT NULL, state TEXT NOT NULL, opened REAL NOT NULL,
    text TEXT NOT NULL, nodes TEXT NOT NULL, invariants TEXT NOT NULL, reopened INTEGER NOT NULL DEFAULT 0,
    healed REAL, heal_text TEXT NOT NULL DEFAULT '', recovered REAL, diagnosis TEXT,
    figures TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX IF NOT EXISTS incidents_opened ON incidents (opened);
CREATE TABLE IF NOT EXISTS incident_entries (
    n INTEGER PRIMARY KEY, incident TEXT NOT NULL REFERENCES incidents ON DELETE CASCADE,
    wall REAL NOT NULL, source TEXT NOT NULL, kind TEXT NOT NULL, node TEXT, text TEXT NOT NULL, evidence TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS incident_entries_of ON incident_entries (incident, wall);
CREATE TABLE IF NOT EXISTS incident_knowers (
    incident TEXT NOT NULL REFERENCES incidents ON DELETE CASCADE, who TEXT NOT NULL,
    seconds REAL, wall REAL, how TEXT NOT NULL, measured INTEGER NOT NULL,
    PRIMARY KEY (incident, who)
) STRICT;
"""

MAX_ENTRIES = 500
"""The most timeline entries that one incident keeps: a flapping node must not fill the disk."""


class UnknownIncident(ToolError):
    """No incident has that id."""

    def __init__(self, incident: str) -> None:
        super().__init__(f"There is no incident {incident!r}.", "incident_list shows those that there are.")


def new_id(wall: float) -> str:
    """Return an id that sorts by time: `20260412-153012-7f3a`, in UTC."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(wall))}-{secrets.token_hex(2)}"


class IncidentStore:
    """The incidents of one state folder. Calls are short and may be made from any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._db = Database(path, _TABLES)

    def require_readable(self) -> None:
        """Raise NotReady where the file cannot be read: which incidents there were is not known."""
        self._db.require_readable()

    def report(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called, in the thread that writes, when what is written is not kept."""
        with self._lock:
            self._db.report(tell)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes inside it one durable write; may be nested."""
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._db.execute("BEGIN IMMEDIATE")
                yield
            except BaseException:
                if self._depth == 1 and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self._db.execute("COMMIT")
            finally:
                self._depth -= 1

    def open(
        self,
        *,
        cluster: str,
        text: str,
        nodes: Sequence[str],
        invariants: Sequence[str] = (),
        wall: float | None = None,
        incident: str | None = None,
    ) -> str:
        """Open an incident whose first signal was seen at `wall` (default: now); return its id."""
        opened = clock.wall() if wall is None else wall
        incident = incident or new_id(opened)
        with self.transaction():
            self._write(
                "INSERT INTO incidents (id, cluster, state, opened, text, nodes, invariants)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (incident, cluster, State.OPEN, opened, text, _json(list(nodes)), _json(list(invariants))),
            )
        return incident

    def add(self, incident: str, signal: Signal) -> None:
        """Add a signal to the timeline; beyond MAX_ENTRIES it is dropped."""
        with self.transaction():
            self._require(incident)
            count = self._db.execute(
                "SELECT count(*) FROM incident_entries WHERE incident = ?", (incident,)
            ).fetchone()[0]
            if count >= MAX_ENTRIES:
                return
            row = (signal.source, signal.kind, signal.node, signal.raw, signal.evidence)
            self._write(
                "INSERT INTO incident_entries (incident, wall, source, kind, node, text, evidence)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (incident, signal.wall or clock.wall(), *row),
            )

    def rename(self, incident: str, text: str) -> None:
        """Call the incident by other words."""
        with self.transaction():
            self._require(incident)
            self._write("UPDATE incidents SET text = ? WHERE id = ?", (text, incident))

    def widen(self, incident: str, nodes: Sequence[str], invariants: Sequence[str]) -> None:
        """Add nodes and broken invariants that were found to belong to the same incident."""
        with self.transaction():
            row = self._require(incident)
            self._write(
                "UPDATE incidents SET nodes = ?, invariants = ? WHERE id = ?",
                (
                    _json(_union(json.loads(row["nodes"]), nodes)),
                    _json(_union(json.loads(row["invariants"]), invariants)),
                    incident,
                ),
            )

    def knew(self, incident: str, knower: FirstSeen) -> None:
        """Keep when somebody knew; of several words of the same one, the first counts."""
        with self.transaction():
            self._require(incident)
            self._write(
                "INSERT OR IGNORE INTO incident_knowers (incident, who, seconds, wall, how, measured)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (incident, knower.who, knower.seconds, knower.wall, knower.how, int(knower.measured)),
            )

    def diagnosis(self, incident: str) -> Mapping[str, Any] | None:
        """Return the diagnosis that is kept with an incident."""
        return self.get(incident).diagnosis

    def keep_diagnosis(
        self,
        incident: str,
        diagnosis: Mapping[str, Any],
        evidence: Mapping[str, Mapping[str, Any]],
        wall: float | None = None,
    ) -> None:
        """Store a diagnosis, as a `result` has it, in place of an earlier; the evidence it cites by id."""
        with self.transaction():
            self._require(incident)
            self._write("UPDATE incidents SET diagnosis = ? WHERE id = ?", (_json(dict(diagnosis)), incident))
            kind, cause = str(diagnosis["kind"]), str(diagnosis["root_cause"])
            self.add(incident, Signal(Source.DIAGNOSIS, kind, diagnosis.get("node"), cause, wall=wall or 0.0))
            self.set_figures(incident, {"evidence": evidence})

    def heal(self, incident: str, text: str, wall: float | None = None) -> None:
        """Keep that somebody acted to end it, and how."""
        at = clock.wall() if wall is None else wall
        with self.transaction():
            self._require(incident)
            self._write("UPDATE incidents SET healed = ?, heal_text = ? WHERE id = ?", (at, text, incident))
            self.add(incident, Signal(Source.HEAL, "healed", None, text, wall=at))

    def recover(self, incident: str, wall: float | None = None, text: str = "") -> None:
        """Close it: all was clear from `wall` on. Does nothing to one that is recovered already."""
        at = clock.wall() if wall is None else wall
        with self.transaction():
            if self._require(incident)["state"] == State.RECOVERED:
                return
            self._write(
                "UPDATE incidents SET state = ?, recovered = ? WHERE id = ?", (State.RECOVERED, at, incident)
            )
            said = text or "healthy by all views"
            self.add(incident, Signal(Source.MONITOR, "recovered", None, said, wall=at))

    def reopen(self, incident: str, text: str, wall: float) -> None:
        """Open it again: the same trouble came back by itself. Counted."""
        with self.transaction():
            self._require(incident)
            self._write(
                "UPDATE incidents SET state = ?, recovered = NULL, reopened = reopened + 1 WHERE id = ?",
                (State.OPEN, incident),
            )
            self.add(incident, Signal(Source.MONITOR, "reopened", None, text, wall=wall))

    def unwatch(self, incident: str) -> None:
        """Note that nobody watches it any more though it is not over."""
        with self.transaction():
            if self._require(incident)["state"] != State.OPEN:
                return
            self._write("UPDATE incidents SET state = ? WHERE id = ?", (State.UNWATCHED, incident))
            self.add(
                incident, Signal(Source.MONITOR, "unwatched", None, "recovery not observed: the watch ended")
            )

    def set_figures(self, incident: str, figures: Mapping[str, Any]) -> None:
        """Merge `figures` (JSON) into those that are there, key by key."""
        with self.transaction():
            held = json.loads(self._require(incident)["figures"])
            self._write(
                "UPDATE incidents SET figures = ? WHERE id = ?", (_json({**held, **figures}), incident)
            )

    def get(self, incident: str) -> Incident:
        """Return all that is known of an incident; UnknownIncident when there is none of that id."""
        with self._lock:
            row = self._require(incident)
            entries = self._db.execute(
                "SELECT * FROM incident_entries WHERE incident = ? ORDER BY wall, n", (incident,)
            ).fetchall()
            knowers = self._db.execute(
                "SELECT * FROM incident_knowers WHERE incident = ? ORDER BY measured DESC, seconds, who",
                (incident,),
            ).fetchall()
        for found in readable([row], lambda row: _incident(row, entries, knowers)):
            return found
        raise UnknownIncident(incident)

    def list(self, limit: int = 20) -> list[Incident]:
        """Return the latest incidents, newest first, without timelines and tables."""
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM incidents ORDER BY opened DESC LIMIT ?", (limit,)
            ).fetchall()
        return readable(rows, lambda row: _incident(row, (), ()))

    def prune(self, *, before: float, max_bytes: int) -> int:
        """Delete incidents that are over: those begun before wall time `before`, the oldest over `max_bytes`.

        Returns how many. What is open stays; the room in the file is used again, not given back.
        """
        over = "FROM incidents WHERE state != ?"
        with self.transaction():
            gone = self._db.execute(f"DELETE {over} AND opened < ?", (State.OPEN, before)).rowcount
        while self._used_bytes() > max_bytes:
            with self.transaction():
                cut = self._db.execute(
                    f"DELETE FROM incidents WHERE id IN (SELECT id {over} ORDER BY opened LIMIT 20)",  # noqa: S608
                    (State.OPEN,),
                ).rowcount
            if not cut:
                break
            gone += cut
        return gone

    def _used_bytes(self) -> int:
        pages, free, size = (
            int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _write(self, sql: str, values: Sequence[Any]) -> None:
        """Execute a statement that keeps text: no key gets into the file, and so into no report."""
        self._db.execute(sql, [scrub_text(value) if isinstance(value, str) else value for value in values])

    def _require(self, incident: str) -> sqlite3.Row:
        row = self._db.execute("SELECT * FROM incidents WHERE id = ?", (incident,)).fetchone()
        if row is None:
            raise UnknownIncident(incident)
        found: sqlite3.Row = row
        return found


def _incident(row: sqlite3.Row, entries: Sequence[sqlite3.Row], knowers: Sequence[sqlite3.Row]) -> Incident:
    return Incident(
        id=row["id"],
        cluster=row["cluster"],
        state=State(row["state"]),
        opened=row["opened"],
        text=row["text"],
        nodes=tuple(json.loads(row["nodes"])),
        invariants=tuple(json.loads(row["invariants"])),
        reopened=row["reopened"],
        healed=row["healed"],
        heal_text=row["heal_text"],
        recovered=row["recovered"],
        diagnosis=json.loads(row["diagnosis"]) if row["diagnosis"] else None,
        figures=json.loads(row["figures"]),
        signals=tuple(map(_signal, entries)),
        knew=tuple(
            FirstSeen(item["who"], item["seconds"], item["wall"], item["how"], bool(item["measured"]))
            for item in knowers
        ),
    )


def _signal(row: sqlite3.Row) -> Signal:
    """Return a row of the timeline as it was added; on no clock but the wall's."""
    source = Source(row["source"]) if row["source"] in set(Source) else Source.MONITOR
    text, wall, evidence = row["text"], row["wall"], row["evidence"]
    return Signal(source, row["kind"], row["node"], text, 0.0, wall, evidence)


def _json(value: Any) -> str:
    return json.dumps(scrub(value), ensure_ascii=False, separators=(",", ":"), default=str)


def _union(held: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*held, *more)))
