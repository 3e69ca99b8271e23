"""Text and JSON from outside, made fit to be kept and shown: by servers, files, arguments, the environment.

Whoever reads from outside reads through here, once; nothing further in has to expect half a character, a
NUL, a number that no float holds or lists within lists without end.
"""

import json
import math
import re
from typing import Any

from subjects.scrub import scrub_text

MAX_DEPTH = 64
"""Lists and objects within each other. The deepest answer of etcd or PD has 8; Python's own limit is 1000
frames, which whoever walks over the value later has to share."""

LONGEST_NAME = 255
"""Characters, as of a host."""

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI sequences
    r"|\x1b[\]PX^_].*?(?:\x1b\\|\x07|$)"  # OSC, DCS, SOS, PM and APC strings
    r"|\x1b.?"  # other escapes
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # control characters except tab and newline
    r"|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"  # invisible and direction-changing ones
    r"|[\ud800-\udfff]",  # halves of characters, which JSON can spell and no file can hold
    re.DOTALL,
)


class NotJson(ValueError):
    """It is no JSON, or none that can be worked with: nested too deep."""


def well_formed(text: str) -> str:
    """Return `text` with U+FFFD in the place of NULs and halves of characters.

    JSON can spell both and arguments can hold the halves, but UTF-8, SQLite and terminals cannot.
    """
    return _NO_TEXT.sub("\ufffd", text)


def clean(text: str) -> str:
    """Return `text` without keys, and without what could move a cursor, hide or reverse a line."""
    return scrub_text(_CONTROL.sub("", text))


def read_name(name: object) -> str:
    """Return a name or a word that others chose, on one line: it will stand in sentences and tables."""
    return " ".join(clean(str(name)).split())[:LONGEST_NAME]


def read_text(data: bytes) -> str:
    """Return `data` as text; what is no UTF-8 is replaced."""
    return well_formed(data.decode("utf-8", "replace"))


def read_json(data: str | bytes) -> Any:
    """Return the JSON in `data`, its texts well formed. Raises NotJson.

    Numbers that no float holds, and NaN, which Python's reader takes, become None: they are not known.
    """
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    text = text.removeprefix("\ufeff")  # the mark that editors and shells of Windows begin with
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_real, parse_constant=lambda _name: None)
        return _tidy(value, MAX_DEPTH)
    except RecursionError as error:
        raise NotJson("nested too deep") from error
    except NotJson:
        raise
    except ValueError as error:
        raise NotJson(str(error)) from error


def read_object(data: str | bytes) -> dict[str, Any]:
    """Return the JSON object in `data`. Raises NotJson for everything else, as `read_json` does."""
    value = read_json(data)
    if not isinstance(value, dict):
        raise NotJson("not an object")
    return value


def read_leading_object(text: str) -> tuple[dict[str, Any], str]:
    """Return the JSON object that `text` begins with and what follows; an empty one where it has none."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return {}, text
    return (value, text[end:].strip()) if isinstance(value, dict) else ({}, text)


def _whole(digits: str) -> int | float | None:
    return int(digits) if len(digits) <= 20 else _real(digits)  # 20 digits: unsigned 64-bit ids


def _real(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _tidy(value: Any, room: int) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict | list) and not room:
        raise NotJson("nested too deep")
    if isinstance(value, dict):
        return {well_formed(key): _tidy(item, room - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_tidy(item, room - 1) for item in value]
    return value
