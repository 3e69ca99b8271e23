"""Which view a run gets."""

import os
import sys
from typing import TextIO

from agent.setup import Output
from agent.view.base import View


def open_view(
    output: Output = "text",
    *,
    signals: bool = False,
    listing: bool = False,
    stream: TextIO | None = None,
) -> View:
    """Return the view for `--output`: on a terminal the terminal's, elsewhere plain text.

    A terminal that is dumb, or a person who wants no colour, gets the same things without any escape
    sequence. `signals` draws each signal as it comes (`operator watch`); with `listing` tables and diagnoses
    are the answer that was asked for, not told beside it.
    """
    if output != "text":
        from agent.view.jsonl import JsonView

        return JsonView(stream, only_result=output == "json")
    out = stream or sys.stdout
    if not out.isatty():
        from agent.view.plain import PlainView

        return PlainView(stream, listing=listing, timed=signals)
    from agent.view.terminal import TerminalView

    dumb = os.environ.get("TERM", "dumb") in ("dumb", "unknown", "")
    still = dumb or bool(os.environ.get("NO_COLOR"))
    return TerminalView(out, animated=not still, signals=signals)
