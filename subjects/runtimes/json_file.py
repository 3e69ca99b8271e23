"""Small files of JSON that other processes read while they are written."""

import json
import os
from pathlib import Path
from typing import Any

from subjects.untrusted import NotJson, read_object


def read_file(path: Path) -> dict[str, Any] | None:
    """Return the object in a file; None where there is no file, or no object in it."""
    try:
        return read_object(path.read_bytes())
    except (FileNotFoundError, NotJson):
        return None


def write_json(path: Path, value: Any) -> None:
    """Replace the file in one step: a reader sees the old or the new text, never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(path)
