"""What a request asks for in particular: which fault, on whom, for how long."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FAULTS = (
    (r"partition|isolate", "partition"),
    (r"pause|freeze", "pause"),
    (r"disk[ _-]?full|full disk|fill", "disk_full"),
    (r"delay|latency", "network_delay"),
    (r"cpu|starve|overload", "cpu_starvation"),
    (r"quorum", "quorum_loss"),
    (r"kill|crash", "kill"),
)
"""Words for faults, where the catalogue's own name isn't given with `fault NAME`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The particulars; None is what was not said."""

    fault: str = "kill"
    target: str | None = None
    """`random`, `leader`, `follower` or a node's name."""
    timeout_s: float | None = None
    workload: str | None = None
    rate: float | None = None

    @property
    def kills(self) -> bool:
        """Whether the fault is a kill, which has a tool of its own."""
        return self.fault in {"kill", "crash"}


def settings(request: str) -> Settings:
    """Read the particulars from a request, e.g. `run the chaos demo with fault pause on the leader`."""
    text = request.lower()
    return Settings(
        fault=_fault(text),
        target=_target(text),
        timeout_s=_number(text, r"(?:timeout|wait|within|up to)\D{0,12}(\d+(?:\.\d+)?)"),
        workload=(_word(text, r"workload ([a-f])\b") or "").upper() or None,
        rate=_number(text, r"(\d+(?:\.\d+)?) ?(?:ops|operations)(?:/s| per second| a second)?"),
    )


def given(**arguments: Any) -> Mapping[str, Any]:
    """Return the arguments that were said."""
    return {name: value for name, value in arguments.items() if value is not None}


def _fault(text: str) -> str:
    named = _word(text, r"\bfault[ =:]+([a-z][a-z_]+)")
    if named and named not in {"on", "of", "at", "to", "in", "against"}:
        return named
    return next((name for pattern, name in _FAULTS if re.search(pattern, text)), "kill")


def _target(text: str) -> str | None:
    node = _word(text, r"\b([a-z]+-\d+)\b")
    if node:
        return node
    return _word(text, r"\b(leader|follower|random)\b")


def _word(text: str, pattern: str) -> str | None:
    found = re.search(pattern, text)
    return found.group(1) if found else None


def _number(text: str, pattern: str) -> float | None:
    found = _word(text, pattern)
    return float(found) if found else None
