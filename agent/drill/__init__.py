"""Drills: many blind faults in a row, scored: what a diagnosis is worth is measured, not believed."""

from agent.drill.plan import DEFAULT_FAULTS, DrillSettings
from agent.drill.run import run_drill

__all__ = ["DEFAULT_FAULTS", "DrillSettings", "run_drill"]
