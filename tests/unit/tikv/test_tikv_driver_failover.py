"""A store that leads is gone: the driver goes on at the next one, and all that was acknowledged is there."""

import time
from pathlib import Path

from tests.unit.tikv.raw_cluster import raw_cluster


def soon(seconds: float) -> float:
    return time.monotonic() + seconds


async def test_what_was_acknowledged_survives_its_leader(tmp_path: Path) -> None:
    async with raw_cluster(tmp_path) as (cluster, driver):
        for number in range(30):
            await driver.insert(f"user{number}", str(number).encode(), soon(20))
        dead = cluster.leader_of("user1")
        await dead.data.close()
        dead.heartbeat_s = 3600.0
        cluster.pd.state.stores[dead.id].heartbeat -= 3600.0

        values = [await driver.read(f"user{number}", soon(20)) for number in range(30)]

        assert [value and value.value for value in values] == [str(number).encode() for number in range(30)]
        assert cluster.leader_of("user1") is not dead
