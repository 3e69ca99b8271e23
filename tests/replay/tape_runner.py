"""The recorded side of the tools: outcomes for calls that are the recorded ones, and the old refusals."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from agent.models.base import ToolCall
from agent.permissions import ALLOWED, Verdict
from agent.transcript.reading import read
from prompts import remark
from tests.replay.tape import Tape, TapedCall
from tools.tool import Effect, Outcome, Tool

_BEFORE, _AFTER = remark("refused", reason="\0").split("\0")
"""What stands around the reason in the outcome of a call that the gate refused."""


class TapeRunner:
    """Answers calls with the recorded outcomes, if they are the recorded calls and valid today."""

    def __init__(self, tape: Tape, tools: Mapping[str, Tool]) -> None:
        self._tape = tape
        self._tools = tools

    def effect(self, name: str) -> Effect:
        """Return what the tool does to the world today."""
        known = self._tools.get(name)
        return known.effect if known else Effect.READ

    async def run(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> Outcome:
        """Return the recorded outcome; TapeMismatch if the call is another one, or no longer valid."""
        expected = self._tape.next_calls()
        if not expected:
            raise self._tape.mismatch(
                self._tape.last_line,
                f"no more calls were recorded, the run calls {name} {_shown(arguments)}",
            )
        wanted = self._canonical(name, arguments)
        for call in expected:
            if call.name == name and self._canonical(call.name, call.arguments) == wanted:
                return self._play(call, call_id)
        first = expected[0]
        raise self._tape.mismatch(
            first.line,
            f"recorded is {first.name} {_shown(first.arguments)}, the run calls {name} {_shown(arguments)}",
        )

    def _play(self, call: TapedCall, call_id: str) -> Outcome:
        call.played = True
        if call.ok:
            self._validate(call)
        outcome = call.outcome
        return Outcome(
            call_id,
            call.name,
            call.ok,
            outcome["text"],
            outcome.get("data", {}),
            outcome.get("evidence"),
            float(outcome.get("seconds", 0.0)),
        )

    def _validate(self, call: TapedCall) -> None:
        known = self._tools.get(call.name)
        if known is None:
            raise self._tape.mismatch(call.line, f"there is no tool {call.name} any more")
        try:
            known.params.model_validate(dict(call.arguments))
        except ValidationError as error:
            why = f"the input of {call.name} no longer fits its schema: {error}"
            raise self._tape.mismatch(call.line, why) from error

    def _canonical(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Return the input in one form: 30 and 30.0 are the same timeout, whatever the order of names."""
        known = self._tools.get(name)
        try:
            given: Any = dict(arguments)
            if known is not None:
                given = known.params.model_validate(given).model_dump(mode="json", exclude_unset=True)
        except ValidationError:
            given = dict(arguments)
        return json.dumps(given, sort_keys=True, default=str)


class TapeGate:
    """Refuses the calls that were refused when it was recorded, and lets all others pass."""

    def __init__(self, tape: Tape) -> None:
        self._refused = {
            entry.data["id"]: text.removeprefix(_BEFORE).removesuffix(_AFTER)
            for entry in read(tape.path)
            if entry.type == "outcome" and (text := str(entry.data["text"])).startswith(_BEFORE)
        }

    async def before(self, call: ToolCall, effect: Effect) -> Verdict:
        """Decide as it was decided."""
        reason = self._refused.get(call.id)
        return ALLOWED if reason is None else Verdict(allowed=False, reason=reason)

    async def after(self, call: ToolCall, outcome: Outcome) -> None:
        """Nothing is learned."""


def _shown(arguments: Mapping[str, Any]) -> str:
    return json.dumps(dict(arguments), sort_keys=True, default=str)[:200]
