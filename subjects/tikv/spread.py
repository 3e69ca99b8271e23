"""Gives a new cluster several regions, led by all of its stores.

A load of laptop size never reaches the size at which TiKV splits: all of it would be one region, led
where it began: two of three stores could die unnoticed. PD moves leaders only at a difference of ten.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from subjects.errors import Unreachable
from subjects.tikv.go_ycsb import go_ycsb_key
from subjects.tikv.pd import PdClient
from subjects.tikv.regions import Region, read_regions

RECORDS = 1000
"""As many as a load writes by default: by them go-ycsb's keys are parted."""

ASK_S = 3.0
WAIT_S = 15.0
"""How long PD may take to have the regions split, and then to have them led elsewhere."""

_LOOK_S = 0.3


def split_keys() -> tuple[str, ...]:
    """Return where a new cluster is split: at sixths of the keys that either load writes, in order.

    Those of operator's are `user` and a hash in decimal digits, evenly spread.
    """
    theirs = sorted(map(go_ycsb_key, range(RECORDS)))
    ours = (f"user{part}" for part in (24, 38, 52, 66, 80))
    return (*ours, *(theirs[RECORDS * sixth // 6] for sixth in range(6)))


async def spread(pd: PdClient, stores: Sequence[int]) -> str:
    """Split and spread a cluster that is new; returns why that could not be done, or nothing."""
    try:
        regions, keys = await _regions(pd), split_keys()
        if len(regions) > len(keys):
            return ""
        # Else PD would merge regions that are so small again.
        await pd.post("/config", {"merge-schedule-limit": 0}, ASK_S)
        in_hex = [key.encode().hex() for key in keys]
        await pd.post("/regions/split", {"split_keys": in_hex, "retry_limit": 3}, WAIT_S)
        regions = await _until(pd, lambda found: len(found) > len(keys))
        wanted = {region.id: stores[index % len(stores)] for index, region in enumerate(regions)}
        await _lead(pd, regions, wanted)
    except Unreachable as error:
        return f"the regions could not be spread over the stores: {error}"
    return ""


async def _lead(pd: PdClient, regions: Sequence[Region], wanted: Mapping[int, int]) -> None:
    """Have each region led by the store that is wanted: asked again where PD refuses for now.

    It does while the replica there has not caught up, as those of a region that was just split have not.
    """
    deadline, asked, refused = time.monotonic() + WAIT_S, set[int](), ""
    while left := [region for region in regions if not _led_by(region, wanted.get(region.id))]:
        if time.monotonic() > deadline:
            raise Unreachable(
                refused or f"{len(left)} of {len(regions)} leaders have not moved in {WAIT_S:g} s"
            )
        for region in left:
            if region.leader is None or region.id in asked:
                continue
            body = {"name": "transfer-leader", "region_id": region.id, "to_store_id": wanted[region.id]}
            try:
                await pd.post("/operators", body, ASK_S)
            except Unreachable as error:
                refused = str(error)
            else:
                asked.add(region.id)
        await asyncio.sleep(_LOOK_S)
        regions = await _regions(pd)


def _led_by(region: Region, store: int | None) -> bool:
    return store is None or (region.leader is not None and region.leader.store == store)


async def _regions(pd: PdClient) -> list[Region]:
    try:
        return sorted(read_regions(await pd.get("/regions", ASK_S)), key=lambda region: region.start)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"PD's regions cannot be read: {error}") from error


async def _until(pd: PdClient, holds: Callable[[list[Region]], bool]) -> list[Region]:
    deadline = time.monotonic() + WAIT_S
    while not holds(found := await _regions(pd)):
        if time.monotonic() > deadline:
            raise Unreachable(f"PD has not done it within {WAIT_S:g} s ({len(found)} regions)")
        await asyncio.sleep(_LOOK_S)
    return found
