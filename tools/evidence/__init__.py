"""The ledger of what was seen; logs, metrics and the timeline as bounded reads."""
