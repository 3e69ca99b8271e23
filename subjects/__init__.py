"""The systems operated on: what each database is, and where its nodes run."""

from collections.abc import Mapping
from pathlib import Path

RUNTIMES: Mapping[str, str] = {
    "process": "cluster.json",
    "docker": "docker.json",
    "kubernetes": "kubernetes.json",
}
"""Each runtime, and the file that it leaves in the folder of a cluster."""


def databases() -> tuple[str, ...]:
    """Return the names of the databases that are here, in order: the folders that hold a `knowledge.md`."""
    return tuple(sorted(file.parent.name for file in Path(__file__).parent.glob("*/knowledge.md")))
