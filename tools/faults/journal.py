"""The fault journal: what is about to be done and how it is undone, on disk before it is done.

One row a fault in `operator.db`. A row is open until its undo was carried out and seen, or until the world
was found to be another one than it says.
"""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subjects import clock
from subjects.base import Identity, ProcessState
from subjects.errors import NotReady
from subjects.runtimes import identity
from subjects.runtimes.filelock import locked
from tools.faults.steps import State, Step, from_json
from tools.incidents.database import Database, readable

_TABLES = """
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY, cluster TEXT NOT NULL, kind TEXT NOT NULL, nodes TEXT NOT NULL,
    steps TEXT NOT NULL, members TEXT NOT NULL, prediction TEXT NOT NULL, owner TEXT NOT NULL,
    ttl_s REAL NOT NULL, state TEXT NOT NULL, planned REAL NOT NULL, injected REAL, injected_at REAL,
    effect_at REAL, effect TEXT, healed REAL, outcome TEXT, healer TEXT, watched_by TEXT,
    planned_at REAL, boot TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS fault_steps (
    n INTEGER PRIMARY KEY, fault INTEGER NOT NULL REFERENCES faults, wall REAL NOT NULL, text TEXT NOT NULL
) STRICT;
"""

_STARTED = "started "


OPEN = (State.PLANNED, State.INJECTED, State.HEALING, State.FAILED)


@dataclass(frozen=True, slots=True)
class Record:
    """One row."""

    id: int
    cluster: str
    kind: str
    nodes: tuple[str, ...]
    steps: tuple[Step, ...]
    members: Mapping[str, str | None]
    """The member ids before it: what must be there again afterwards."""
    prediction: Mapping[str, Any]
    owner: Identity
    """The operator process that answers for it."""
    ttl_s: float
    state: State
    planned: float
    planned_at: float | None
    """Monotonic time; None of a plan that an older version wrote."""
    boot: str | None
    """Which boot of the machine the monotonic times are of."""
    injected: float | None
    """Wall time just before the first step."""
    injected_at: float | None
    """Monotonic time just before the first step."""
    effect_at: float | None
    """Monotonic time when something else saw the effect."""
    effect: str | None
    healed: float | None
    outcome: str | None
    watched_by: str | None
    """The healer that watches over it, in words."""
    healer: Identity | None
    """The process that is healing it, or that healed it."""

    @property
    def open(self) -> bool:
        """Whether it still has to be undone."""
        return self.state in OPEN

    @property
    def takes_votes(self) -> bool:
        """Whether its nodes count for the majority no longer while it is open."""
        return bool(self.prediction.get("votes_lost"))

    @property
    def being_healed(self) -> bool:
        """Whether a living process is healing it."""
        return self.state is State.HEALING and _runs(self.healer)

    @property
    def orphaned(self) -> bool:
        """Whether the operator that answers for it is dead."""
        return self._of_another_boot or not _runs(self.owner)

    @property
    def expired(self) -> bool:
        """Whether its time to live is over, whatever the wall clock was set to meanwhile."""
        began = self.planned_at if self.injected_at is None else self.injected_at
        return self._of_another_boot or (began is not None and time.monotonic() > began + self.ttl_s)

    @property
    def _of_another_boot(self) -> bool:
        """Whether the machine was started again since: neither times nor processes are comparable then."""
        return self.boot not in {None, identity.boot_id()}


