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
    """What was drawn since the last `done` is void: the reply is asked for anew."""

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


NodeState = Literal["up", "down", "paused", "unwell", "unknown"]


RATES = 20
"""Looks whose rates a NodeRow tells: as many as its sparkline draws."""


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
    """Entries that its log grew by, a second, over the last RATES looks; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class NodesSeen(Event):
    """All nodes of a watched cluster, at one look."""

    type: ClassVar[str] = "progress"
    cluster: str
    state: str
    nodes: tuple[NodeRow, ...]
    incidents: tuple[str, ...] = ()
    """Those that are open."""


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
