"""What tools report while they work. A view may draw each; JSON output prints each as one line.

The monitor's two, a signal and a detection, are in `tools.observe.signal`.

Every event is a frozen dataclass whose class says the `type` it has in `--output stream-json`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events."""

    type: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """Something is under way. With `of_s` a countdown is drawn that ends at `of_s` seconds."""

    type: ClassVar[str] = "progress"
    text: str
    elapsed_s: float | None = None
    of_s: float | None = None
    done: bool = False
    """The last of its kind: what was drawn in place becomes a finished line."""


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A sentence for the person, not part of the answer."""

    type: ClassVar[str] = "notice"
    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """Something went wrong; the text says what to do."""

    type: ClassVar[str] = "error"
    text: str


@dataclass(frozen=True, slots=True)
class Diagnosed(Event):
    """A diagnosis was made and checked; `diagnosis` is as a `result` tells it."""

    type: ClassVar[str] = "diagnosis"
    diagnosis: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table(Event):
    """Rows that a terminal shows as a table and other outputs as records."""

    type: ClassVar[str] = "progress"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Emit = Callable[[Event], None]
"""How a tool tells of an event. Never blocks and never raises."""
