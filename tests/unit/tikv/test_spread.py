"""A new cluster's regions are led by all stores, also where PD refuses at first."""

import json
from typing import Any, cast

import pytest

from subjects.errors import Unreachable
from subjects.tikv import spread as spreading
from subjects.tikv.pd import PdClient
from subjects.tikv.spread import split_keys, spread

STORES = (1, 4, 5)


class Pd:
    """Regions in memory; a transfer is refused so many times, as PD does while a replica is behind."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.leaders = [1]
        self.asked: list[int] = []

    async def get(self, path: str, timeout_s: float) -> Any:
        assert (path, timeout_s > 0) == ("/regions", True)
        peers = [{"id": 100 + store, "store_id": store} for store in STORES]
        return {
            "regions": [
                {
                    "id": number,
                    "start_key": f"{number:04x}",
                    "peers": peers,
                    "leader": {"id": 100 + leader, "store_id": leader},
                }
                for number, leader in enumerate(self.leaders)
            ]
        }

    async def post(self, path: str, body: Any, timeout_s: float) -> Any:
        assert timeout_s > 0
        match path:
            case "/regions/split":
                self.leaders = [1] * (len(body["split_keys"]) + 1)
            case "/operators":
                if self.refusals:
                    self.refusals -= 1
                    raise Unreachable("500 cannot transfer leader to 4: unhealthy")
                self.asked.append(body["region_id"])
                self.leaders[body["region_id"]] = body["to_store_id"]
        return json.loads("null")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "_LOOK_S", 0.0)
    monkeypatch.setattr(spreading, "WAIT_S", 0.3)


@pytest.mark.parametrize("refusals", [0, 3, 20])
async def test_leaders_are_spread_though_pd_refuses_at_first(refusals: int) -> None:
    pd = Pd(refusals)

    assert await spread(cast("PdClient", pd), STORES) == ""
    assert {store: pd.leaders.count(store) for store in STORES} == dict.fromkeys(STORES, 4)
    assert len(pd.asked) == len({*pd.asked}) == len(split_keys()) + 1 - 4


async def test_what_pd_keeps_refusing_is_told() -> None:
    said = await spread(cast("PdClient", Pd(10**9)), STORES)

    assert said.endswith("could not be spread over the stores: 500 cannot transfer leader to 4: unhealthy")
