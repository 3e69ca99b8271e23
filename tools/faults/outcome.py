"""What came of a fault, as data: undone, recovered, measured, and put beside what was predicted."""

from dataclasses import asdict, dataclass
from typing import Any

from tools.faults import comparison
from tools.faults.comparison import Compared, Impact
from tools.faults.healing import HealReport
from tools.faults.recovery import Recovery
from tools.faults.service import Injection
from tools.load import results as load_results
from tools.load.spans import NOT_MEASURED
from tools.observe.figures import LoadFigures, WriteCheck


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """One heal: of a fault, of several, or of a node that was down. Times are monotonic."""

    injection: Injection | None
    """The first of the faults, if this session injected it."""
    reports: tuple[HealReport, ...]
    began: float
    """When the healing was asked for."""
    healed_at: float
    recovery: Recovery
    before: LoadFigures
    """Clients' figures just before the fault."""
    during: LoadFigures
    """From the second of the injection until all was well again."""
    after: LoadFigures
    observed: Impact
    unproven: bool
    """Whether acknowledged writes should have been read back and could not be."""

    @property
    def healed(self) -> bool:
        """Whether all of it was undone and seen to be."""
        return all(report.ok for report in self.reports)

    @property
    def restored(self) -> bool:
        """Whether all is as before: healed, recovered by every check, no acknowledged write lost."""
        check = self.writes
        intact = not (check.lost or check.changed or check.unreadable) if check else not self.unproven
        return self.healed and self.recovery.ok and intact

    @property
    def writes(self) -> WriteCheck | None:
        """What reading back the acknowledged writes showed; None where that was not done."""
        return self.observed.writes

    @property
    def compared(self) -> tuple[Compared, ...]:
        """Each prediction beside what was observed; empty for what this session did not inject."""
        return comparison.compare(self.injection.prediction, self.observed) if self.injection else ()

    @property
    def prediction_held(self) -> bool | None:
        """Whether all that was measured came as predicted."""
        return comparison.held(self.compared) if self.compared else None

    def as_result(self) -> dict[str, Any]:
        """Return it as the healing tools and the incident tell it."""
        return {
            "leader": {
                "before": self.injection.prediction.leader if self.injection else None,
                "under_fault": self.observed.leader_under,
                "now": self.observed.leader_after,
            },
            "load": load_result(self.before, self.during, self.after, self.observed),
            "writes": load_results.writes(self.writes) if self.writes else None,
            "writes_not_measured": self.observed.writes_not_measured or None,
            "prediction": {
                "text": self.injection.prediction.text,
                "held": self.prediction_held,
                "compared": [asdict(each) for each in self.compared],
            }
            if self.injection
            else None,
        }


def load_result(
    before: LoadFigures = NOT_MEASURED,
    during: LoadFigures = NOT_MEASURED,
    after: LoadFigures = NOT_MEASURED,
    observed: Impact = Impact(),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """Return what clients saw, as a `result` tells it; without arguments, of what was not measured."""
    check = observed.writes
    return {
        "before": load_results.figures(before),
        "during": load_results.figures(during),
        "after": load_results.figures(after),
        "acknowledged_writes": check.acknowledged if check else None,
        "acknowledged_writes_lost": check.lost + check.changed if check else None,
        "longest_stall_s": observed.stall_s,
        "seconds_with_errors": observed.error_s,
        "failed_operations": observed.failed,
    }
