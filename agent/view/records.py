"""Any tool's result as a notice and tables, for a person who asked without the model."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.view.words import one_line
from subjects.untrusted import read_leading_object
from tools.events import Event, Notice, Table

MAX_COLUMNS = 7
MAX_ROWS = 200
HIDDEN = ("ok", "next", "looked_in_s")
"""Fields that speak to the model."""

_EMPTY: tuple[Any, ...] = (None, "", [], {})
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def tables(data: Mapping[str, Any], exclude: Sequence[str] = ()) -> Iterator[Event]:
    """Yield what is single as one notice, then each list of records, without fields `exclude`, as a table."""
    single = [
        f"{_title(name)} {_cell(value, 1_000)}"
        for name, value in data.items()
        if name not in HIDDEN and not _records(value) and value not in _EMPTY
    ]
    if single:
        yield Notice(" · ".join(single))
    for name, value in data.items():
        if records := _records(value):
            yield _table(
                _title(name), [{k: v for k, v in each.items() if k not in exclude} for each in records]
            )


def in_words(text: str) -> str:
    """Return a result that begins as JSON with its fields in words, also a cut one; other text as it is."""
    found, rest = read_leading_object(text)
    if not found:
        return _in_few_words(text) if text.startswith('{"') else text
    words = [
        f"{_title(name)} {_cell(value)}"
        for name, value in found.items()
        if name not in HIDDEN and value not in _EMPTY
    ]
    return " · ".join(word for word in (*words, rest) if word)


def _in_few_words(json: str) -> str:
    """Return JSON that was cut somewhere without its marks."""
    named = json.replace('"ok":true,', "").replace('":', " ").replace(',"', " · ")
    return re.sub(r'[{}"\[\]]', "", named)


def _records(value: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        return value
    return ()


def _table(title: str, records: Sequence[Mapping[str, Any]]) -> Table:
    """Make a table of the fields that any of the records fills, in the order in which they come."""
    names: dict[str, None] = {}
    for record in records:
        names.update({name: None for name, value in record.items() if value not in _EMPTY})
    columns = list(names)[:MAX_COLUMNS]
    rows = tuple(tuple(_cell(record.get(name)) for name in columns) for record in records[:MAX_ROWS])
    return Table(title, tuple(_title(name) for name in columns), rows)


def _title(name: str) -> str:
    return one_line(name, 40).replace("_", " ")


def _cell(value: Any, room: int = 120) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value + 0.0:.4g}"  # never -0
        case str() if value.startswith("{"):
            return one_line(in_words(value), 120)
        case Mapping() if value and all(isinstance(item, bool) for item in value.values()):
            no = [str(name) for name, item in value.items() if not item]
            return one_line(f"not {', '.join(no)}" if no else "all", 120)
        case Mapping():
            return one_line(", ".join(f"{name} {_cell(item)}" for name, item in value.items()), 120)
        case list() | tuple():
            return one_line(", ".join(_cell(item) for item in value), 120)
        case str() if _UTC.fullmatch(value):
            local = datetime.fromisoformat(value).astimezone()
            return local.strftime(
                "%H:%M:%S" if local.date() == datetime.now().astimezone().date() else "%d %b %H:%M"
            )
        case _:
            return one_line(value, room)
