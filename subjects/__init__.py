"""The systems operated on: what each database is, and where its nodes run."""

from pathlib import Path


def databases() -> tuple[str, ...]:
    """Return the names of the databases that are here, in order: the folders that hold a `knowledge.md`."""
    return tuple(sorted(file.parent.name for file in Path(__file__).parent.glob("*/knowledge.md")))
