"""PD's state machine, without PD: stores, their heartbeats, and what PD makes of the time since.

A stand-in. A test can let twenty seconds pass at once (`ahead_s`).
"""

import math
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

DISCONNECTED_S = 20.0
"""pd pkg/core/store.go:628, not configurable."""
DOWN_S = 1800.0
"""schedule.max-store-down-time."""
PERSIST_S = 300.0
"""A heartbeat's time is persisted at most so often: what a new leader begins with (store.go:39)."""
ELECTION_S = 10.0
"""TiKV's shortest election timeout: when another store leads the regions of one that is gone."""
REGIONS = 12


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
        self.leaders: dict[int, int] = {}
        """Region → store that leads it."""
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
        store_id = wanted or self._new_id()
        self.stores[store_id] = StoreRecord(
            store_id, body["address"], body["status_address"], body["started"], now, now
        )
        self.next_id = max(self.next_id, store_id + 1)
        self._spread()
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
        store.status = status
        self._spread()
        return True

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
        self._spread()
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
        led = sum(leader == store.id for leader in self.leaders.values())
        status = {
            "capacity": go_size(store.capacity),
            "available": go_size(store.available),
            "used_size": go_size(store.capacity - store.available),
            "leader_weight": 1,
            "region_count": REGIONS,
            "start_ts": go_time(store.started),
            "last_heartbeat_ts": go_time(store.heartbeat),
            "uptime": f"{store.heartbeat - store.started:.6f}s",
            **store.status,
        }
        if led:
            status["leader_count"] = led  # omitted when 0, like every number here
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
        return {"stores": [asdict(store) for store in self.stores.values()], "next_id": self.next_id}

    def load(self, raw: dict[str, Any]) -> None:
        """Begin with what was persisted: heartbeats are as old as their last persisted time."""
        self.next_id = raw["next_id"]
        self.stores = {item["id"]: StoreRecord(**item) for item in raw["stores"]}
        for store in self.stores.values():
            store.heartbeat = store.persisted

    def _new_id(self) -> int:
        # PD hands out ids for regions and peers from the same sequence.
        store_id, self.next_id = self.next_id, self.next_id + 3
        return store_id

    def _spread(self) -> None:
        """Let stores that are alive lead the regions, evenly; a store that is gone keeps them for a while."""
        alive = [s.id for s in self.stores.values() if s.state == 0 and self.age(s) <= 2 * ELECTION_S]
        if not alive:
            return
        for region in range(REGIONS):
            fair = alive[region % len(alive)]
            if self.leaders.get(region) not in alive or self._unfair(alive):
                self.leaders[region] = fair

    def _unfair(self, alive: list[int]) -> bool:
        led = [sum(leader == store for leader in self.leaders.values()) for store in alive]
        return max(led) - min(led) > REGIONS // len(alive)


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
