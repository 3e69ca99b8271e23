"""What the REPL and the slash commands need of a session: `agent.sessions.session.Session` is one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from agent.ending import TurnEnd
    from agent.mode import Mode
    from agent.models.base import Message
    from agent.permissions import Ask
    from tools.observe.ledger import Ledger
    from tools.tool import Outcome, Tool


@dataclass(frozen=True, slots=True)
class Status:
    """What the status line and /cost show. None is `not known`."""

    driver: str
    model: str | None
    mode: "Mode"
    context_tokens: int = 0
    context_limit: int | None = None
    tokens: int = 0
    """Of the whole session, in and out."""
    cost_usd: float | None = None
    cluster: str | None = None
    """Its label, `etcd × process`; None where there is none."""
    open_faults: int = 0
    """Faults that are in force."""


class Talk(Protocol):
    """One session, as the person at the terminal has it."""

    @property
    def id(self) -> str:
        """The session's id."""
        ...

    @property
    def mode(self) -> "Mode":
        """What may run without asking."""
        ...

    @property
    def tools(self) -> "Mapping[str, Tool]":
        """The tools that the model has."""
        ...

    @property
    def ledger(self) -> "Ledger":
        """The evidence."""
        ...

    @property
    def messages(self) -> "Sequence[Message]":
        """What was said so far."""
        ...

    @property
    def nodes(self) -> Sequence[str]:
        """The names of the cluster's nodes, to be completed; empty without one."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """Names that `use_model` takes."""
        ...

    async def ask(self, text: str) -> "TurnEnd":
        """Answer the person; what happens is told as events. Raises AgentError if that can't be done."""
        ...

    def interrupt(self) -> None:
        """Stop at the next safe point; called again: at once."""
        ...

    def interject(self, text: str) -> None:
        """Let the model read `text` at the next safe point of the turn."""
        ...

    def unread(self) -> Sequence[str]:
        """Take back what was interjected but came too late for the turn."""
        ...

    def status(self) -> Status:
        """Return what the status line shows; costs next to nothing."""
        ...

    def set_mode(self, mode: "Mode") -> None:
        """Change what may run without asking, and let the model know."""
        ...

    async def run_tool(self, name: str, arguments: "Mapping[str, Any]") -> "Outcome":
        """Run a reading tool for the person; the model does not see it. Never raises for a failure."""
        ...

    async def use_model(self, name: str) -> str:
        """Let another model answer from now on; return what to tell. Raises AgentError."""
        ...

    async def compact(self) -> bool:
        """Replace what was said by a summary; False if there was nothing to gain."""
        ...

    async def resume(self, session: str) -> str:
        """Go on with an earlier session (empty: the last one); return what to tell. Raises AgentError."""
        ...

    async def clear(self) -> None:
        """Begin a new conversation on the same cluster."""
        ...

    async def restore(self) -> str:
        """Heal every open fault; return what was done. Raises ToolError or SubjectError."""
        ...


Opening = Callable[["Ask"], Awaitable[Talk]]
"""Opens the session, given how to ask the person; may take a second, since heavy modules are loaded."""
