"""Who can diagnose: the rules, or a model in a conversation that has not seen the injection."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from tools.detection.signals import Detection

if TYPE_CHECKING:
    from tools.diagnosis.schema import Diagnosis
    from tools.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Case:
    """What a diagnostician is given: what the monitor saw, never what was injected."""

    incident: str | None
    detection: Detection | None
    opened_wall: float
    """Evidence older than this is not about the incident."""


class Diagnostician(Protocol):
    """One who says what happened."""

    @property
    def by(self) -> Literal["claude", "rules"]:
        """Who it is, as the result says it."""
        ...

    async def diagnose(self, case: Case, workbench: "Workbench") -> "Diagnosis":
        """Return a diagnosis that the check has passed or lowered; never raises for weak evidence."""
        ...
