"""Faults that always heal: the catalogue, the journal, the healer, the guard."""
