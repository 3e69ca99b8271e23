"""The case that a diagnosis is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from subjects import clock
from tools.observe.signal import Detection

LOOKBACK_S = 60.0
"""How far back evidence may lie without a detection, and a cause in another incident: as long as trouble that
comes back counts as the same incident."""


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


def case_of(detections: Sequence[Detection], beside: Sequence[Detection] = ()) -> Case:
    """Return the case of one incident's detections: it begins with the first signal of the first of them.

    Without any, it is a check of the last minute. `beside` are the detections of other incidents under way:
    what concerns the whole cluster may have its cause in those of the minute before, so that they are
    evidence of it, too. An older cause still shows when the diagnosis looks for itself, and whatever else
    happened since then would be blamed by mistake.
    """
    if not detections:
        return Case(None, None, clock.wall() - LOOKBACK_S)
    first, latest = detections[0], detections[-1]
    walls = _walls(first)
    if any(not each.nodes for each in detections):
        walls += [wall for each in beside for wall in _walls(each) if wall >= first.wall - LOOKBACK_S]
    return Case(latest.incident, latest, min(walls))


def _walls(detection: Detection) -> list[float]:
    return [detection.wall, *(signal.wall for signal in detection.signals)]


def beside(
    detections: Sequence[Detection], incident: str | None, under_way: Sequence[str]
) -> list[Detection]:
    """Return, of all detections, those of the incidents `under_way` but for `incident`."""
    return [each for each in detections if each.incident in under_way and each.incident != incident]
