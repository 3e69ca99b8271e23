"""The times that databases write into their log lines, and lines chosen by them."""

import re
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

from subjects.base import LogLine

_TIME = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?")
_LOOK_IN = 80
"""A time stands at the beginning of a line, or close to it."""


OUR_CHECKS = "exclude alarms from health check"
"""etcd logs this for each health check of ours, several a second: it says nothing of the database."""

AT_LEAST = 400
"""Lines to read, however few are wanted: most may be of our own checks."""


def time_of(line: str) -> float | None:
    """Return the wall time of a log line of etcd, PD or TiKV; None if it carries none."""
    found = _TIME.search(line[:_LOOK_IN])
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    offset = (found[8] or "Z").replace(":", "")
    zone = UTC if offset == "Z" else datetime.strptime(offset, "%z").tzinfo
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
    return moment.timestamp() + float(found[7] or 0)


def lines(node: str, log: Iterable[str], since: float | None, limit: int) -> list[LogLine]:
    """Return the last `limit` lines not older than `since`; one without a time goes with the one before.

    Lines that our own health checks caused are left out.
    """
    chosen: deque[LogLine] = deque(maxlen=limit)
    last: float | None = None
    for line in log:
        at = time_of(line)
        last = at if at is not None else last
        if OUR_CHECKS not in line and (since is None or (last is not None and last >= since)):
            chosen.append(LogLine(node, line, at))
    return list(chosen)
