"""What was seen of one demo, as it went. A figure that was not measured is None."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from agent.remarks import remark
from subjects.base import ClusterSnapshot
from tools.detection.signals import Detection, Signal
from tools.events import Detected, SignalSeen
from tools.faults import guard
from tools.faults.healing import HealReport
from tools.faults.recovery import Recovery
from tools.faults.service import Injection
from tools.load.figures import WINDOW_S, LoadFigures, Window, WriteCheck
from tools.load.spans import NOT_MEASURED

if TYPE_CHECKING:
    from tools.detection.monitor import Monitor
    from tools.load.run import LoadRun
    from tools.workbench import Workbench


@dataclass(slots=True)
class Facts:
    """What was seen of one demo, as it went."""

    stages: dict[int, dict[str, Any]] = field(default_factory=dict)
    injection: Injection | None = None
    before: LoadFigures | None = None
    during: LoadFigures | None = None
    under: LoadFigures | None = None
    """The whole seconds under the fault alone: whether anybody was served in them."""
    after: LoadFigures | None = None
    longest_stall_s: float | None = None
    detection: Detection | None = None
    detection_text: str = ""
    signals: tuple[Signal, ...] = ()
    incident: str | None = None
    diagnosis: Mapping[str, Any] | None = None
    diagnosed_at: float | None = None
    heal_began: float | None = None
    """Wall time when the healing was asked for: the load under the fault ends here."""
    healed_wall: float | None = None
    """Wall time when the undo was carried out and seen."""
    healed: bool = False
    recovered: bool = False
    recovered_wall: float | None = None
    leader_changed: bool | None = None
    writes: WriteCheck | None = None
    writes_unread: bool = False
    """There was a load whose acknowledged writes could not be read back: nothing is proven of them."""
    snapshot: ClusterSnapshot | None = None
    interrupted: bool = False

    @property
    def restored(self) -> bool:
        """Whether all is as before: healed, recovered by every check, no acknowledged write lost."""
        if self.injection is None or not self.healed or not self.recovered:
            return False
        if self.writes is None:
            return not self.writes_unread
        return not (self.writes.lost or self.writes.changed or self.writes.unreadable)

    @property
    def injected_at(self) -> float | None:
        """Monotonic time of the injection."""
        return self.injection.record.injected_at if self.injection else None

    def take_detection(self, monitor: "Monitor | None", data: Mapping[str, Any]) -> None:
        """Keep the first detection after the injection, and the signals that it began with."""
        began = self.injected_at
        if monitor is None or began is None or not data.get("detected"):
            return
        self.detection = next((made for made in monitor.detections if made.at >= began), None)
        self.signals = tuple(signal for signal in monitor.signals if signal.at >= began)
        if self.detection is not None:
            self.incident = self.detection.incident
            self.detection_text = monitor.name(self.incident) or self.detection.text

    def told_detection(self) -> Detected | None:
        """Return the detection as it is shown: each signal with its time since the injection."""
        if self.detection is None:
            return None
        began = self.injected_at
        return Detected(
            self.detection_text,
            self.detection.nodes,
            self.incident,
            since(began, self.detection.at),
            tuple(
                SignalSeen(s.source, s.kind, s.node, s.raw, s.evidence, since(began, s.at))
                for s in self.signals
            ),
        )

    def left_out(self, open_faults: Sequence[object]) -> str:
        """Return what the model is told if it stops here; empty if nothing was broken or all was done."""
        if self.injection is None:
            return ""
        left = [remark("undiagnosed")] if self.diagnosis is None else []
        left += [remark("unhealed")] if open_faults else []
        return "\n".join(left)

    def take_leader(self, monitor: "Monitor | None") -> None:
        """Keep whether another node leads than before the fault."""
        if monitor is not None and monitor.snapshot is not None and self.injection is not None:
            self.leader_changed = monitor.snapshot.leader != self.injection.before.leader

    def take_recovery(self, data: Mapping[str, Any], *, ok: bool) -> None:
        """Keep what the healing tool found."""
        self.healed = bool(data.get("healed", data.get("restarted") or data.get("started")))
        self.recovered = ok and bool(data.get("recovered"))
        self.healed_wall, well_after = data.get("healed_wall"), data.get("well_after_s")
        if self.recovered and self.healed_wall is not None and well_after is not None:
            self.recovered_wall = self.healed_wall + well_after

    def healed_by_host(self, reports: Sequence[HealReport], at: float, found: Recovery) -> None:
        """Keep what the host had to do itself, and that it was done at wall time `at`."""
        self.healed = all(report.ok for report in reports)
        self.healed_wall = at if self.healed else None
        self.recovered = found.ok
        self.recovered_wall = found.healthy_wall

    def take_load(self, load: "LoadRun | None") -> None:
        """Take the figures before, during and after from the load's windows."""
        injected = self.injection.record.injected if self.injection else None
        if load is None or injected is None:
            return
        healed = self.heal_began or time.time()
        # From the second in which it was injected: most of what fails does so right then.
        self.during = load.figures(injected - WINDOW_S, healed)
        self.under = load.figures(injected, healed)
        if self.recovered_wall is not None:
            self.after = load.figures(self.recovered_wall, time.time())
        self.longest_stall_s = _longest_stall(load.windows, injected, healed)

    def keep(self, workbench: "Workbench") -> None:
        """Write figures and outcome into the incident, for its report."""
        if self.incident is None or self.injection is None:
            return
        record = self.injection.record
        workbench.incidents.set_figures(
            self.incident,
            {
                "load": load_figures(self),
                "windows": [_window(window) for window in workbench.load.windows] if workbench.load else [],
                "marks": {
                    "injected": record.injected,
                    "detected": self.detection.wall if self.detection else None,
                    "healed": self.healed_wall,
                    "recovered": self.recovered_wall,
                },
                "prediction": {"text": self.injection.prediction.text, "held": prediction_held(self)},
                "injected": {
                    "kind": record.kind,
                    "nodes": list(record.nodes),
                    "effect": self.injection.effect,
                },
                "undo": {"healed": self.healed, "recovered": self.recovered, "restored": self.restored},
                "writes": asdict(self.writes) if self.writes else None,
            },
        )


