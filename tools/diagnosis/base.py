"""The case that a diagnosis is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from subjects import clock
from tools.observe.signal import Detection

LOOKBACK_S = 60.0
"""With no detection, how far back evidence may lie: as long as a returning incident counts as the same."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a diagnostician is given: what the monitor saw, never what was injected."""

    incident: str | None
    detection: Detection | None
    """The latest of the incident."""
    opened_wall: float
    """Evidence older than this is not about the incident."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that the detection names."""
        return self.detection.nodes if self.detection else ()


def case_of(detections: Sequence[Detection]) -> Case:
    """Return the case of one incident's detections: it begins with the first signal of the first of them.

    Without any, it is a check of the last minute.
    """
    if not detections:
        return Case(None, None, clock.wall() - LOOKBACK_S)
    first, latest = detections[0], detections[-1]
    began = min((signal.wall for signal in first.signals), default=first.wall)
    return Case(latest.incident, latest, min(began, first.wall))
