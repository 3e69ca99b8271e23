"""Drills: many blind faults in a row, scored: what a diagnosis is worth is measured, not believed."""
