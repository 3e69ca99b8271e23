"""Whether every region has all its replicas, as PD counts them.

A store is up within seconds; PD needs up to 15 s more to give a new cluster's regions their replicas, and as
long again when a store is replaced. Until then the loss of one store may be the loss of data.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from subjects.base import ControlState, Replication
from subjects.errors import Unreachable
from subjects.tikv.pd import PdClient, Store

CHECKS = ("miss-peer", "pending-peer", "down-peer")
"""PD's checks of regions (pkg/statistics/region_collection.go). A store that just died is in none of them."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What PD says of the regions, and of each store."""

    replication: Replication = field(default_factory=Replication)
    missing_by_store: Mapping[str, int] = field(default_factory=dict)
    """By store id: regions of which its replica is missing, behind or gone."""


async def read_placement(
    pd: PdClient, regions: int | None, stores: Sequence[Store], replicas: int, timeout_s: float
) -> Placement:
    """Ask PD for its checks; what it can't say is None. `regions` was read before `stores`."""
    found = await asyncio.gather(*(_checked(pd, what, timeout_s) for what in CHECKS))
    missing, pending, down = found
    by_store: Counter[str] = Counter()
    serving = [store.id for store in stores if store.state is not ControlState.OFFLINE and not store.learner]
    for region in missing or ():
        there = {str(peer.get("store_id")) for peer in region.get("peers") or ()}
        if len(serving) == replicas:  # else PD may choose among several
            by_store.update(set(serving) - there)
    by_store.update(
        str(peer.get("store_id")) for region in pending or () for peer in region.get("pending_peers") or ()
    )
    for region in down or ():
        gone = (item.get("peer") or {} for item in region.get("down_peers") or ())
        by_store.update(str(peer.get("store_id")) for peer in gone)
    led = sum(store.leaders for store in stores)
    return Placement(
        Replication(
            regions=regions,
            # Leaders that were counted later than the regions can be more, never fewer, without one missing.
            leaderless=None if regions is None else max(0, regions - led),
            missing=_count(missing),
            pending=_count(pending),
            down=_count(down),
        ),
        dict(by_store),
    )


def replication_problems(replication: Replication) -> list[str]:
    """Say what is wrong with the replicas, a short phrase each."""
    of = "" if replication.regions is None else f" of {replication.regions}"
    said = (
        (replication.leaderless, "have no leader"),
        (replication.missing, "lack a replica"),
        (replication.pending, "have a replica that is behind"),
        (replication.down, "have a replica that has been down for minutes"),
    )
    return [f"{count}{of} regions {what}" for count, what in said if count]


async def _checked(pd: PdClient, what: str, timeout_s: float) -> list[dict[str, Any]] | None:
    try:
        return await pd.checked(what, timeout_s)
    except Unreachable:
        return None


def _count(regions: list[dict[str, Any]] | None) -> int | None:
    return None if regions is None else len(regions)
