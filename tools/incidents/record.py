"""What is known of one incident, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tools.observe.incident import SeenIncident


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(SeenIncident):
    """One incident, with what was done about it, concluded and measured around it.

    Its timeline has these, too.
    """

    healed: float | None = None
    heal_text: str = ""
    diagnosis: Mapping[str, Any] | None = None
    """As a `result` tells it."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What reports draw: load before, during and after, prediction and outcome, per-second windows."""


def utc(wall: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
