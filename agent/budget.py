"""The budgets of a session: calls, repetition, tokens and money.

A spent budget never ends a turn in silence: the model gets one last reply to say what is known, and
if it can't have even that, `host_summary` says it from the outcomes.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agent.models.base import ToolCall, Usage
from agent.models.catalog import ModelFacts
from prompts import remark
from tools.tool import Effect, Outcome

_EVIDENCE_ID = re.compile(r"^\[[A-Z]+\d+\] ")
_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a session may use. None is no limit."""

    calls_per_request: int = 40
    same_result: int = 3
    """How often one call may return the very same result before it is taken for a loop."""
    same_but_figures: int = 6
    """The same for results that differ in figures only: watching something settle is no loop."""
    tokens: int | None = None
    cost_usd: float | None = None


@dataclass(slots=True)
class Seen:
    """What one call with the same arguments brought so far, and how often in a row."""

    exact: str = ""
    like: str = ""
    times: int = 0
    times_like: int = 0

    def add(self, text: str) -> None:
        """Count one more result."""
        exact = _EVIDENCE_ID.sub("", text)
        like = _NUMBER.sub("#", exact)
        self.times = self.times + 1 if exact == self.exact else 1
        self.times_like = self.times_like + 1 if like == self.like else 1
        self.exact, self.like = exact, like


@dataclass(slots=True)
class Budget:
    """What was used, and what may still be. Calls count per request, the rest per session."""

    facts: ModelFacts
    limits: Limits = field(default_factory=Limits)
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    """None until something was billed at known prices."""
    context_tokens: int = 0
    """What fills the context window now."""
    calls: int = 0
    _last_cost: float = 0.0
    _last_tokens: int = 0
    _seen: dict[str, Seen] = field(default_factory=dict)
    _loop: str = ""

    def begin(self) -> None:
        """Begin a request: calls and repetitions are counted from zero."""
        self.calls = 0
        self._seen.clear()
        self._loop = ""

    def spend(self, usage: Usage) -> None:
        """Count a reply."""
        cost = self.facts.cost(usage)
        self.charge(usage, cost)
        self.context_tokens = usage.prompt_tokens + usage.output_tokens
        self._last_tokens = self.context_tokens
        if cost is not None:
            self._last_cost = cost

    def charge(self, usage: Usage, cost_usd: float | None) -> None:
        """Count what was used beside this conversation, whose context does not grow by it."""
        self.usage += usage
        if cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost_usd

    def left(self) -> Limits:
        """Return limits for a conversation on the side: what this one has still to spend."""
        limits = self.limits
        used = self.usage.prompt_tokens + self.usage.output_tokens
        return replace(
            limits,
            tokens=None if limits.tokens is None else max(0, limits.tokens - used),
            cost_usd=None if limits.cost_usd is None else max(0.0, limits.cost_usd - (self.cost_usd or 0.0)),
        )

    def admit(self, call: ToolCall) -> str:
        """Count a call; return why it may not run, or an empty text."""
        if self.calls >= self.limits.calls_per_request:
            return f"the budget of {self.limits.calls_per_request} calls for one request is spent"
        self.calls += 1
        seen = self._seen.get(_key(call))
        if seen is not None and self._stale(seen):
            self._loop = f"{call.name} was called again and again without new information"
            return self._loop
        return ""

    def learn(self, call: ToolCall, effect: Effect, outcome: Outcome) -> str:
        """Learn what a call brought; return a hint for the model if it begins to go in circles."""
        key = _key(call)
        if effect is not Effect.READ and outcome.ok:
            # The world has changed: what was read before may be read again.
            self._seen = {key: self._seen[key]} if key in self._seen else {}
        seen = self._seen.setdefault(key, Seen())
        seen.add(outcome.text)
        if not self._stale(seen):
            return ""
        return remark("circles", tool=call.name, times=max(seen.times, seen.times_like))

    def spent(self) -> str:
        """Return why no further round of calls may begin, or an empty text.

        Money and tokens leave room for one more reply of the size of the last.
        """
        if self._loop:
            return self._loop
        if self.calls >= self.limits.calls_per_request:
            return f"the budget of {self.limits.calls_per_request} calls for one request is spent"
        return self._over(self._last_cost, self._last_tokens)

    def exhausted(self) -> str:
        """Return why not even one more reply may be asked for, or an empty text."""
        return self._over(0.0, 0)

    def _over(self, cost_ahead: float, tokens_ahead: int) -> str:
        limits = self.limits
        if limits.cost_usd is not None and (self.cost_usd or 0.0) + cost_ahead >= limits.cost_usd:
            return f"the session's budget of ${limits.cost_usd:g} is spent"
        used = self.usage.prompt_tokens + self.usage.output_tokens
        if limits.tokens is not None and used + tokens_ahead >= limits.tokens:
            return f"the session's budget of {limits.tokens:,} tokens is spent"
        return ""

    def _stale(self, seen: Seen) -> bool:
        return seen.times >= self.limits.same_result or seen.times_like >= self.limits.same_but_figures


def host_summary(why: str, outcomes: Sequence[Outcome]) -> str:
    """Return the answer that the host gives where the model can give none."""
    lines = [f"Stopped: {why}. This summary is written by operator, not by the model."]
    if not outcomes:
        lines.append("Nothing was run for this request.")
    for outcome in outcomes[-12:]:
        state = "ok" if outcome.ok else "failed"
        lines.append(f"- {outcome.tool} {outcome.evidence or ''} ({state}): {headline(outcome)}")
    return "\n".join(lines)


def headline(outcome: Outcome) -> str:
    """Return one line for a person: the error, or the first plain values of the result."""
    if outcome.summary:
        return outcome.summary
    if not outcome.ok:
        return str(outcome.data.get("error") or outcome.text)[:200]
    plain = [
        f"{name} {value}"
        for name, value in outcome.data.items()
        if name not in {"ok", "next"} and isinstance(value, str | int | float)
    ]
    return ", ".join(plain)[:120] or "done"


def _key(call: ToolCall) -> str:
    return f"{call.name} {json.dumps(dict(call.arguments), sort_keys=True, default=str)}"
