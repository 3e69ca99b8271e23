"""Keep keys, tokens and passwords out of whatever is shown, sent or written down."""

import binascii
import functools
import os
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

SCRUBBED = "[scrubbed]"

_NAMES = (
    r"(?:(?:x[_-])?api[_-]?key|(?:auth|access|refresh|bearer|session)[_-]?token|password|passwd|passphrase"
    r"|client[_-]?secret|(?:secret[_-]?)?access[_-]?key|private[_-]?key)"
)

_SECRET_NAMES = re.compile(
    rf"(?:{_NAMES}|(?:proxy-)?authorization|token|secret|(?:set-)?cookie)$", re.IGNORECASE
)
"""Names in JSON whose whole value is a secret."""

_VALUE = r"""(?:(")(?:\\.|[^"\\])*|(\\")(?:\\{2,}.|(?!\\").)*|(')[^']*|[^\s"'\\,;&]+)"""
"""What follows a name: in quotes, which JSON in JSON escapes, or up to the next separator."""


def _basic(found: re.Match[str]) -> str:
    """Hide `user:password` in Base64, and leave words such as "Basic checks" alone."""
    try:
        return f"{found[1]} {SCRUBBED}" if b":" in b64decode(found[2], validate=True) else found[0]
    except binascii.Error:
        return found[0]


def _named(found: re.Match[str]) -> str:
    """Hide a named value; leave "Set ANTHROPIC_API_KEY: Claude answers then" and `"passwd": null` alone."""
    begun, value, quote = found[1], found[2], found[3] or found[4] or found[5] or ""
    hidden = f"{begun}{quote}{SCRUBBED}"
    if quote:
        return hidden
    in_json = begun.rstrip(" :=").endswith(('"', "'"))  # there a value without quotes is no text
    if in_json:
        value = value.rstrip("]}")
        if value in {"null", "true", "false", "None"} or not re.search(r"\w", value):
            return found[0]
    is_word = begun.endswith(": ") and value.isalpha() and len(value) < 16
    goes_on = found.string[found.end() :].startswith(" ")  # as a sentence does
    return found[0] if is_word and ("pass" not in begun.lower() or (in_json and goes_on)) else hidden


_SECRET_TEXTS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|$)", re.S), SCRUBBED),
    (
        re.compile(
            r"\b(?:sk-[A-Za-z0-9]+-[\w-]{8,}|sk-\w{16,}|gh[pousr]_\w{20,}|xox[a-z]-[\w-]{10,}"
            r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
        ),
        SCRUBBED,
    ),
    (re.compile(r"(hooks\.slack\.com/services/)[^\s\"'\\<>]+"), rf"\1{SCRUBBED}"),
    (re.compile(r"(?i)(authorization\\?[\"']?\s*[:=]\s*\\?[\"']?(?:\w+ +)?)[^\s\"'\\,;]+"), rf"\1{SCRUBBED}"),
    (re.compile(r"\b((?i:bearer)) +(?=\S*\d|\S*[a-z][A-Z]|\S{20})[\w.~+/-]{8,}=*"), rf"\1 {SCRUBBED}"),
    (re.compile(r"\b((?i:basic)) +([A-Za-z0-9+/]{4,}={0,2})"), _basic),
    # A password may hold `/` and `@`, though it should not; digits up to the path are a port.
    (
        re.compile(
            r"(://[^\s/:@\"'\\<>]*):(?!\d{1,5}(?:[/,?#\s\"'\\<>]|$))(?:(?!,\w+://)[^\s\"'\\<>])*@"
            r"|(://)(?!\[)[^\s/:@\"'\\<>]+@"
        ),
        lambda found: f"{found[1]}:{SCRUBBED}@" if found[1] else f"{found[2]}{SCRUBBED}@",
    ),
    (
        re.compile(
            r"(?i)([?&](?:[a-z_-]*(?:token|key|secret|password)|sig(?:nature)?|auth|pwd)=)[^\s&#\"'\\<>]+"
        ),
        rf"\1{SCRUBBED}",
    ),
    (re.compile(rf"(?i)(?<![a-z])({_NAMES}\\?[\"']?\s*[:=]\s*)({_VALUE})"), _named),
    (re.compile(rf"(?i)(--(?:{_NAMES}|token|secret)) +[^\s-]\S*"), rf"\1 {SCRUBBED}"),
    (re.compile(r"(--user[= ][^\s:\"']+):[^\s\"']+"), rf"\1:{SCRUBBED}"),
)  # fmt: skip

_HINTS = (
    *("key", "token", "secret", "passw", "passphrase", "auth", "bearer", "basic", "sig=", "pwd="),
    *("sk-", "gh", "xox", "eyj", "hooks.", "@", "--user"),
)
"""One of them is in every text that one of the patterns fits, in lower case."""

_PUBLIC = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TZ|TMPDIR|(?:LD|DYLD)_LIBRARY_PATH"
    r"|GO(?:MAXPROCS|GC|DEBUG|MEMLIMIT|TRACEBACK)|RUST_BACKTRACE|MALLOC_CONF|PYTHON\w+"
)
"""Variables that a program runs by, and those that tune a runtime of Go, Rust or Python."""

_ENVIRONMENT = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "ETCD_PASSWORD",
    "ETCDCTL_PASSWORD",
)
"""Variables whose very values are searched for: a key of a shape that nobody foresaw is still known."""


def scrub(value: Any, text: Callable[[str], str] | None = None) -> Any:
    """Return `value` (JSON) with everything that looks like a key replaced by `[scrubbed]`.

    `text`, if given, is called for each string in place of `scrub_text`.
    """
    each = text or scrub_text
    if isinstance(value, str):
        return each(value)
    if isinstance(value, Mapping):
        return {
            each(str(key)): SCRUBBED
            if isinstance(item, str) and item and _SECRET_NAMES.match(str(key))
            else scrub(item, each)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrub(item, each) for item in value]
    return value


def scrub_text(text: str) -> str:
    """Return `text` with everything that looks like a key replaced by `[scrubbed]`."""
    for secret in known_secrets():  # the longer ones first: one may be a part of another
        text = text.replace(secret, SCRUBBED)
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        for pattern, replacement in _SECRET_TEXTS:
            text = pattern.sub(replacement, text)
    return text


def public_environment() -> dict[str, str]:
    """Return what a database needs of this process's environment, and none of the keys and settings in it.

    A key may be in any variable (`DATABASE_URL`, `HTTPS_PROXY`). etcd writes those that it does not know into
    its log with their values, and ends where one says what an option says, too.
    """
    return {name: value for name, value in os.environ.items() if _PUBLIC.fullmatch(name)}


@functools.cache
def known_secrets() -> list[str]:
    """Return the keys and passwords that this process was given in its environment."""
    values = [os.environ.get(name, "") for name in _ENVIRONMENT]
    values.append(os.environ.get("ETCDCTL_USER", "").partition(":")[2])
    headers = os.environ.get("ANTHROPIC_CUSTOM_HEADERS", "").split("\n")
    values += [line.partition(":")[2] for line in headers]
    return sorted((value.strip() for value in values if len(value.strip()) >= 6), key=len, reverse=True)
