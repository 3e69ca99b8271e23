"""Text that somebody else wrote, made fit to be shown: it cannot move the cursor or forge a line."""

from collections.abc import Mapping
from typing import Any

from subjects.untrusted import clean

MAX_LINE = 4_000
"""The most characters of one foreign line that are looked at: a log line can be a megabyte."""

MAX_VERBATIM = 4_000_000
"""The most characters of an answer that is shown as it is."""


def one_line(text: object, limit: int = MAX_LINE) -> str:
    """Return `text` cleaned and on one line, cut to `limit` characters."""
    raw = str(text)
    line = " ".join(clean(raw[: 4 * limit]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def lines(text: object, limit: int = MAX_LINE) -> str:
    """Return `text` cleaned, its line breaks kept, cut to `limit` characters."""
    kept = clean(str(text)[: 4 * limit]).strip()
    return kept if len(kept) <= limit else f"{kept[: limit - 1]}…"


def call_words(arguments: Mapping[str, Any], limit: int = 60) -> str:
    """Say a call's arguments in a few words: `etcd-2`, or `workload=a rate=300`."""
    words = [
        one_line(value, limit) if name in ("node", "target", "store") else f"{one_line(name)}={_short(value)}"
        for name, value in arguments.items()
        if value is not None and value != ""
    ]
    return one_line(" ".join(words), limit)


def size(count: float) -> str:
    """Say a number of bytes: `16 B`, `20.0 KiB`, `2.0 GiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def seconds(value: float | None) -> str:
    """Say a span as a person reads it: `0.04 s`, `5 s`, `2 min 5 s`; empty for one not measured."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.2f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def _short(value: object) -> str:
    return one_line(value, 24)


def answerer(driver: str, model: str | None) -> str:
    """Say who answers: the model, or what stands in for one."""
    return one_line(
        model or {"claude": "Claude", "playbook": "offline mode", "tape": "a tape"}.get(driver, driver)
    )
