"""What the playbook does next: says something, and calls one tool or ends its turn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One reply."""

    say: str
    tool: str | None = None
    """The tool that is called; None ends the turn."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
