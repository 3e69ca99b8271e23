"""Roles that can be the target of a fault in place of a node's name; each database defines its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from subjects.base.snapshot import ClusterSnapshot

RANDOM = "random"
"""Any node that holds data. Every database has it."""


@dataclass(frozen=True, slots=True)
class TargetRole:
    """A role, and which nodes hold it."""

    name: str
    """As it is typed: `leader`."""
    words: str
    """As it is said: `the leader`."""
    held_by: Callable[[ClusterSnapshot, Sequence[str]], Sequence[str]]
    """Returns, of a snapshot and the nodes that hold data, the nodes in that role; one of them is chosen."""
    nobody: str
    """Why there may be no such node, in a sentence."""


def _leader(snapshot: ClusterSnapshot, _stores: Sequence[str]) -> Sequence[str]:
    return () if snapshot.leader is None else (snapshot.leader,)


def _followers(snapshot: ClusterSnapshot, stores: Sequence[str]) -> Sequence[str]:
    return () if snapshot.leader is None else [store for store in stores if store != snapshot.leader]


_NO_LEADER = "There is no leader now, so neither a leader nor a follower can be chosen."

LEADER = TargetRole("leader", "the leader", _leader, _NO_LEADER)
FOLLOWER = TargetRole("follower", "a follower", _followers, _NO_LEADER)
