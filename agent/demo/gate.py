"""The gate of a demo: every call is held against what was asked for and against the stage that runs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.demo.facts import Facts
from agent.demo.request import STOPPED, DemoRequest
from agent.demo.stages import (
    DETECTION,
    DIAGNOSIS,
    FAULT,
    HEALTH,
    LOAD,
    RECOVERY,
    TITLES,
    WAITING,
    Stages,
)
from agent.models.base import ToolCall
from agent.permissions import ALLOWED, Verdict
from tools.events import Event, Notice, Progress
from tools.faults.comparison import ERRORS_S
from tools.load.run import LoadRun
from tools.observe.signal import Detection
from tools.tool import Effect, Outcome
from tools.workbench import Workbench

_STAGE_OF = {
    "cluster_status": HEALTH,
    "cluster_start": HEALTH,
    "load_start": LOAD,
    "load_stop": LOAD,
    "store_kill": FAULT,
    "fault_inject": FAULT,
    "wait_for_detection": WAITING,
    "diagnose": DIAGNOSIS,
    "store_restart": RECOVERY,
    "fault_heal": RECOVERY,
}
NOT_DETECTED = "Not detected"
RIGHTLY_SILENT = "No alarm, and none was due"
UNSTEADY = (
    "the baseline is not steady, so what the fault does could not be told from what the machine does without "
    "it; end the load with load_stop and start it with half the rate"
)
UNDER_FAULT_S = 4.0
"""How long the fault stays in force at the least, so that whole seconds of load are measured under it."""

SERVED_S, SERVED_SHARE = 2.5, 0.8
"""Clients are served again when so many seconds had no error and that share of the usual throughput."""

Pause = Callable[[str], Awaitable[bool]]
"""Waits for the person; False when they want to stop."""


@dataclass(slots=True)
class DemoGate:
    """Announces the stage a call belongs to, waits for the person between stages, keeps what came of it."""

    workbench: Workbench
    request: DemoRequest
    stages: Stages
    pause: Pause | None = None
    facts: Facts = field(default_factory=Facts)
    stopped: bool = False
    """Whether the person ended the demo between two stages."""
    _unsteady: bool = False
    """Whether nothing can be compared with the baseline that was measured last."""
    _earlier: int = field(init=False)
    """Faults that this session injected before the demo."""

    def __post_init__(self) -> None:
        self._earlier = len(self.workbench.faults.injections)

    async def before(self, call: ToolCall, effect: Effect) -> Verdict:
        """Refuse what does not fit the request, with the words to mend it; announce the stage."""
        n = _STAGE_OF.get(call.name)
        if why := self._refusal(call, effect, n):
            return Verdict(allowed=False, reason=why, final=False)
        if n is not None and n > self.stages.current and not await self._enter(n):
            return Verdict(allowed=False, reason=STOPPED)
        if n == RECOVERY:
            await self._observe_clients()
        return ALLOWED

    async def after(self, call: ToolCall, outcome: Outcome) -> None:
        """Keep what came of it."""
        n = _STAGE_OF.get(call.name)
        if n is not None and not outcome.ok:
            self.facts.failures[n] = f"{call.name}: {outcome.summary or outcome.data.get('error', 'failed')}"
        match n:
            case 1 if outcome.data.get("state") == "healthy":
                self.stages.end(HEALTH, ok=outcome.ok)
            case 2:
                self._load(call, outcome)
            case 3:
                self.take_injection()
                self.stages.end(FAULT, ok=outcome.ok)
                if self.facts.injection is not None and not outcome.ok:
                    self._warn("The fault's effect was not seen in time.")
            case 4 if outcome.ok:
                self._detected(outcome.data)
            case 6:
                if outcome.ok and outcome.data.get("diagnosis"):
                    self.facts.diagnosed_at = self.facts.diagnosed_at or time.monotonic()
                    self.facts.diagnosis = outcome.data["diagnosis"]
                self.stages.end(DIAGNOSIS, ok=bool(self.facts.diagnosis))
            case 7:
                self.take_outcome()

    def shows(self, event: Event) -> bool:
        """Keep the monitor's detections for stage 5, where they have their time since the injection."""
        return not (
            isinstance(event, Detection) and event.seconds is None and self.stages.current < DETECTION
        )

    def take_injection(self) -> None:
        """Keep what this demo has injected, if it has."""
        made = self.workbench.faults.injections[self._earlier :]
        if made and self.facts.injection is None:
            self.facts.injection = made[-1]

    def take_outcome(self) -> None:
        """Keep what came of the last heal, if it was of this demo's fault."""
        done = self.workbench.outcome
        self.facts.take_outcome(done, [report.fault for report in done.reports] if done else [])

    def _refusal(self, call: ToolCall, effect: Effect, n: int | None) -> str:
        """Say why the call does not belong to this demo, or not now; empty if it does."""
        if effect is Effect.READ:
            return ""
        if n is None or (n < FAULT and self.stages.current >= FAULT):
            if n == HEALTH and self.facts.injection is not None:
                return "a store that the demo took down is brought back with store_restart or fault_heal"
            return f"{call.name} is no part of the demo now; ask for it afterwards"
        if n == FAULT:
            if self.facts.injection is not None:
                return "the demo breaks one thing only; heal it, then the demo ends"
            why = self.request.mismatch(call.name, call.arguments)
            return why or (UNSTEADY if self._unsteady else "")
        return self._not_its_heal(call.arguments) if n == RECOVERY else ""

    def _not_its_heal(self, arguments: Mapping[str, Any]) -> str:
        injection = self.facts.injection
        if injection is None:
            return "nothing was broken yet, so there is nothing to heal"
        record = injection.record
        nodes = ", ".join(record.nodes)
        if arguments.get("fault") not in (None, record.id) or arguments.get("node") not in (
            None,
            *record.nodes,
        ):
            what = f"{record.id}, {record.kind} on {nodes}"
            return f"the demo's fault is {what}; call fault_heal with fault={record.id}"
        if self.facts.outcome is not None and self.facts.outcome.healed:
            return "the demo's fault is healed; cluster_status shows how the cluster is"
        return ""

    def _load(self, call: ToolCall, outcome: Outcome) -> None:
        if call.name == "load_stop":
            return
        self._unsteady = outcome.ok and outcome.data.get("steady") is False
        running = self.workbench.load is not None and self.workbench.load.running
        if not self._unsteady:
            self.stages.end(LOAD, ok=outcome.ok or running)

    def _detected(self, data: Mapping[str, Any]) -> None:
        if not self.facts.take_detection(self.workbench.monitor, data):
            return
        found, due = self.facts.detection is not None, self.facts.alarm_due
        title = TITLES[DETECTION - 1] if found else NOT_DETECTED if due else RIGHTLY_SILENT
        self.stages.end(WAITING, ok=True)
        if self.stages.current <= DETECTION:
            self.stages.announce(DETECTION, title)
        if (shown := self.facts.detected()) is not None:
            self.workbench.emit(shown)
        if found and not due:
            self._warn("That is a false alarm: nothing was to be detected.")
        if due and not found:
            self._warn(f"Nothing was detected within {self.request.timeout_s:g} s; the demo goes on.")
        self.stages.end(DETECTION, ok=found is due, title=title)

    async def _enter(self, n: int) -> bool:
        if self.stopped:
            return False
        if self.pause is not None and self.stages.current:
            title = TITLES[n - 1]
            if not await self.pause(f"Enter: on to stage {n}, {title[0].lower()}{title[1:]} "):
                self.stopped = True
                return False
        self.stages.announce(n)
        return True

    async def _observe_clients(self) -> None:
        """Wait until there are whole seconds of load under the fault, or it is clear that there won't be."""
        at, load = self.facts.injected_at, self.workbench.load
        if at is None or load is None:
            return
        while (left_s := self._hold_until(at, load) - time.monotonic()) > 0 and load.running:
            self.workbench.emit(Progress("Measuring what clients see under the fault"))
            await asyncio.sleep(min(left_s, 1.0))

    def _hold_until(self, at: float, load: LoadRun) -> float:
        """Return until when the fault is held: until clients are served again, where that was predicted.

        Healed earlier, a stall would end for another reason than the fail-over that was promised.
        """
        least, injection = at + UNDER_FAULT_S, self.facts.injection
        if injection is None or injection.prediction.writes != "stall":
            return least
        usual = self.workbench.baseline.ops_per_s if self.workbench.baseline is not None else None
        latest = load.figures(time.monotonic() - SERVED_S, time.monotonic())
        served = not latest.errors and (latest.ops_per_s or 0.0) >= SERVED_SHARE * (usual or 0.0)
        return least if served else max(least, at + injection.prediction.stall_s + ERRORS_S)

    def _warn(self, text: str) -> None:
        self.workbench.emit(Notice(text, level="warning"))
