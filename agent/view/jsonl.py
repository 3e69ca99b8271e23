"""JSON lines for programs: one event a line, the `result` always last."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TextIO

from agent.events import Finished, Focused
from agent.view.outlet import Outlet, PipeView, tolerant
from subjects.scrub import scrub
from subjects.untrusted import clean
from tools.events import Event, Failed, Notice, Table

LINE_BREAKS = {"\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What JSON allows unescaped, but some readers take for the end of a line."""

CLOCKS = frozenset({"at", "as_of"})

NO_RESULT: dict[str, Any] = {"type": "result", "ok": False, "error": "It ended without a result."}
"""What is printed where the program ended before anyone told its result."""


class JsonView(PipeView):
    """`--output stream-json`, and with `only_result` `--output json`.

    With `only_result`, errors and warnings go to `errors` as plain lines, for the person.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        errors: TextIO | None = None,
        *,
        only_result: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream)
        self._errors = Outlet(tolerant(errors or sys.stderr)) if only_result else None
        self._clock = clock
        self._began = clock()
        self._finished = False

    def show(self, event: Event) -> None:
        """Print `event` as one line; what comes after the result is dropped."""
        if self._finished:
            return
        if isinstance(event, Finished):
            self._result(event.result)
        elif isinstance(event, Focused):
            return
        elif self._errors is None:
            self._line({"type": event.type, "t": self._t(), **record(event)})
        elif isinstance(event, Failed | Notice):
            self._errors.write(f"{clean(event.text)}\n")

    async def aclose(self) -> None:
        """Make sure that a result was the last line, and write what is left."""
        if not self._finished:
            self._result(NO_RESULT)
        await self._out.aclose()
        if self._errors is not None:
            await self._errors.aclose()
        self._out.check()

    def _result(self, result: Mapping[str, Any]) -> None:
        self._finished = True
        self._line({"type": "result", "t": self._t(), **result})

    def _line(self, value: Mapping[str, Any]) -> None:
        text = json.dumps(scrub(plain(value), str), ensure_ascii=False, separators=(",", ":"))
        for character, escaped in LINE_BREAKS.items():
            text = text.replace(character, escaped)
        self._out.write(f"{text}\n")

    def _t(self) -> float:
        return round(self._clock() - self._began, 3)


def record(event: Event) -> dict[str, Any]:
    """Return an event's fields; a table's rows as one object each."""
    if isinstance(event, Table):
        return {
            "title": event.title,
            "rows": [dict(zip(event.columns, row, strict=False)) for row in event.rows],
        }
    # Monotonic times mean nothing to other programs: they have `t`, `wall` and `seconds`.
    return {field.name: getattr(event, field.name) for field in fields(event) if field.name not in CLOCKS}


def plain(value: Any) -> Any:
    """Return `value` as JSON has it: strings cleaned, nested events as objects, numbers finite."""
    match value:
        case str():
            return clean(value)
        case None | bool() | int():
            return value
        case float():
            return value if value == value and abs(value) != float("inf") else None
        case Event():
            return {"type": value.type, **plain(record(value))}
        case Mapping():
            return {clean(str(key)): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return plain(asdict(value))
        case _:
            return clean(str(value))
