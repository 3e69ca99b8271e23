"""The rules in force (`network.json`) and the worker's confirmation that they are (`network.applied`).

The file is the truth: a worker that is replaced reads it again, so a fault neither ends nor begins because
a process died, and healing is possible while no worker runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from subjects.base import Direction, LinkRule, Scope
from subjects.runtimes.json_file import read_file, write_json


def read_rules(folder: Path) -> tuple[int, tuple[LinkRule, ...]]:
    """Return the rules and their generation; no rules when the file was never written."""
    raw = read_file(folder / "network.json")
    if raw is None:
        return 0, ()
    return raw["generation"], tuple(rule_from_json(rule) for rule in raw["rules"])


def write_rules(folder: Path, rules: Sequence[LinkRule]) -> int:
    """Replace the rules; returns their generation."""
    generation = read_rules(folder)[0] + 1
    write_json(folder / "network.json", {"generation": generation, "rules": [asdict(rule) for rule in rules]})
    return generation


def rule_from_json(raw: Mapping[str, Any]) -> LinkRule:
    """Return the rule that `dataclasses.asdict` made `raw` of."""
    return LinkRule(
        node=str(raw["node"]),
        effect=raw["effect"],
        value=float(raw["value"]),
        scope=Scope(raw["scope"]),
        direction=Direction(raw["direction"]),
    )


def read_applied(folder: Path) -> int:
    """Return the generation that the worker has in force; -1 when it has said nothing yet."""
    try:
        return int((folder / "network.applied").read_text())
    except (FileNotFoundError, ValueError):
        return -1


def write_applied(folder: Path, generation: int) -> None:
    """Say that this generation is in force."""
    temporary = folder / ".network.applied"
    temporary.write_text(str(generation))
    temporary.replace(folder / "network.applied")
