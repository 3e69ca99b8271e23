"""Small files of JSON that other processes read while they are written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from subjects.errors import NewerState, NotReady
from subjects.untrusted import NotJson, read_json, read_object

Read = TypeVar("Read")


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


def read_layout(path: Path, version: int, make: Callable[[dict[str, Any]], Read]) -> Read | None:
    """Make what a cluster's file holds; None when there is no file, or half of one that never started.

    NewerState when a newer version wrote it, NotReady when it is damaged.
    """
    try:
        raw = read_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, NotJson):
        return None
    try:
        if (written := raw.pop("version")) > version:
            raise NewerState(
                f"{path} was written by a newer operator (version {written} of the format, this one reads "
                f"{version}). Use that operator, or give another --state-dir."
            )
        return make(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"{path} is damaged ({type(error).__name__}: {error}). Move the folder away."
        raise NotReady(text) from error
