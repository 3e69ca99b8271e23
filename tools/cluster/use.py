"""Who uses a cluster: whoever started it takes it down at the end only if nobody else uses it then.

Every operator that watches a cluster holds a share of the lock on a file of the state folder; the kernel
gives it back when its holder dies, however it dies.
"""

from typing import TextIO

from subjects.base import Cluster
from subjects.runtimes.filelock import share, try_lock
from subjects.state import StateFolder


def acquire(state: StateFolder, cluster: Cluster) -> TextIO | None:
    """Use the cluster until what is returned is closed; None for one that is being taken down."""
    return share(state.root / f"use-{cluster.id}.lock")


def is_sole_holder(mine: TextIO) -> bool:
    """Say whether nobody else uses it, and keep others from beginning to until `mine` is closed."""
    return try_lock(mine.fileno())
