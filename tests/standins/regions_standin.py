"""PD's part of regions, for the stand-in of PD: where replicas are, who leads, what is split.

As on a real cluster all data is one region until somebody splits it, replicas come one after the other, and
leaders stay where they are while their store lives. Unlike there it is PD that decides who leads, by the
stores' heartbeats and by what they say of each other.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

REPLICAS = 3
REPLICA_S = 5.0
"""From one replica to the next; a fresh cluster of real parts took up to 15 s for all."""


@dataclass
class RegionRecord:
    """One region."""

    id: int
    start: str = ""
    """In hex, as all keys here."""
    end: str = ""
    version: int = 1
    conf_ver: int = 1
    peers: list[int] = field(default_factory=list)
    """The stores that hold a replica; with one replica a store, that names the peer as well."""
    leader: int = 0
    term: int = 1
    joining: int = 0
    """The store that is being given a replica, which does not count yet."""
    next_replica_at: float = 0.0


class RegionTable:
    """All regions of one cluster."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.regions: dict[int, RegionRecord] = {}

    def bootstrap(self, new_id: Callable[[], int], store: int, now: float) -> None:
        """Make the one region that a cluster begins with, on the store that came first."""
        region = RegionRecord(new_id(), peers=[store], leader=store, next_replica_at=now + self._replica_s())
        self.regions[region.id] = region

    def tick(self, now: float, alive: Iterable[int], gone: Iterable[int]) -> None:
        """Let time pass: replicas are added, and what a store that is gone led is led by another."""
        living, lost = list(alive), set(gone)
        for region in self.regions.values():
            if region.leader in lost:
                heirs = [store for store in region.peers if store in living]
                if len(heirs) > len(region.peers) // 2:
                    self._lead(region, min(heirs, key=self.led_by))
            elif len(region.peers) < REPLICAS and not region.joining and now >= region.next_replica_at:
                spare = [store for store in living if store not in region.peers]
                region.joining = spare[0] if spare else 0

    def joined(self, region_id: int, store: int, now: float) -> None:
        """Count a replica that has been given all data."""
        region = self.regions[region_id]
        if region.joining == store:
            region.peers.append(store)
            region.conf_ver += 1
            region.joining, region.next_replica_at = 0, now + self._replica_s()

    def split(self, keys: Iterable[str], new_id: Callable[[], int]) -> list[int]:
        """Split at keys (hex); returns the ids of the new regions."""
        made = []
        for key in sorted(key.upper() for key in keys):
            old = self.find(key)
            if old.start == key:
                continue
            old.version += 1
            new = RegionRecord(**{**asdict(old), "id": new_id(), "start": key})
            old.end = key
            self.regions[new.id] = new
            made.append(new.id)
        return made

    def transfer(self, region_id: int, store: int) -> bool:
        """Have another replica lead."""
        region = self.regions.get(region_id)
        if region is None or store not in region.peers:
            return False
        self._lead(region, store)
        return True

    def find(self, key: str) -> RegionRecord:
        """Return the region that holds a key (hex)."""
        return next(
            region
            for region in self.in_order()
            if region.start <= key and (not region.end or key < region.end)
        )

    def in_order(self) -> list[RegionRecord]:
        """Return all regions by their keys."""
        return sorted(self.regions.values(), key=lambda region: region.start)

    def led_by(self, store: int) -> int:
        """Return how many regions a store leads."""
        return sum(region.leader == store for region in self.regions.values())

    def on(self, store: int) -> int:
        """Return how many regions have a replica on a store."""
        return sum(store in region.peers for region in self.regions.values())

    def checked(self, what: str, gone: Iterable[int]) -> list[RegionRecord]:
        """Return the regions of one of PD's checks. What is down is told after ten minutes only."""
        lost = set(gone)
        match what:
            case "miss-peer":
                return [region for region in self.in_order() if len(region.peers) < REPLICAS]
            case "pending-peer":
                return [region for region in self.in_order() if region.joining and region.joining not in lost]
        return []

    def dump(self) -> list[dict[str, Any]]:
        """Return what is persisted."""
        return [asdict(region) for region in self.regions.values()]

    def load(self, raw: list[dict[str, Any]]) -> None:
        """Begin with what was persisted."""
        self.regions = {item["id"]: RegionRecord(**item) for item in raw}

    def _lead(self, region: RegionRecord, store: int) -> None:
        region.leader, region.term = store, region.term + 1

    def _replica_s(self) -> float:
        return REPLICA_S / self.speed


def body(region: RegionRecord) -> dict[str, Any]:
    """A region as PD writes it."""
    return {
        "id": region.id,
        "start_key": region.start,
        "end_key": region.end,
        "epoch": {"conf_ver": region.conf_ver, "version": region.version},
        "peers": [_peer(region, store) for store in region.peers],
        "leader": _peer(region, region.leader),
        "approximate_size": 1,
    }


def peer_id(region: int, store: int) -> int:
    """The id of a region's peer on a store."""
    return region * 1000 + store


def _peer(region: RegionRecord, store: int) -> dict[str, Any]:
    return {"id": peer_id(region.id, store), "store_id": store, "role_name": "Voter"}
