"""The dispatcher: finds the tools and runs one.

The modules named `tools/<capability>/tools.py` declare tools with `@tool` (`tools.tool`); `load_tools` finds
them there.
"""

import importlib
import json
import pkgutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from subjects.errors import SubjectError
from tools.errors import ToolError
from tools.observe.foreign_text import clean
from tools.tool import Effect, Outcome, Result, Tool, failure

if TYPE_CHECKING:
    from tools.workbench import Workbench

MAX_RESULT_CHARS = 12_000
"""The most of one result that is sent to the model; tools cut sensibly long before."""


def load_tools() -> dict[str, Tool]:
    """Import every `tools/<capability>/tools.py` and return what they declare, by name."""
    import tools

    found: dict[str, Tool] = {}
    for package in pkgutil.iter_modules(tools.__path__):
        if not package.ispkg:
            continue
        try:
            module = importlib.import_module(f"tools.{package.name}.tools")
        except ModuleNotFoundError as error:
            if error.name != f"tools.{package.name}.tools":
                raise
            continue
        for value in vars(module).values():
            declared = getattr(value, "tool", None)
            if isinstance(declared, Tool):
                found[declared.name] = declared
    return dict(sorted(found.items()))


@dataclass(slots=True)
class Dispatcher:
    """Validates, runs, times, bounds and files every call. The one broad `except` of the tools is here."""

    workbench: "Workbench"
    tools: Mapping[str, Tool] = field(default_factory=load_tools)

    def effect(self, name: str) -> Effect:
        """Return what the tool does to the world; an unknown tool does nothing."""
        known = self.tools.get(name)
        return known.effect if known else Effect.READ

    async def run(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> Outcome:
        """Run one call to its end. Cancellation passes through; every other failure becomes an outcome."""
        began = time.monotonic()
        result = await self._result(name, arguments)
        return self._file(call_id, name, result, time.monotonic() - began)

    async def _result(self, name: str, arguments: Mapping[str, Any]) -> Result:
        known = self.tools.get(name)
        if known is None:
            return failure(f"There is no tool {name!r}.", f"The tools are: {', '.join(self.tools)}.")
        try:
            params = known.params.model_validate(dict(arguments))
        except ValidationError as error:
            return failure(_explain(error), f"Call {name} again with valid arguments.")
        try:
            return await known.run(params, self.workbench)
        except ToolError as error:
            return failure(str(error), error.next)
        except SubjectError as error:
            return failure(str(error))
        except Exception as error:  # noqa: BLE001 - the edge: a bug in one tool must not end the session
            return failure(
                f"{name} failed in a way it should not: {type(error).__name__}: {error}",
                "Check the state with cluster_status before acting; this is a bug in operator.",
            )

    def _file(self, call_id: str, name: str, result: Result, seconds: float) -> Outcome:
        data = _cleaned(result.data)
        body: dict[str, Any] = {"ok": result.ok, **data}
        if result.next:
            body["next"] = result.next
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str)
        if result.pasted:
            pasted = clean(result.pasted).replace("</pasted_content", "<\\/pasted_content")
            text += f"\n<pasted_content>\n{pasted}\n</pasted_content>"
        evidence = self.workbench.ledger.add(name, text, node=result.node, ok=result.ok)
        return Outcome(
            call_id,
            name,
            result.ok,
            f"[{evidence.id}] {_bounded(text)}",
            body,
            evidence.id,
            seconds,
            clean(result.summary),
        )


def _bounded(text: str) -> str:
    if len(text) <= MAX_RESULT_CHARS:
        return text
    return f"{text[:MAX_RESULT_CHARS]}… [cut: {len(text)} characters in all; narrow the call to see the rest]"


def _cleaned(value: Any) -> Any:
    """Return JSON with every string in it cleaned of control sequences."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value


def _explain(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in item["loc"]) or "arguments"
        parts.append(f"{where}: {item['msg']} (given: {str(item['input'])[:80]!r})")
    return "; ".join(parts)
