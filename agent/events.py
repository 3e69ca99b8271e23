"""What the conversation tells while it goes on; with `tools.events`, all that a view can draw."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tools.events import Event

if TYPE_CHECKING:
    from tools.tool import Outcome


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    """The first line: who answers, and on what."""

    type: ClassVar[str] = "session"
    id: str
    driver: str
    model: str | None
    version: str


@dataclass(frozen=True, slots=True)
class Text(Event):
    """A piece of the answer, Markdown. `done` ends a block of it: what follows is another one."""

    type: ClassVar[str] = "text"
    text: str
    note: bool = False
    """Narration between tool calls, drawn more quietly than the answer."""
    done: bool = False


@dataclass(frozen=True, slots=True)
class Verbatim(Event):
    """Lines of an answer that are no Markdown: a log. Whoever shows them cleans them."""

    type: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class TextVoid(Event):
    """What was drawn since the last `done` is void: the reply is asked for again."""

    type: ClassVar[str] = "notice"
    text: str


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """A tool call is about to run."""

    type: ClassVar[str] = "tool_call"
    call_id: str
    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """A tool call has its result."""

    type: ClassVar[str] = "tool_result"
    call_id: str
    tool: str
    ok: bool
    evidence: str | None
    seconds: float
    summary: str
    """One line for a person."""
    data: dict[str, Any] = field(default_factory=dict)


def ended(outcome: "Outcome", summary: str) -> CallEnded:
    """Return the event that tells of `outcome`, with `summary` as its line."""
    return CallEnded(
        outcome.call_id,
        outcome.tool,
        outcome.ok,
        outcome.evidence,
        outcome.seconds,
        summary,
        dict(outcome.data),
    )


@dataclass(frozen=True, slots=True)
class Stage(Event):
    """A stage of the demo begins (`ok` is None) or ends."""

    type: ClassVar[str] = "stage"
    n: int
    of: int
    name: str
    text: str = ""
    ok: bool | None = None
    elapsed_s: float | None = None


NodeState = Literal["up", "down", "paused", "unhealthy", "unknown"]


RATES = 120
"""Snapshots whose rates a NodeRow has: more than the widest sparkline draws."""


@dataclass(frozen=True, slots=True)
class NodeRow(Event):
    """One node as `operator watch` shows it, within NodesSeen. None is `not known`."""

    type: ClassVar[str] = "node"
    name: str
    state: NodeState
    role: str
    lag: int | None
    heartbeat_age_s: float | None
    entries_per_s: tuple[float, ...] = ()
    """Entries that its log grew by, a second, over the last RATES snapshots; empty if not known."""
    ops_per_s: float | None = None
    """Client requests, by its own metrics."""
    errors_per_s: float | None = None
    p99_ms: float | None = None
    """At most so long; of what, NodesSeen says."""


@dataclass(frozen=True, slots=True)
class OpenIncident(Event):
    """An incident under way, within NodesSeen."""

    type: ClassVar[str] = "incident"
    id: str
    text: str
    age_s: float


@dataclass(frozen=True, slots=True)
class NodesSeen(Event):
    """All nodes of a watched cluster, in one snapshot."""

    type: ClassVar[str] = "progress"
    cluster: str
    state: str
    nodes: tuple[NodeRow, ...]
    incidents: tuple[str, ...] = ()
    """Those that are open."""
    open: tuple[OpenIncident, ...] = ()
    """The same, with what each is about and since when."""
    latency_of: str = ""
    """What the nodes' p99 is of: `request` or `fsync`."""


@dataclass(frozen=True, slots=True)
class Focused(Event):
    """What the person at a watch looks at: for terminals only."""

    type: ClassVar[str] = "progress"
    filter: str = ""
    typing: bool = False
    node: str | None = None
    """The chosen node."""
    detail: tuple[Event, ...] = ()
    """What is known of it, where it is looked into."""


@dataclass(frozen=True, slots=True)
class Spent(Event):
    """What the session has used so far, for the status line."""

    type: ClassVar[str] = "notice"
    context_tokens: int
    context_limit: int | None
    cost_usd: float | None
    """None where prices are not known."""


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The last line of every run: the command's `result`, as it is printed."""

    type: ClassVar[str] = "result"
    result: dict[str, Any] = field(default_factory=dict)
