"""The dispatcher: finds the tools and runs one.

The modules named `tools/<capability>/tools.py` declare tools with `@tool` (`tools.tool`); `load_tools` finds
them there.
"""

import importlib
import json
import pkgutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from subjects.errors import SubjectError
from subjects.scrub import scrub
from subjects.untrusted import clean
from tools.errors import ToolError
from tools.observe.observed import Observed
from tools.tool import Effect, Outcome, Params, Result, Tool, failure

MAX_RESULT_CHARS = 12_000
"""The most of one result that is sent to the model; tools cut sensibly long before."""


def load_tools(given: type | None = None) -> dict[str, Tool]:
    """Import every `tools/<capability>/tools.py` and return what they declare, by name.

    With `given`, only those that run on what is `given`: `Workbench` for a session, `Examination` for a
    diagnosis.
    """
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
            if isinstance(declared, Tool) and (given is None or issubclass(given, declared.needs)):
                found[declared.name] = declared
    return dict(sorted(found.items()))


@dataclass(slots=True)
class Dispatcher:
    """Validates, runs, times, bounds and files every call. The one broad `except` of the tools is here."""

    workbench: Observed
    tools: Mapping[str, Tool] = field(default_factory=load_tools)
    find_cluster: Callable[[], Awaitable[object]] | None = None
    """Looks for a cluster that somebody started meanwhile, where the workbench has none yet."""

    def effect(self, name: str) -> Effect:
        """Return what the tool does to the world; an unknown tool does nothing."""
        known = self.tools.get(name)
        return known.effect if known else Effect.READ

    async def preview(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Say what a call would do; empty where its tool can't. Raises ToolError or SubjectError."""
        known = self.tools.get(name)
        if known is None or known.preview is None:
            return ""
        params = _validated(known, arguments)
        await self._find_cluster()
        return await known.preview(params, self.workbench)

    async def run(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> Outcome:
        """Run one call to its end. Cancellation passes through; every other failure becomes an outcome."""
        began = time.monotonic()
        result = await self._result(name, arguments)
        return self._file(call_id, name, result, time.monotonic() - began)

    async def _result(self, name: str, arguments: Mapping[str, Any]) -> Result:
        known = self.tools.get(name)
        if known is None:
            return failure(f"There is no tool {name!r}.", f"The tools are: {', '.join(self.tools)}.")
        if not isinstance(self.workbench, known.needs):
            return failure(f"{name} needs more than there is here.")
        try:
            params = _validated(known, arguments)
            await self._find_cluster()
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

    async def _find_cluster(self) -> None:
        if self.find_cluster is not None and self.workbench.cluster is None:
            await self.find_cluster()

    def _file(self, call_id: str, name: str, result: Result, seconds: float) -> Outcome:
        body: dict[str, Any] = {"ok": result.ok, **result.data}
        if result.next:
            body["next"] = result.next
        body = scrub(body, clean)
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


def _validated(tool: Tool, arguments: Mapping[str, Any]) -> Params:
    """Return the arguments as the tool's parameters; ToolError, naming each that is wrong."""
    try:
        return tool.params.model_validate(dict(arguments))
    except ValidationError as error:
        parts = []
        for item in error.errors(include_url=False, include_context=False):
            where = ".".join(str(part) for part in item["loc"]) or "arguments"
            parts.append(f"{where}: {item['msg']} (given: {str(item['input'])[:80]!r})")
        raise ToolError("; ".join(parts), f"Call {tool.name} again with valid arguments.") from error
