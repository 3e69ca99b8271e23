"""Keep keys out of what is written down."""

import os
import re
from collections.abc import Mapping
from typing import Any

from tools.observe.foreign_text import clean

SCRUBBED = "[scrubbed]"

MOST_SAID = 300
"""Characters of what a service said that are passed on: a person reads one line."""

_SECRET_NAMES = re.compile(
    r"^(?:authorization|proxy-authorization|x-api-key|api[_-]?key|auth[_-]?token|access[_-]?token"
    r"|password|passwd|secret|client[_-]?secret|secret[_-]?access[_-]?key|cookie|set-cookie)$",
    re.IGNORECASE,
)
"""Names whose whole value is a secret, in JSON or as `name: value` in text."""

_SECRET_TEXTS = (
    (re.compile(r"\bsk-[A-Za-z0-9]+-[A-Za-z0-9_-]{8,}"), SCRUBBED),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/-]{8,}=*"), rf"\1 {SCRUBBED}"),
    (re.compile(r"(?i)(://[^\s/:@]*):[^\s/@]+@"), rf"\1:{SCRUBBED}@"),
    (
        re.compile(
            r"(?i)\b(x-api-key|api[_-]?key|auth[_-]?token|access[_-]?token|password|passwd|client[_-]?secret"
            r"|secret[_-]?access[_-]?key)(\\?[\"']?\s*[:=]\s*\\?[\"']?)[^\s\"'\\,;&]+"
        ),
        rf"\1\2{SCRUBBED}",
    ),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.S),
        SCRUBBED,
    ),
)

_ENVIRONMENT = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "ETCD_PASSWORD",
    "ETCDCTL_PASSWORD",
)
"""Variables whose very values are searched for: a key of a shape that nobody foresaw is still known."""


def scrub(value: Any) -> Any:
    """Return `value` (JSON) with everything that looks like a key replaced by `[scrubbed]`."""
    return _scrub(value, _known_secrets())


def _known_secrets() -> tuple[str, ...]:
    values = (os.environ.get(name, "") for name in _ENVIRONMENT)
    return tuple(value for value in values if len(value) >= 6)


def _scrub(value: Any, known: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return _scrub_text(value, known)
    if isinstance(value, Mapping):
        return {
            key: SCRUBBED
            if isinstance(item, str) and item and _SECRET_NAMES.match(str(key))
            else _scrub(item, known)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_scrub(item, known) for item in value]
    return value


def _scrub_text(text: str, known: tuple[str, ...]) -> str:
    for secret in known:
        text = text.replace(secret, SCRUBBED)
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text


def cleaned(text: str) -> str:
    """Return a foreign text as a part of one line: without keys, control characters and line breaks."""
    line = " ".join(clean(scrub(text)).split())
    return line if len(line) <= MOST_SAID else f"{line[:MOST_SAID]}…"