class Journal:
    """The journal of one state folder. Calls are short and may be made from any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._damaged = False
        self._db = Database(path, _TABLES)
        known = {row["name"] for row in self._db.execute("PRAGMA table_info(faults)")}
        for name, kind in (("planned_at", "REAL"), ("boot", "TEXT")):
            if name not in known:  # an older version made the file
                with contextlib.suppress(sqlite3.OperationalError):  # and another process has just added it
                    self._db.execute(f"ALTER TABLE faults ADD COLUMN {name} {kind}")

    def require_readable(self) -> None:
        """Raise NotReady where the journal, or a fault in it, cannot be read: what is open is not known."""
        self._db.require_readable()
        if self._damaged:
            raise NotReady(f"A fault in {self._path} cannot be read: `operator deploy down` ends it.")

    def report(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called, in the thread that writes, when what is written is not kept."""
        with self._lock:
            self._db.report(tell)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def acting(self, timeout_s: float) -> AbstractAsyncContextManager[None]:
        """Hold while the world is changed: of operators and healers only one at a time breaks or mends.

        The kernel gives the lock back when its holder is killed. NotReady after `timeout_s`
        (`Control.act_timeout_s`).
        """
        return locked(self._path.with_name("faults.lock"), timeout_s)

    def plan(
        self,
        *,
        cluster: str,
        kind: str,
        nodes: Sequence[str],
        steps: Sequence[Step],
        members: Mapping[str, str | None],
        prediction: Mapping[str, Any],
        owner: Identity,
        ttl_s: float,
    ) -> int:
        """Write down what is about to be done; it is on disk when this returns. Returns its id.

        NotReady where it cannot be written down: then it must not be done.
        """
        with self._lock:
            cursor = self._db.execute(
                "INSERT INTO faults (cluster, kind, nodes, steps, members, prediction, owner, ttl_s, state,"
                " planned, planned_at, boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    cluster,
                    kind,
                    json.dumps(list(nodes)),
                    json.dumps([step.to_json() for step in steps]),
                    json.dumps(dict(members)),
                    json.dumps(dict(prediction)),
                    _written(owner),
                    ttl_s,
                    State.PLANNED,
                    clock.wall(),
                    time.monotonic(),
                    identity.boot_id(),
                ),
            )
            if self._db.trouble:
                self._db.execute("DELETE FROM faults WHERE id = ?", (cursor.lastrowid,))
                raise NotReady(f"No fault without its journal: {self._db.trouble}")
        return int(cursor.lastrowid or 0)

    def injected(self, fault: int, *, wall: float, at: float) -> None:
        """Note that all steps were taken, the first at that time."""
        self._set(fault, state=State.INJECTED, injected=wall, injected_at=at)
        self.note(fault, "injected")

    def effect(self, fault: int, text: str, at: float) -> None:
        """Note what something other than the injector saw of it, and when."""
        self._set(fault, effect=text, effect_at=at)
        self.note(fault, f"effect seen: {text}")

    def claim(self, fault: int, healer: Identity) -> bool:
        """Take the undo of an open fault upon oneself; False when it is closed or somebody alive is at it."""
        with self._lock:
            row = self._db.execute("SELECT state, healer FROM faults WHERE id = ?", (fault,)).fetchone()
            if row is None or row["state"] not in OPEN:
                return False
            if row["state"] == State.HEALING and _runs(_read(row["healer"])):
                return False
            cursor = self._db.execute(
                "UPDATE faults SET state = 'healing', healer = ? WHERE id = ? AND state = ? AND healer IS ?",
                (_written(healer), fault, row["state"], row["healer"]),
            )
        return cursor.rowcount == 1

    def close_fault(self, fault: int, state: State, text: str) -> None:
        """Note how the undo ended. FAILED leaves it open."""
        self._set(fault, state=state, outcome=text, healed=clock.wall())
        self.note(fault, f"{state}: {text}")

    def hand_over(self, fault: int, owner: Identity) -> None:
        """Note that another process answers for it from now on."""
        self._set(fault, owner=_written(owner))
        self.note(fault, f"left to process {owner.id}")

    def watched(self, fault: int, healer: str) -> None:
        """Note that the healer has seen it and watches over it."""
        self._set(fault, watched_by=healer)

    def note(self, fault: int, text: str) -> None:
        """Keep one step of a fault's course, with its time."""
        with self._lock:
            self._db.execute(
                "INSERT INTO fault_steps (fault, wall, text) VALUES (?, ?, ?)", (fault, clock.wall(), text)
            )

    def started(self, fault: int, process: Identity) -> None:
        """Note that an undo of this fault started a process, so that the next one knows it for ours."""
        self.note(fault, f"{_STARTED}{_written(process)}")

    def started_by_us(self, fault: int) -> list[Identity]:
        """Return the processes that earlier undoings of this fault started."""
        texts = [text for _, text in self.notes(fault) if text.startswith(_STARTED)]
        return [Identity(*json.loads(text.removeprefix(_STARTED))) for text in texts]

    def notes(self, fault: int) -> list[tuple[float, str]]:
        """Return the course of a fault as (wall time, text)."""
        with self._lock:
            rows = self._db.execute(
                "SELECT wall, text FROM fault_steps WHERE fault = ? ORDER BY n", (fault,)
            ).fetchall()
        return [(row["wall"], row["text"]) for row in rows]

    def get(self, fault: int) -> Record | None:
        """Return the row with that id."""
        return next(iter(self._select("WHERE id = ?", (fault,))), None)

    def open_faults(self) -> list[Record]:
        """Return the open faults, the oldest first."""
        return self._select("WHERE state IN ('planned', 'injected', 'healing', 'failed')")

    def latest(self) -> Record | None:
        """Return the fault that was written down last."""
        return next(iter(self._select("ORDER BY id DESC LIMIT 1")), None)

    def _set(self, fault: int, **values: Any) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        with self._lock:
            self._db.execute(f"UPDATE faults SET {columns} WHERE id = ?", (*values.values(), fault))  # noqa: S608 - our own names

    def _select(self, where: str, arguments: tuple[Any, ...] = ()) -> list[Record]:
        with self._lock:
            rows = self._db.execute(f"SELECT * FROM faults {where}", arguments).fetchall()  # noqa: S608 - our own words
        found = readable(rows, _record)
        if len(found) < len(rows):
            self._damaged = True
        return found


def _record(row: sqlite3.Row) -> Record:
    return Record(
        id=row["id"],
        cluster=row["cluster"],
        kind=row["kind"],
        nodes=tuple(json.loads(row["nodes"])),
        steps=tuple(from_json(raw) for raw in json.loads(row["steps"])),
        members=json.loads(row["members"]),
        prediction=json.loads(row["prediction"]),
        owner=Identity(*json.loads(row["owner"])),
        ttl_s=row["ttl_s"],
        state=State(row["state"]),
        planned=row["planned"],
        planned_at=row["planned_at"],
        boot=row["boot"],
        injected=row["injected"],
        injected_at=row["injected_at"],
        effect_at=row["effect_at"],
        effect=row["effect"],
        healed=row["healed"],
        outcome=row["outcome"],
        watched_by=row["watched_by"],
        healer=_read(row["healer"]),
    )


def _written(known: Identity) -> str:
    return json.dumps([known.kind, known.id, known.started])


def _read(text: str | None) -> Identity | None:
    return None if text is None else Identity(*json.loads(text))


def _runs(known: Identity | None) -> bool:
    return known is not None and identity.state(known) is not ProcessState.EXITED
