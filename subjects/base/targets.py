"""Roles that may stand in the place of a node's name where a fault is aimed; each database tells its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from subjects.base.snapshot import ClusterSnapshot

RANDOM = "random"
"""Of every database: any node that holds data."""


@dataclass(frozen=True, slots=True)
class TargetRole:
    """A role, and who has it."""

    name: str
    """As it is typed: `leader`."""
    words: str
    """As it is said: `the leader`."""
    held_by: Callable[[ClusterSnapshot, Sequence[str]], Sequence[str]]
    """From a snapshot and the nodes that hold data, those in that role; one of them is chosen."""
    nobody: str
    """Why there may be none, in a sentence."""


def _leader(snapshot: ClusterSnapshot, _stores: Sequence[str]) -> Sequence[str]:
    return () if snapshot.leader is None else (snapshot.leader,)


def _followers(snapshot: ClusterSnapshot, stores: Sequence[str]) -> Sequence[str]:
    return () if snapshot.leader is None else [store for store in stores if store != snapshot.leader]


_NO_LEADER = "There is no leader now, so neither a leader nor a follower can be chosen."

LEADER = TargetRole("leader", "the leader", _leader, _NO_LEADER)
FOLLOWER = TargetRole("follower", "a follower", _followers, _NO_LEADER)
