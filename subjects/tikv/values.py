"""Sizes, durations and times as PD writes them."""

import re
from datetime import datetime

_SIZE = re.compile(r"^\s*([0-9.]+)\s*([KMGTPE]?)i?B?\s*$", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}

_PART = re.compile(r"([0-9.]+)(h|ms|m|s|us|µs|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def size_bytes(text: object) -> int | None:
    """Read `"7.812GiB"`: go-units' BytesSize, 1024-based, four significant digits; None if it is none."""
    if isinstance(text, int | float):
        return int(text)  # /trend writes numbers
    found = _SIZE.match(str(text or ""))
    return None if found is None else int(float(found[1]) * 1024 ** _POWERS[found[2].upper()])


def duration_s(text: object) -> float | None:
    """Read a Go duration, `"1m32.417s"`; None if it is none."""
    parts = _PART.findall(str(text or ""))
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) if parts else None


def wall_time(text: object) -> float | None:
    """Read an RFC 3339 time with nanoseconds as seconds since the epoch; None if it is none or Go's zero."""
    given = str(text or "")
    if not given or given.startswith("0001-"):
        return None
    try:
        # Python reads six digits of a second at most.
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", given)).timestamp()
    except ValueError:
        return None
