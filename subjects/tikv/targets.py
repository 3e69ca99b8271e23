"""Targets of faults in TiKV, besides node names."""

from collections.abc import Sequence

from subjects.base.snapshot import ClusterSnapshot
from subjects.base.targets import FOLLOWER, LEADER, TargetRole


def _leads_most(snapshot: ClusterSnapshot, stores: Sequence[str]) -> Sequence[str]:
    leaders = {node.name: node.details.get("leaders") for node in snapshot.nodes if node.name in stores}
    led = {store: count for store, count in leaders.items() if isinstance(count, int) and count}
    return [max(led, key=led.__getitem__)] if led else ()


REGION_LEADER = TargetRole(
    "region-leader", "the store that leads most regions", _leads_most, "No store is known to lead regions."
)

TARGETS: tuple[TargetRole, ...] = (LEADER, FOLLOWER, REGION_LEADER)
USUAL_TARGET = REGION_LEADER.name
"""The store whose loss clients feel most. `leader` is PD's."""
