"""The case that a diagnostician is given: made from what the monitor saw, and from nothing else."""

import time

from tools.detection.signals import Detection
from tools.diagnosis.base import Case
from tools.workbench import Workbench

LOOKBACK_S = 60.0
"""With no detection, how far back evidence may lie: as long as a returning incident counts as the same."""


def open_case(workbench: Workbench, incident: str | None = None) -> Case:
    """Return the case of `incident`, else of the latest detection, else of the last minute.

    Raises UnknownIncident when there is none of that id.
    """
    detection = _detection(workbench, incident)
    if detection is not None:
        return case_of(detection)
    if incident is not None:
        return Case(incident, None, workbench.incidents.get(incident).opened)
    return Case(None, None, time.time() - LOOKBACK_S)


def case_of(detection: Detection) -> Case:
    """Return the case that a detection opens: it begins with the first of its signals."""
    first = min((signal.wall for signal in detection.signals), default=detection.wall)
    return Case(detection.incident, detection, min(first, detection.wall))


def _detection(workbench: Workbench, incident: str | None) -> Detection | None:
    if workbench.monitor is None:
        return None
    made = [d for d in workbench.monitor.detections if incident in {None, d.incident}]
    if not made:
        return None
    latest = made[-1].incident
    return next(d for d in made if d.incident == latest)
