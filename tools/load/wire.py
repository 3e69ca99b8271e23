"""The lines that the generator and its owner say to each other, one JSON object each.

To the generator: `begin` (first), `verify`, `stop`. From it: `loading`, `running`, `window`, `verified`,
`stopped`, `failed`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from subjects import clock
from subjects.untrusted import read_object
from tools.observe.figures import LoadTotals, OperationFigures, Window


def line(kind: str, body: Mapping[str, Any] | None = None) -> bytes:
    """Return one line."""
    return json.dumps({"type": kind, **(body or {})}, separators=(",", ":")).encode() + b"\n"


def parse(raw: bytes) -> dict[str, Any]:
    """Return the object of one line; ValueError for anything else."""
    said = read_object(raw)
    if isinstance(said.get("type"), str):
        return said
    raise ValueError(f"not one of the generator's lines: {raw[:80]!r}")


def window_line(window: Window) -> bytes:
    """Return the line of one window."""
    return line("window", asdict(window))


def read_window(said: Mapping[str, Any]) -> Window:
    """Return the window that a `window` line holds, dated by this process's clock."""
    fields = {key: value for key, value in said.items() if key != "type"}
    return Window(**{**fields, "wall": clock.wall(said["at"]), "by_kind": _by_kind(fields["by_kind"])})


def read_totals(said: Mapping[str, Any]) -> LoadTotals:
    """Return the totals that a `stopped` line holds."""
    fields = said["totals"]
    return LoadTotals(**{**fields, "by_kind": _by_kind(fields["by_kind"])})


def _by_kind(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, OperationFigures]:
    return {kind: OperationFigures(**values) for kind, values in figures.items()}
