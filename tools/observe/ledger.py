"""The ledger: every tool result and signal as it was, under an id (E1, E2, …) with its time.

A diagnosis may cite only what is in here, word for word.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from subjects import clock
from subjects.untrusted import clean

MAX_CHARS = 64_000
"""The most that is kept of one piece of evidence."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was seen."""

    id: str
    source: str
    """The tool or the monitor's source that it came from, e.g. `read_logs`, `signal:process`."""
    text: str
    at: float
    """Monotonic seconds."""
    wall: float
    """Seconds since the epoch."""
    node: str | None = None
    ok: bool = True
    """Whether the tool that it came from succeeded."""


class Ledger:
    """Evidence in the order it came."""

    def __init__(self, prefix: str = "E", keep: int | None = None) -> None:
        """`keep`: of a ledger that grows for days, only so many of the latest are kept."""
        self._prefix = prefix
        self._items: dict[str, Evidence] = {}
        self._next = 1
        self._keep = keep

    def add(
        self,
        source: str,
        text: str,
        *,
        node: str | None = None,
        at: float | None = None,
        wall: float | None = None,
        ok: bool = True,
    ) -> Evidence:
        """Keep `text`, cleaned and bounded, under the next id; times default to now."""
        evidence = Evidence(
            id=f"{self._prefix}{self._next}",
            source=source,
            text=clean(text)[:MAX_CHARS],
            at=time.monotonic() if at is None else at,
            wall=clock.wall(at) if wall is None else wall,
            node=node,
            ok=ok,
        )
        self._next += 1
        self._items[evidence.id] = evidence
        if self._keep is not None and len(self._items) > self._keep:
            del self._items[next(iter(self._items))]
        return evidence

    def restore(self, evidence: Evidence) -> None:
        """Put back evidence of an earlier session under the id that it had."""
        self._items[evidence.id] = evidence
        number = evidence.id.removeprefix(self._prefix)
        if number.isdigit():
            self._next = max(self._next, int(number) + 1)

    def rebase(self, earlier: Iterable[Evidence]) -> None:
        """Put back an earlier session's evidence under its ids; what is here already gets ids after it."""
        own = list(self._items.values())
        self._items.clear()
        self._next = 1
        for item in earlier:
            self.restore(item)
        for item in own:
            self.add(item.source, item.text, node=item.node, at=item.at, wall=item.wall, ok=item.ok)

    @property
    def latest(self) -> str | None:
        """The id of what came last."""
        return next(reversed(self._items), None)

    def get(self, evidence_id: str) -> Evidence | None:
        """Return the evidence with that id, or None."""
        return self._items.get(evidence_id.strip())

    def since(self, wall: float) -> list[Evidence]:
        """Return what was seen at or after wall time `wall`, in order."""
        return [item for item in self._items.values() if item.wall >= wall]

    def __iter__(self) -> Iterator[Evidence]:
        return iter(list(self._items.values()))

    def __len__(self) -> int:
        return len(self._items)
