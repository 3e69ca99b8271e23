"""Who can talk: the protocol that Claude, offline mode and the tape of the tests have in common.

The loop in `agent.turn` cannot tell them apart.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from agent.demo.request import DemoRequest

Block = dict[str, Any]
"""One content block, byte for byte as the API sent or takes it. Never edited once it is in the history."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model asks for."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    broken: str = ""
    """Why its arguments cannot be read, where they can't: then it is answered with that and not run."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model is told of it."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the history."""

    role: Literal["user", "assistant", "system"]
    content: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply, as billed."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """Those of `cache_write_tokens` that were written for an hour, which costs more."""

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt, cached or not: what fills the context window."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Request:
    """What a driver is asked: the same `system` and `tools` all session long, messages only appended."""

    system: str
    tools: tuple[ToolSpec, ...]
    messages: Sequence[Message]
    max_tokens: int | None = None
    """The most that the reply may hold; None is the driver's own choice."""
    compact: str | None = None
    """Instructions for a summary: then the reply is one `compaction` block instead of an answer.
    Only for a driver whose `compaction` is "server"."""
    demo: "DemoRequest | None" = None
    """The demo that is asked for, as data: offline mode plays it; a model reads the words."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer. `done` ends a block of it, whole as the model meant it."""

    text: str
    done: bool = False


@dataclass(frozen=True, slots=True)
class NoteDelta:
    """A piece of the narration between tool calls (on current models: thinking, displayed as updates)."""

    text: str
    done: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """The service is overloaded or silent; the driver tries again by itself."""

    reason: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class Restarted:
    """What was drawn of this reply is void: the reply is asked for again."""

    reason: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The model declined, and the service let another one answer instead: from here on it speaks."""

    declined: str
    answers: str
    category: str = ""
    """What it was declined for, as the service names it."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """The service refused a parameter; from here on requests go without it."""

    parameter: str
    loss: str
    """What that costs the person, a clause."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; always the last thing that a driver yields."""

    content: tuple[Block, ...]
    stop_reason: str
    """tool_use, end_turn, max_tokens, refusal, pause_turn, compaction, …: as the API names it."""
    usage: Usage = field(default_factory=Usage)
    detail: str = ""
    """For a refusal: its category."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Ids of calls whose arguments are no JSON object, with the reason."""

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in it. To be run only if `stop_reason` is `tool_use`."""
        return tuple(
            ToolCall(block["id"], block["name"], block["input"], self.broken.get(block["id"], ""))
            for block in self.content
            if block.get("type") == "tool_use"
        )

    @property
    def text(self) -> str:
        """The text in it."""
        return "".join(block["text"] for block in self.content if block.get("type") == "text")


ModelEvent = TextDelta | NoteDelta | Waiting | Restarted | HandedOver | Reduced | Reply


class Model(Protocol):
    """One who answers."""

    @property
    def driver(self) -> Literal["claude", "playbook", "tape"]:
        """Which of the three it is."""
        ...

    @property
    def name(self) -> str | None:
        """The model's id; None where there is no model."""
        ...

    @property
    def compaction(self) -> Literal["server", "model"] | None:
        """Who can sum a conversation up: its service, or it in an answer; None if nobody can."""
        ...

    def respond(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Answer once. Ends with exactly one Reply, or raises a ModelError (agent.errors)."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
