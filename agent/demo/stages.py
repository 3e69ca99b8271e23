"""The seven stages of the demo: which one runs, how each ended. A finished stage never gets worse."""

import time
from dataclasses import dataclass, field
from typing import Any

from agent.events import Stage
from tools.events import Emit

STAGES = ("health", "load", "fault", "waiting", "detection", "diagnosis", "recovery")
TITLES = (
    "A healthy cluster",
    "Load, and the baseline",
    "Break something",
    "Waiting for detection",
    "Detection",
    "Diagnosis, from evidence alone",
    "Heal, and verify",
)
HEALTH, LOAD, FAULT, WAITING, DETECTION, DIAGNOSIS, RECOVERY = range(1, 8)


@dataclass(slots=True)
class Stages:
    """The stages of one run, as they are announced and ended."""

    emit: Emit
    current: int = 0
    """The latest that was announced; 0 before the first."""
    _ended: dict[int, dict[str, Any]] = field(default_factory=dict)
    _began: dict[int, float] = field(default_factory=dict)

    def announce(self, n: int, title: str = "") -> None:
        """Tell that stage `n` begins."""
        self.current = n
        self._began[n] = time.monotonic()
        self.emit(Stage(n, len(STAGES), STAGES[n - 1], title or TITLES[n - 1]))

    def end(self, n: int, *, ok: bool, title: str = "") -> None:
        """Tell how stage `n` ended; a stage that succeeded never gets worse."""
        if self.ended_well(n):
            return
        now = time.monotonic()
        seconds = round(now - self._began.get(n, now), 3)
        self._ended[n] = {"n": n, "name": STAGES[n - 1], "ok": ok, "seconds": seconds}
        self.emit(Stage(n, len(STAGES), STAGES[n - 1], title or TITLES[n - 1], ok, seconds))

    def begun(self, n: int) -> bool:
        """Whether stage `n` was announced."""
        return n in self._began

    def ended_well(self, n: int) -> bool:
        """Whether stage `n` ended, and succeeded."""
        return n in self._ended and bool(self._ended[n]["ok"])

    def result(self) -> list[dict[str, Any]]:
        """Return all seven as a `result` tells them."""
        return [
            self._ended.get(n, {"n": n, "name": name, "ok": False, "seconds": None})
            for n, name in enumerate(STAGES, start=1)
        ]
