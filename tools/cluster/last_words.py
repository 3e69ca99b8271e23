"""What a program said of its own end: seldom the last line, which is the foot of a stack trace."""

import re
from collections.abc import Sequence

from subjects.untrusted import NotJson, read_object

_FATAL = re.compile(r'"level":"(panic|fatal)"|\[FATAL\]|^panic: |^fatal error: ')
_MAX_CHARS = 300


def last_words(lines: Sequence[str]) -> str:
    """Return the line that tells why the program ended, else the last one; empty if there is none."""
    telling = [line for line in lines if _FATAL.search(line)]
    # Go repeats after a structured line what it panicked with, and leaves out the error.
    best = next((line for line in reversed(telling) if line.startswith("{")), None)
    if best is not None:
        return _said(best)[:_MAX_CHARS]
    return (telling or list(lines) or [""])[-1].strip()[:_MAX_CHARS]


def _said(line: str) -> str:
    """A line of zap's JSON without its time, its caller and its stack trace."""
    try:
        fields = read_object(line)
    except NotJson:
        return line
    return ": ".join(str(fields[name]) for name in ("msg", "error") if fields.get(name))
