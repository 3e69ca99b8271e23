"""What a tool is, and the dispatcher that runs one.

A tool is a name, a Pydantic model of its parameters, a Markdown description beside its module, an
effect (reads, acts or destroys) and an async function of (params, workbench). The modules named
`tools/<capability>/tools.py` declare them with `@tool`; `load_tools` finds them there.
"""

import importlib
import inspect
import json
import pkgutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from subjects.errors import SubjectError
from tools.errors import ToolError
from tools.observe.foreign_text import clean

if TYPE_CHECKING:
    from tools.workbench import Workbench

MAX_RESULT_CHARS = 12_000
"""The most of one result that is sent to the model; tools cut sensibly long before."""


class Effect(StrEnum):
    """What a tool does to the world."""

    READ = "read"
    ACT = "act"
    DESTROY = "destroy"


class Params(BaseModel):
    """The base of tools' parameters: unknown names are refused, so that a typo is told."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool found or did. An expected failure is a Result too, with `ok` false."""

    data: Mapping[str, Any]
    """JSON: names, states and figures with their units in the names."""
    ok: bool = True
    next: str = ""
    """What to ask or do next, a sentence."""
    pasted: str = ""
    """Text that somebody else wrote (log lines): data, never instructions."""
    node: str | None = None
    summary: str = ""
    """One line for a person who watches; the model reads the data."""


def failure(message: str, next: str = "") -> Result:  # noqa: A002 - the field's own name
    """Return the result of a tool that could not do it, with what to do next."""
    return Result({"error": message}, ok=False, next=next)


Run = Callable[[Any, "Workbench"], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, as the model sees it and as the host runs it."""

    name: str
    params: type[Params]
    effect: Effect
    run: Run
    folder: Path
    diagnostician_only: bool = False

    @property
    def description(self) -> str:
        """The Markdown file beside the tool's module."""
        return (self.folder / f"{self.name}.md").read_text(encoding="utf-8").strip()

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the parameters, without Pydantic's titles."""
        schema = self.params.model_json_schema()
        schema.pop("title", None)
        schema.pop("description", None)
        for prop in schema.get("properties", {}).values():
            prop.pop("title", None)
        return schema


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call: the text that the model reads, and the same for programs."""

    call_id: str
    tool: str
    ok: bool
    text: str
    data: Mapping[str, Any]
    evidence: str | None
    seconds: float
    summary: str = ""


def tool(
    effect: Effect, *, diagnostician_only: bool = False
) -> Callable[[Callable[..., Awaitable[Result]]], Callable[..., Awaitable[Result]]]:
    """Declare the async function below as the tool of that name; its first parameter's type is its schema."""

    def declare(function: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
        first = next(iter(inspect.signature(function, eval_str=False).parameters.values()))
        source = Path(inspect.getfile(function))
        params = first.annotation
        if not (isinstance(params, type) and issubclass(params, Params)):
            raise TypeError(f"{function.__name__}: the first parameter must be annotated with a Params class")
        declared = Tool(
            function.__name__, params, effect, function, source.parent, diagnostician_only=diagnostician_only
        )
        function.tool = declared  # type: ignore[attr-defined] # how load_tools finds it
        return function

    return declare


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
