"""Small files of JSON that other processes read while they are written."""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from subjects.errors import LaidOutMeanwhile, NewerState, NotReady
from subjects.runtimes.filelock import locked
from subjects.untrusted import NotJson, read_json, read_object

Read = TypeVar("Read")

DAMAGE = (KeyError, TypeError, ValueError, AttributeError)
"""What reading a cluster's file ends in where that is damaged."""

LOCK = "up.lock"
"""The file in a cluster's folder that is locked while the cluster is laid out."""

LAY_OUT_S = 30.0
"""How long one operator may take to lay a cluster out while another waits to do the same."""


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
    except DAMAGE as error:
        raise damaged(path) from error


def damaged(path: Path) -> NotReady:
    """Return the error for a cluster's file that holds something else than operator writes."""
    return NotReady(f"{path} is damaged: operator does not write it so. Move the folder away.")


@asynccontextmanager
async def laying_out(
    folder: Path, layout: Read, load: Callable[[Path], Read | None], save: Callable[[Read, Path], None]
) -> AsyncIterator[None]:
    """Write a cluster's file, and keep others from laying the cluster out while the block runs.

    LaidOutMeanwhile when another operator has written another one since.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with locked(folder / LOCK, LAY_OUT_S):
        there = load(folder)
        if there is not None and there != layout:
            raise LaidOutMeanwhile(f"{folder.name} was laid out by another operator just now.")
        save(layout, folder)
        yield
