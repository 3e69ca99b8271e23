"""PD's state machine, without PD: stores, their heartbeats, and what PD makes of the time since.

A stand-in. A test can let twenty seconds pass at once (`ahead_s`).
"""

import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.standins.regions_standin import RegionTable

DISCONNECTED_S = 20.0
"""pd pkg/core/store.go:628, not configurable."""
DOWN_S = 1800.0
"""schedule.max-store-down-time."""
PERSIST_S = 300.0
"""A heartbeat's time is persisted at most so often: what a new leader begins with (store.go:39)."""
ELECTION_S = 10.0
"""TiKV's shortest election timeout: when another store leads the regions of one that is gone."""


@dataclass
class StoreRecord:
    """What PD keeps of one store."""

    id: int
    address: str
    status_address: str
    started: float
    heartbeat: float
    persisted: float
    """The heartbeat that survives a change of leader."""
    capacity: int = 8 << 30
    available: int = 8 << 30
    state: int = 0
    """0 Up, 1 Offline, 2 Tombstone."""
    status: dict[str, Any] = field(default_factory=dict)
    """Optional fields, as the store reports them."""


class PdState:
    """The stores of one cluster, as the leading PD holds them."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        """How many times faster than PD's its thresholds are."""
        self.ahead_s = 0.0
        self.stores: dict[int, StoreRecord] = {}
        self.regions = RegionTable(speed)
        self.since = self.now()
        """Since when this state is kept by who keeps it: before, it heard of nobody."""
        self.unreachable: dict[int, dict[int, float]] = {}
        """Of each store, since when each other one cannot reach it."""
        self.next_id = 1

    def now(self) -> float:
        """The clock, and what a test moved it by."""
        return time.time() + self.ahead_s

    def register(self, body: dict[str, Any]) -> int:
        """Put a store; an address that another id holds is refused with 0."""
        now = self.now()
        wanted = int(body.get("id") or 0)
        same = next((s for s in self.stores.values() if s.address == body["address"] and s.state != 2), None)
        if same is not None and same.id != wanted:
            return 0
        store_id = wanted or self.new_id()
        self.stores[store_id] = StoreRecord(
            store_id, body["address"], body["status_address"], body["started"], now, now
        )
        self.next_id = max(self.next_id, store_id + 1)
        if not self.regions.regions:
            self.regions.bootstrap(self.new_id, store_id, now)
        return store_id

    def heartbeat(self, store_id: int, status: dict[str, Any]) -> bool:
        """Take a heartbeat; False for a store that is not known."""
        store = self.stores.get(store_id)
        if store is None:
            return False
        now = self.now()
        store.heartbeat = now
        if now - store.persisted >= PERSIST_S / self.speed:
            store.persisted = now
        store.available = int(status.pop("available", store.available))
        self._hear_of_others(store_id, status.pop("unreachable", ()), now)
        store.status = status
        return True

    def tick(self) -> None:
        """Let the time since count: replicas are added, leaders replaced."""
        serving = [store for store in self.stores.values() if store.state == 0]
        gone = [store.id for store in serving if self.gone(store)]
        self.regions.tick(self.now(), [store.id for store in serving if store.id not in gone], gone)

    def gone(self, store: StoreRecord) -> bool:
        """Whether the other stores have given it up for as long as an election takes."""
        now, limit = self.now(), ELECTION_S / self.speed
        if now - max(store.heartbeat, self.since) > limit:
            return True
        others = [other.id for other in self.stores.values() if other.id != store.id and other.state == 0]
        since = self.unreachable.get(store.id, {})
        return bool(others) and all(now - since.get(other, now) > limit for other in others)

    def _hear_of_others(self, teller: int, unreachable: Iterable[int], now: float) -> None:
        given = set(unreachable)
        for store_id in self.stores:
            since = self.unreachable.setdefault(store_id, {})
            if store_id in given:
                since.setdefault(teller, now)
            else:
                since.pop(teller, None)

    def age(self, store: StoreRecord) -> float:
        """Seconds since its last heartbeat, in PD's time."""
        return (self.now() - store.heartbeat) * self.speed

    def state_name(self, store: StoreRecord) -> str:
        """pd pkg/response/store.go:140-146."""
        if store.state:
            return "Offline" if store.state == 1 else "Tombstone"
        age = self.age(store)
        if age <= DISCONNECTED_S:
            return "Up"
        return "Disconnected" if age <= DOWN_S else "Down"

    def store_body(self, store: StoreRecord) -> dict[str, Any]:
        """A store as `/stores` writes it."""
        meta: dict[str, Any] = {
            "id": store.id,
            "address": store.address,
            "version": "8.5.5-standin",
            "peer_address": store.address,
            "status_address": store.status_address,
            "git_hash": "standin",
            "start_timestamp": int(store.started),
            "deploy_path": "/",
            "last_heartbeat": int(store.heartbeat * 1e9),
            "node_state": 1,
            "state_name": self.state_name(store),
        }
        if store.state:
            meta["state"] = store.state
        led, held = self.regions.led_by(store.id), self.regions.on(store.id)
        status = {
            "capacity": go_size(store.capacity),
            "available": go_size(store.available),
            "used_size": go_size(store.capacity - store.available),
            "leader_weight": 1,
            "start_ts": go_time(store.started),
            "last_heartbeat_ts": go_time(store.heartbeat),
            "uptime": f"{store.heartbeat - store.started:.6f}s",
            **store.status,
        }
        if led:
            status["leader_count"] = led  # omitted when 0, like every number here
        if held:
            status["region_count"] = held
        return {"store": meta, "status": status}

    def stores_body(self, states: set[str] | None = None) -> dict[str, Any]:
        """All stores, or those of the given state names."""
        chosen = [
            store
            for store in self.stores.values()
            if (store.state != 2 if states is None else self.state_name(store).lower() in states)
        ]
        return {"count": len(chosen), "stores": [self.store_body(store) for store in chosen]}

    def dump(self) -> dict[str, Any]:
        """What is persisted, and so what a follower that becomes leader begins with."""
        stores = [asdict(store) for store in self.stores.values()]
        return {"stores": stores, "regions": self.regions.dump(), "next_id": self.next_id}

    def load(self, raw: dict[str, Any]) -> None:
        """Begin with what was persisted: heartbeats are as old as their last persisted time."""
        self.next_id = raw["next_id"]
        self.since, self.unreachable = self.now(), {}
        self.regions.load(raw["regions"])
        self.stores = {item["id"]: StoreRecord(**item) for item in raw["stores"]}
        for store in self.stores.values():
            store.heartbeat = store.persisted

    def new_id(self) -> int:
        """PD hands out ids of stores, regions and peers from one sequence."""
        new, self.next_id = self.next_id, self.next_id + 3
        return new


def go_size(value: int) -> str:
    """docker/go-units BytesSize: four significant digits, 1024-based."""
    size, units = float(value), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    digits = max(0, 3 - math.floor(math.log10(size))) if size >= 1 else 0
    text = f"{size:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{units[0]}"


def go_time(wall: float) -> str:
    """RFC 3339 with nanoseconds."""
    whole = datetime.fromtimestamp(int(wall), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{int(wall % 1 * 1e9):09d}Z"
