"""Who may act: the gate that every tool call passes before it runs."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent.mode import Mode
from agent.models.base import ToolCall
from subjects.errors import SubjectError
from tools.errors import ToolError
from tools.events import Event
from tools.tool import Effect, Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call may run; a refusal's reason goes to the model."""

    allowed: bool
    reason: str = ""
    final: bool = True
    """Whether nothing like it may be tried; else the reason says which call is right."""


ALLOWED = Verdict(allowed=True)


class Gate(Protocol):
    """Asked before each call and told after it. The demo paces itself here; the chat asks the person."""

    async def before(self, call: ToolCall, effect: Effect) -> Verdict:
        """Decide whether `call` may run; may wait for a person."""
        ...

    async def after(self, call: ToolCall, outcome: Outcome) -> None:
        """Learn what came of it."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answers when asked: `reason` is why not, in their words."""

    choice: Literal["once", "session", "no"]
    reason: str = ""


Ask = Callable[[ToolCall, Effect, str], Awaitable[Answer]]
"""Asks a person whether a call may run; the text says what it would do, empty where that is not known."""
Preview = Callable[[str, Mapping[str, object]], Awaitable[str]]


@dataclass(slots=True)
class PermissionGate:
    """Reads run; what acts runs by the mode, by an earlier `for this session`, or by asking.

    A grant for the session is for one tool with its effect, not for all. Refusals are counted, so that
    a headless run can end with an exit code that tells of them.
    """

    mode: Mode = Mode.ASK
    ask: Ask | None = None
    """How to ask a person; None where there is nobody."""
    preview: Preview | None = None
    """Says what a call would do; raises ToolError or SubjectError for one that would be refused anyway."""
    refusals: int = 0
    _granted: set[str] = field(default_factory=set)

    async def before(self, call: ToolCall, effect: Effect) -> Verdict:
        """Let reads pass and decide on the rest; see the class."""
        if effect is Effect.READ:
            return ALLOWED
        if self.mode is Mode.READ_ONLY:
            return self._refuse(f"the session is read-only, and {call.name} {_verb(effect)}")
        if self.mode is Mode.AUTO or call.name in self._granted:
            return ALLOWED
        if self.ask is None:
            return self._refuse(
                f"{call.name} {_verb(effect)}, and there is nobody here to ask; --yes would have allowed it"
            )
        try:
            about = await self.preview(call.name, call.arguments) if self.preview is not None else ""
        except ToolError as error:
            return Verdict(allowed=False, reason=f"{error} {error.next}".strip())
        except SubjectError as error:
            return Verdict(allowed=False, reason=str(error))
        answer = await self.ask(call, effect, about)
        if answer.choice == "no":
            why = answer.reason.strip()
            return self._refuse(f"the person said no{f': {why}' if why else ''}")
        if answer.choice == "session":
            self._granted.add(call.name)
        return ALLOWED

    async def after(self, call: ToolCall, outcome: Outcome) -> None:
        """Nothing is learned from outcomes."""

    def _refuse(self, reason: str) -> Verdict:
        self.refusals += 1
        return Verdict(allowed=False, reason=reason)


def _verb(effect: Effect) -> str:
    return "disrupts" if effect is Effect.DESTROY else "acts"


@dataclass(slots=True)
class ActiveGate:
    """A conversation's gate: the demo's while one runs, else the permissions."""

    permissions: PermissionGate
    shows: Callable[[Event], bool] | None = None
    """Says of an event whether it is shown now; the demo keeps some for their stage."""
    _over: Gate | None = None

    @property
    def demo_runs(self) -> bool:
        """Whether another gate than the permissions decides."""
        return self._over is not None

    @contextmanager
    def during(self, gate: Gate, shows: Callable[[Event], bool]) -> Iterator[None]:
        """Let `gate` decide, and `shows` say what is shown now."""
        self._over, self.shows = gate, shows
        try:
            yield
        finally:
            self._over = self.shows = None

    async def before(self, call: ToolCall, effect: Effect) -> Verdict:
        """Decide whether the call may run."""
        return await (self._over or self.permissions).before(call, effect)

    async def after(self, call: ToolCall, outcome: Outcome) -> None:
        """Tell whoever decided what came of it."""
        await (self._over or self.permissions).after(call, outcome)
