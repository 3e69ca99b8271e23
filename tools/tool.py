"""What a tool is.

A tool is a name, a Pydantic model of its parameters, a Markdown description beside its module, an effect
(reads, acts or disrupts) and an async function of (params, workbench). What it may use follows from the
annotation of its second parameter: `Observed` for one that only reads, `Workbench` for one that acts.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class Effect(StrEnum):
    """What a tool does to the world."""

    READ = "read"
    ACT = "act"
    DESTROY = "destroy"
    """Breaks something for a while, or deletes data; people read `disrupts`."""


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


Run = Callable[[Any, Any], Awaitable[Result]]
Preview = Callable[[Any, Any], Awaitable[str]]
"""Given the parameters and the workbench; changes nothing. Raises ToolError for what would be refused."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, as the model sees it and as the host runs it."""

    name: str
    params: type[Params]
    effect: Effect
    run: Run
    folder: Path
    needs: type = object
    """What its function is given: the annotation of its second parameter."""
    preview: Preview | None = None
    """Says what a call would do, for the person who is asked: node, effect, prediction, undo."""

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
    effect: Effect, *, preview: Preview | None = None
) -> Callable[[Callable[..., Awaitable[Result]]], Callable[..., Awaitable[Result]]]:
    """Declare the async function below as the tool of that name.

    Its first parameter's type is its schema, its second parameter's what it needs.
    """

    def declare(function: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
        first, second = inspect.signature(function).parameters.values()
        source = Path(inspect.getfile(function))
        params = first.annotation
        if not (isinstance(params, type) and issubclass(params, Params)):
            raise TypeError(f"{function.__name__}: the first parameter must be annotated with a Params class")
        if not isinstance(second.annotation, type):
            raise TypeError(f"{function.__name__}: the second parameter must be annotated with what it needs")
        declared = Tool(
            function.__name__, params, effect, function, source.parent, second.annotation, preview
        )
        function.tool = declared  # type: ignore[attr-defined] # how load_tools finds it
        return function

    return declare
