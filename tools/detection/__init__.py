"""Signals, the monitor, time-to-detect. Nothing here reads the fault journal."""
