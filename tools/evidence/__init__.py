"""Logs, metrics and the timeline as bounded reads."""
