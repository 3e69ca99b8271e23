"""What the load has written, kept so that every acknowledged write can be checked later.

Memory grows with the number of records, not with time: of each record the last acknowledged write is
kept, and the writes of it that got no answer.
"""

import os
from array import array
from enum import StrEnum

from subjects.load import Record
from tools.load.settings import RECORD_BYTES

MAX_UNSURE = 64
"""Unanswered writes that are kept by name for one record; beyond, any of ours is allowed for one."""

_NONE = -1
_PADDING = bytes(ord("a") + n % 26 for n in range(RECORD_BYTES + 26))


class Verdict(StrEnum):
    """What reading a record back showed."""

    KEPT = "kept"
    LOST = "lost"
    CHANGED = "changed"


class Values:
    """The values of one load: each begins with what no other write has, then padding of known content."""

    def __init__(self, run: str | None = None) -> None:
        self._run = run or os.urandom(6).hex()

    def make(self, number: int, write: int) -> bytes:
        """Return the value of write `write`, which goes to record `number`."""
        head = f"{self._run}.{number}.{write};".encode()
        shift = write % 26
        return head + _PADDING[shift : shift + RECORD_BYTES - len(head)]

    def read(self, value: bytes) -> tuple[int, int] | None:
        """Return record and write of a value of this load; None for any other, down to the last byte."""
        run, _, rest = value.partition(b";")[0].decode("ascii", "replace").partition(".")
        number, _, write = rest.partition(".")
        if run != self._run or not (number.isdigit() and write.isdigit()):
            return None
        found = int(number), int(write)
        return found if self.make(*found) == value else None


class Written:
    """The writes of one load: which were acknowledged, and which may or may not have happened.

    Where writes have revisions, the greatest of a record is its last. Where they have none, a write may be
    the last one if no acknowledged write began after it had ended: of those under way at once the database
    alone knows the order.
    """

    def __init__(self) -> None:
        self._values = Values()
        self._writes = array("q")
        """Of each record the last acknowledged write, as far as that is known."""
        self._revisions = array("q")
        """Its revision; without revisions, when the latest acknowledged write of the record began."""
        self._ends = array("q")
        """When that write ended; used without revisions only."""
        self._overlapping: dict[int, dict[int, int]] = {}
        """Of records without revisions: other writes that may be the last one, with their ends."""
        self._unsure: dict[int, set[int]] = {}
        self._clock = 0
        """Counts begins and ends; a write is named by its begin."""
        self.acknowledged = 0
        self.indeterminate = 0
        self.keys = 0
        """Records with at least one acknowledged write."""

    def begin(self, number: int) -> tuple[int, bytes]:
        """Return the number and the value of a new write to record `number`."""
        write = self._tick()
        return write, self._values.make(number, write)

    def acknowledge(self, number: int, write: int, revision: int | None) -> None:
        """Note that the database acknowledged `write`, at `revision` where it has any."""
        self.acknowledged += 1
        self._reach(number)
        self.keys += self._revisions[number] == _NONE
        if revision is None:
            self._overlap(number, write)
        elif revision > self._revisions[number]:
            self._writes[number], self._revisions[number] = write, revision

    def doubt(self, number: int, write: int) -> None:
        """Note that nobody knows whether `write` happened, or still will."""
        self.indeterminate += 1
        unsure = self._unsure.setdefault(number, set())
        if len(unsure) <= MAX_UNSURE:
            unsure.add(write)

    def has(self, number: int) -> bool:
        """Whether a write to record `number` was acknowledged: then it must be there."""
        return number < len(self._revisions) and self._revisions[number] != _NONE

    def numbers(self) -> list[int]:
        """Return the records that must be there."""
        return [number for number, revision in enumerate(self._revisions) if revision != _NONE]

    def judge(self, number: int, record: Record | None) -> Verdict:
        """Compare what was read back of a record that must be there.

        It must hold its last acknowledged write, or an unanswered one that landed after that. Without
        revisions nobody can tell when an unanswered one landed: any is accepted.
        """
        if record is None:
            return Verdict.LOST
        found = self._values.read(record.value)
        if found is None or found[0] != number:
            return Verdict.CHANGED
        if found[1] == self._writes[number] or found[1] in self._overlapping.get(number, ()):
            return Verdict.KEPT
        landed_after = record.revision is None or record.revision > self._revisions[number]
        return Verdict.KEPT if landed_after and self._may_land(number, found[1]) else Verdict.LOST

    def _overlap(self, number: int, write: int) -> None:
        """Take a write that ends now; forget those that had ended when the latest one began."""
        latest = max(write, self._revisions[number])
        others = self._overlapping.pop(number, {})
        if self._writes[number] != _NONE:
            others[self._writes[number]] = self._ends[number]
        others = {other: end for other, end in others.items() if end > latest}
        if others:
            self._overlapping[number] = others
        self._writes[number], self._revisions[number], self._ends[number] = write, latest, self._tick()

    def _may_land(self, number: int, write: int) -> bool:
        unsure = self._unsure.get(number, set())
        return write in unsure or len(unsure) > MAX_UNSURE

    def _reach(self, number: int) -> None:
        missing = number + 1 - len(self._revisions)
        if missing > 0:
            self._writes.extend([_NONE] * missing)
            self._revisions.extend([_NONE] * missing)
            self._ends.extend([_NONE] * missing)

    def _tick(self) -> int:
        self._clock += 1
        return self._clock - 1
