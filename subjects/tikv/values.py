"""Sizes and times as PD writes them."""

import re
from datetime import datetime

_SIZE = re.compile(r"^\s*([0-9.]+)\s*([KMGTPE]?)i?B?\s*$", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}


def size_bytes(text: object) -> int | None:
    """Read `"7.812GiB"`: go-units' BytesSize, 1024-based, four significant digits; None if it is none."""
    if isinstance(text, int | float):
        return int(text)  # /trend writes numbers
    found = _SIZE.match(str(text or ""))
    return None if found is None else int(float(found[1]) * 1024 ** _POWERS[found[2].upper()])


def wall_time(text: object) -> float | None:
    """Read an RFC 3339 time with nanoseconds as seconds since the epoch; None if it is none or Go's zero."""
    given = str(text or "")
    if not given or given.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(given).timestamp()
    except ValueError:
        return None
