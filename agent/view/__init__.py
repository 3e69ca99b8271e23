"""The terminal, plain text, JSON lines: three ways to draw the same events."""
