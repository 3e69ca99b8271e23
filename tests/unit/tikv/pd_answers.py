"""PD's answers, constructed after the field names, types and formats of v8.5.5."""

import json
from datetime import UTC, datetime
from typing import Any


def store(
    number: int,
    at: float,
    *,
    state: str = "Up",
    age_s: float = 1.0,
    started: int = 1767225600,
    **status: Any,
) -> dict[str, Any]:
    """One element of `/stores`; numbers that are zero are left out, as PD does."""
    heartbeat = at - age_s
    return {
        "store": {
            "id": number,
            "address": f"tikv{number}:20160",
            "version": "8.5.5",
            "status_address": f"tikv{number}:20180",
            "start_timestamp": started,
            "last_heartbeat": int(heartbeat * 1e9),
            "node_state": 1,
            "state_name": state,
        },
        "status": {
            "capacity": "8GiB",
            "available": "7.812GiB",
            "used_size": "37.5MiB",
            "leader_count": 7,
            "region_count": 20,
            "slow_score": 1,
            "start_ts": "2026-01-01T00:00:00Z",
            "last_heartbeat_ts": datetime.fromtimestamp(heartbeat, UTC).isoformat(),
            "uptime": "2m3.123456789s",
            **status,
        },
    }


def stores(*items: dict[str, Any]) -> str:
    """The body of `/stores`."""
    return json.dumps({"count": len(items), "stores": list(items)}, indent=2)


def members(leader: str = "pd0", names: tuple[str, ...] = ("pd0", "pd1", "pd2")) -> str:
    """The body of `/members`."""
    rows = [
        {
            "name": name,
            "member_id": 3474484975246189105 + index,
            "client_urls": [f"http://{name}:2379"],
            "binary_version": "v8.5.5",
        }
        for index, name in enumerate(names)
    ]
    leading = next(row for row in rows if row["name"] == leader)
    return json.dumps({"header": {"cluster_id": 7589123456789012345}, "members": rows, "leader": leading})


NO_LEADER = "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader"
NOT_BOOTSTRAPPED = json.dumps(
    "[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first"
)