def load_figures(facts: Facts) -> dict[str, Any]:
    """Return the load before, during and after, and what became of acknowledged writes."""
    return {
        "before": asdict(facts.before or NOT_MEASURED),
        "during": asdict(facts.during or NOT_MEASURED),
        "after": asdict(facts.after or NOT_MEASURED),
        "acknowledged_writes": facts.writes.acknowledged if facts.writes else None,
        "acknowledged_writes_lost": facts.writes.lost + facts.writes.changed if facts.writes else None,
        "longest_stall_s": facts.longest_stall_s,
    }


def prediction_held(facts: Facts) -> bool | None:
    """Say whether what was predicted came true; None when too little was measured."""
    if facts.injection is None:
        return None
    outcome = guard.Outcome(
        quorum_held=None if facts.longest_stall_s is None else _quorum_held(facts),
        leader_changed=facts.leader_changed,
        longest_stall_s=facts.longest_stall_s,
    )
    return guard.held(facts.injection.prediction, outcome)


def _quorum_held(facts: Facts) -> bool:
    """Whether clients were served at all after the first seconds of the fault."""
    return facts.under is not None and bool(facts.under.ops_per_s and facts.under.ops_per_s > 1)


def since(began: float | None, at: float | None) -> float | None:
    """Return the seconds from `began` to `at`, to a tenth of a millisecond; None if either is."""
    return None if began is None or at is None else round(at - began, 4)


def _longest_stall(windows: Sequence[Window], since: float, until: float) -> float | None:
    """The longest run of whole seconds in which nothing succeeded; None when none was measured."""
    longest = run = 0.0
    measured = False
    for window in windows:
        if window.wall - window.seconds < since or window.wall > until:
            continue
        measured = True
        run = 0.0 if window.operations else run + window.seconds
        longest = max(longest, run)
    return round(longest, 1) if measured else None


def _window(window: Window) -> dict[str, Any]:
    all_kinds = window.overall
    return {
        "wall": window.wall,
        "operations": window.operations,
        "errors": window.errors + window.timeouts,
        "p50_ms": all_kinds.p50_ms if all_kinds else None,
        "p99_ms": all_kinds.p99_ms if all_kinds else None,
    }
