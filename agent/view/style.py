"""How things look: default colours, dim, bold and the basic ANSI colours, which the terminal's own
theme makes readable on light and on dark."""

MAX_WIDTH = 100
"""Columns that prose and panels use at most: longer lines are hard to read."""

STYLES = {
    "ok": "green",
    "bad": "red",
    "warn": "yellow",
    "quiet": "dim",
    "key": "bold",
    "stage": "bold cyan",
    "stage.line": "dim",
    "evidence": "cyan",
    "node": "bold",
    "code.block": "cyan",
    "markdown.h1": "bold underline",
    "markdown.h2": "bold",
    "markdown.h3": "bold",
    "markdown.h4": "bold dim",
    "markdown.h5": "bold dim",
    "markdown.h6": "bold dim",
    "markdown.code": "cyan",
    "markdown.block_quote": "dim",
    "markdown.item.bullet": "dim",
    "markdown.item.number": "dim",
    "markdown.link": "none",
    "markdown.link_url": "dim underline",
    "markdown.table.border": "dim",
    "markdown.table.header": "bold",
    "markdown.kbd": "bold",
}

DONE = "✓"
FAILED = "✗"
RUNNING = "●"
PROMPT = "›"  # noqa: RUF001 - the mark that is meant
