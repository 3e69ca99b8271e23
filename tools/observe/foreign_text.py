"""Foreign text: what databases, logs and servers wrote, made safe to show and to keep."""

import re

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI sequences
    r"|\x1b[\]PX^_].*?(?:\x1b\\|\x07|$)"  # OSC, DCS, SOS, PM and APC strings
    r"|\x1b.?"  # other escapes
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # control characters except tab and newline
    r"|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"  # invisible and direction-changing ones
    r"|[\ud800-\udfff]",  # halves of characters, which JSON can spell and no file can hold
    re.DOTALL,
)


def clean(text: str) -> str:
    """Return `text` without anything that could move a cursor, hide a line or reverse its direction."""
    return _CONTROL.sub("", text)
