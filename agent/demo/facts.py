"""What was seen of one demo, as it went. A figure that was not measured is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from subjects.base import ClusterSnapshot
from tools.faults.outcome import FaultOutcome
from tools.faults.service import Injection
from tools.observe.signal import Detection, Signal

if TYPE_CHECKING:
    from tools.detection.monitor import Monitor


@dataclass(slots=True)
class Facts:
    """What was seen of one demo, as it went."""

    injection: Injection | None = None
    detection: Detection | None = None
    detection_text: str = ""
    signals: tuple[Signal, ...] = ()
    diagnosis: Mapping[str, Any] | None = None
    diagnosed_at: float | None = None
    outcome: FaultOutcome | None = None
    """What came of the fault: the first heal that undid it, by whoever it was asked for."""
    snapshot: ClusterSnapshot | None = None
    """The last look at the cluster."""
    interrupted: bool = False
    failures: dict[int, str] = field(default_factory=dict)
    """What the last call of a stage that failed said, by stage."""

    @property
    def restored(self) -> bool:
        """Whether all is as before: healed, recovered by every check, no acknowledged write lost."""
        return self.outcome is not None and self.outcome.restored

    @property
    def injected_at(self) -> float | None:
        """Monotonic time of the injection."""
        return self.injection.record.injected_at if self.injection else None

    @property
    def incident(self) -> str | None:
        """The incident that the detection opened."""
        return self.detection.incident if self.detection else None

    @property
    def alarm_due(self) -> bool:
        """Whether a right detector tells of what was done."""
        return self.injection is None or self.injection.alarms

    def take_detection(self, monitor: "Monitor | None", data: Mapping[str, Any]) -> bool:
        """Keep the first detection after the injection, and its signals; False if it is known already."""
        began = self.injected_at
        if self.detection is not None:
            return False
        if monitor is None or began is None or not data.get("detected"):
            return True
        self.detection = next((made for made in monitor.detections if made.at >= began), None)
        self.signals = tuple(signal for signal in monitor.signals if signal.at >= began)
        if self.detection is not None:
            self.detection_text = monitor.name(self.detection.incident) or self.detection.text
        return True

    def detected(self) -> Detection | None:
        """Return the detection as it is shown: each signal with its time since the injection."""
        if self.detection is None:
            return None
        began = self.injected_at
        return replace(
            self.detection,
            text=self.detection_text,
            seconds=since(began, self.detection.at),
            signals=tuple(replace(signal, seconds=since(began, signal.at)) for signal in self.signals),
        )

    def take_outcome(self, outcome: FaultOutcome | None, reports_of: Sequence[int]) -> None:
        """Keep what came of this demo's own fault; a later heal, of nothing, takes nothing back."""
        if outcome is None or self.injection is None or self.injection.record.id not in reports_of:
            return
        if self.outcome is None or not self.outcome.restored:
            self.outcome = outcome


def since(began: float | None, at: float | None) -> float | None:
    """Return the seconds from `began` to `at`, to a tenth of a millisecond; None if either is."""
    return None if began is None or at is None else round(at - began, 4)
