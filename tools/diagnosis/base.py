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


def case_of(detections: Sequence[Detection], beside: Sequence[Detection] = ()) -> Case:
    """Return the case of one incident's detections: it begins with the first signal of the first of them.

    Without any, it is a check of the last minute. `beside` are the detections of other incidents under way:
    what concerns the whole cluster may have its cause in them, so that they are evidence of it, too.
    """
    if not detections:
        return Case(None, None, clock.wall() - LOOKBACK_S)
    latest = detections[-1]
    causes = [*detections[:1], *(() if all(each.nodes for each in detections) else beside)]
    began = (min((signal.wall for signal in each.signals), default=each.wall) for each in causes)
    return Case(latest.incident, latest, min(*began, detections[0].wall))


def beside(
    detections: Sequence[Detection], incident: str | None, under_way: Sequence[str]
) -> list[Detection]:
    """Return, of all detections, those of the incidents `under_way` but for `incident`."""
    return [each for each in detections if each.incident in under_way and each.incident != incident]
