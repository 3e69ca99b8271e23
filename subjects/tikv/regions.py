"""Which region holds a key and which store leads it, as one client has learned it."""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Peer:
    """One replica of a region."""

    id: int
    store: int


@dataclass(slots=True)
class Region:
    """One region. `leader` moves as clients learn of it; a region whose bounds change is another one."""

    id: int
    start: bytes
    end: bytes
    """The first key that is not in it; empty for the last region."""
    version: int
    conf_ver: int
    peers: tuple[Peer, ...]
    leader: Peer | None
    doubted: bool = False
    """Its leader did not answer, or is not it any more: PD is asked again."""

    def holds(self, key: bytes) -> bool:
        """Whether the key lies in it."""
        return self.start <= key and (not self.end or key < self.end)


@dataclass(slots=True)
class Regions:
    """The regions that are known, in the order of their keys; they never overlap."""

    _starts: list[bytes] = field(default_factory=list)
    _by_start: dict[bytes, Region] = field(default_factory=dict)

    def find(self, key: bytes) -> Region | None:
        """Return the region that holds the key, if it is known."""
        index = bisect_right(self._starts, key) - 1
        if index < 0:
            return None
        region = self._by_start[self._starts[index]]
        return region if region.holds(key) else None

    def take(self, regions: Iterable[Region]) -> None:
        """Take what was learned; it replaces all that it overlaps, unless that is newer."""
        for region in regions:
            old = self._overlapped_by(region)
            if any(other.version > region.version for other in old):
                continue  # PD hears of a split later than a client that a store told
            for other in old:
                self.forget(other)
            insort(self._starts, region.start)
            self._by_start[region.start] = region

    def forget(self, region: Region) -> None:
        """Drop a region."""
        if self._by_start.get(region.start) is region:
            del self._by_start[region.start]
            self._starts.remove(region.start)

    def _overlapped_by(self, region: Region) -> list[Region]:
        return [
            other
            for other in self._by_start.values()
            if (not region.end or other.start < region.end) and (not other.end or region.start < other.end)
        ]


def read_regions(body: object) -> list[Region]:
    """Read PD's `RegionsInfo`; ValueError, KeyError or TypeError for anything else."""
    items: Sequence[Mapping[str, Any]] = (body.get("regions") or ()) if isinstance(body, dict) else ()
    return [read_region(item) for item in items]


def read_region(item: Mapping[str, Any]) -> Region:
    """Read one region as PD writes it (pkg/response/region.go): keys are hex, what is zero is left out."""
    epoch, leader = item.get("epoch") or {}, item.get("leader") or {}
    return Region(
        id=int(item["id"]),
        start=bytes.fromhex(str(item.get("start_key") or "")),
        end=bytes.fromhex(str(item.get("end_key") or "")),
        version=int(epoch.get("version") or 0),
        conf_ver=int(epoch.get("conf_ver") or 0),
        peers=tuple(Peer(int(peer["id"]), int(peer["store_id"])) for peer in item.get("peers") or ()),
        leader=Peer(int(leader["id"]), int(leader["store_id"])) if leader.get("store_id") else None,
    )
