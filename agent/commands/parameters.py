"""Kinds of arguments: durations with units, and names that a shell can complete.

Completion reads the state folder's files only: no cluster is asked, nothing is made, what can't be read
completes nothing.
"""

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from click.types import OptionHelpExtra

from subjects import RUNTIMES, databases

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_S = 366 * 86_400.0
"""Far beyond any wait that is meant, and within what every clock and timer holds."""
MAX_COMPLETED = 50
"""Names offered at most: the latest incidents and sessions."""


class WordedOption(click.Option):
    """An option whose default is told in words, `show_default`: it turns out when the command runs."""

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return what stands behind its help, the words without click's parentheses."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra


class TargetOption(WordedOption):
    """`--target`: the databases' roles are looked up when help is shown, not whenever a command starts."""

    def _help(self) -> str:
        from subjects.target_roles import roles_help

        return f"{roles_help()} or a node."

    def _default(self) -> str:
        from subjects.target_roles import default_help

        return default_help()

    def _keep(self, _: object) -> None:
        """Take what click sets when it makes the option: nothing is known by then."""

    help = property(_help, _keep)
    show_default = property(_default, _keep)


class Number(click.FloatRange):
    """A number within bounds; what is none, as `nan`, or has no end, as `inf`, is wrong usage."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Duration(click.ParamType[float]):
    """A span above 0: `30` (seconds), `30s`, `2m`, `1h30m`, `500ms`; converted to seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, int | float):
            return float(value)
        seconds = _seconds(str(value).strip())
        if seconds is None:
            self.fail(
                f"{value!r} is not a duration. Give seconds (30) or units: 30s, 2m, 1h30m, 500ms.", param, ctx
            )
        if not 0 < seconds <= LONGEST_S:
            self.fail(f"{value!r} must be longer than 0, and no longer than a year.", param, ctx)
        return seconds


def _seconds(text: str) -> float | None:
    if re.fullmatch(r"\d+(\.\d+)?|\.\d+", text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


class Completed(click.ParamType[str]):
    """A name that a shell completes from what `names` finds; it is checked by whoever uses it."""

    def __init__(self, name: str, names: Callable[[Path], Iterable[tuple[str, str]]]) -> None:
        self.name = name
        self._names = names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin so, each with what it is."""
        from sqlite3 import Error

        try:
            found = list(self._names(_state_folder(ctx)))
        except (OSError, ValueError, KeyError, TypeError, Error):
            return []
        fitting = [
            CompletionItem(name, help=text) for name, text in found if str(name).startswith(incomplete)
        ]
        return fitting[:MAX_COMPLETED]


class FaultName(Completed):
    """A fault of the catalogue."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the fault's name; wrong usage, with those there are, for another one."""
        from tools.faults.catalogue import CATALOGUE

        if value not in CATALOGUE:
            self.fail(f"there is no fault {value!r}. The faults are: {', '.join(CATALOGUE)}.", param, ctx)
        return str(value)


def _state_folder(ctx: click.Context) -> Path:
    at: click.Context | None = ctx
    while at is not None:
        if given := at.params.get("state_dir"):
            return Path(given)
        at = at.parent
    from subjects.state import state_root

    return state_root()


def _faults(_root: Path) -> Iterable[tuple[str, str]]:
    from tools.faults.catalogue import CATALOGUE

    return [(kind, fault.meaning) for kind, fault in CATALOGUE.items()]


def _nodes(root: Path) -> Iterable[tuple[str, str]]:
    from subjects.runtimes.json_file import read_file

    for path in sorted((root / "clusters").glob("*/*.json")):
        if path.name in RUNTIMES.values():
            layout = read_file(path) or {}
            for node in layout.get("nodes") or layout.get("services") or ():
                yield node["name"], path.parent.name


def _targets(root: Path) -> Iterable[tuple[str, str]]:
    from subjects.target_roles import target_roles

    here = {path.parent.name.partition("-")[0] for path in (root / "clusters").glob("*/*.json")}
    for role, words in target_roles(*sorted(here & {*databases()})).items():
        yield role, f"{words}, chosen when the fault is injected"
    yield from _nodes(root)


def _rows(root: Path, query: str) -> list[tuple[str, str]]:
    import sqlite3
    from contextlib import closing

    path = root / "operator.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=1.0)) as database:
        return [(str(name), str(text)) for name, text in database.execute(query)]


def _incidents(root: Path) -> Iterable[tuple[str, str]]:
    return _rows(root, "SELECT id, text FROM incidents ORDER BY opened DESC LIMIT 50")


def _open_faults(root: Path) -> Iterable[tuple[str, str]]:
    open_states = "('planned', 'injected', 'healing', 'failed')"
    return _rows(root, f"SELECT id, kind FROM faults WHERE state IN {open_states}")  # noqa: S608 - our own words


def _sessions(root: Path) -> Iterable[tuple[str, str]]:
    paths = sorted((root / "sessions").glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [(path.stem, "") for path in paths]


DURATION = Duration()
FAULT = FaultName("fault", _faults)
NODE = Completed("node", _nodes)
TARGET = Completed("target", _targets)
INCIDENT = Completed("incident", _incidents)
OPEN_FAULT = Completed("id", _open_faults)
SESSION = Completed("session", _sessions)
