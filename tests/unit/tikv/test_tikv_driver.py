"""The load driver of TiKV: what is acknowledged is there, a write goes out once, a region is followed."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from subjects.load import OperationFailed
from subjects.tikv.load import TikvDriver
from tests.unit.tikv.raw_cluster import RawCluster, raw_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "user0000000042"


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[RawCluster, TikvDriver]]:
    async with raw_cluster(tmp_path_factory.mktemp("tikv")) as made:
        yield made


@pytest.fixture
def cluster(both: tuple[RawCluster, TikvDriver]) -> RawCluster:
    return both[0]


@pytest.fixture
def driver(both: tuple[RawCluster, TikvDriver]) -> TikvDriver:
    both[1].take_failures()
    return both[1]


async def test_what_was_written_is_read_and_what_was_not_is_none(driver: TikvDriver) -> None:
    await driver.insert(KEY, b"one", soon())
    await driver.update(KEY, b"two", soon())

    found = await driver.read(KEY, soon())

    assert found is not None
    assert (found.value, found.revision) == (b"two", None)
    assert await driver.read("user9999999999", soon()) is None
    assert driver.take_failures() == {}


async def test_a_scan_goes_on_over_the_border_of_regions(cluster: RawCluster, driver: TikvDriver) -> None:
    for number in range(20):
        await driver.insert(f"user1{number:09}", b"x", soon())
    await cluster.split("user1000000007", "user1000000013")

    assert await driver.scan("user1000000003", 15, soon()) == 15
    assert await driver.scan("user1000000018", 10, soon()) == 2
    assert len(cluster.regions.regions) == 3


async def test_a_region_that_was_split_or_is_led_elsewhere_is_followed(
    cluster: RawCluster, driver: TikvDriver
) -> None:
    await driver.update(KEY, b"before", soon())
    old = cluster.leader_of(KEY)
    heir = next(store for store in cluster.stores if store is not old)
    cluster.regions.transfer(cluster.regions.find(KEY.encode().hex().upper()).id, heir.id)
    await cluster.split("user0000000020", "user0000000060")

    await driver.update(KEY, b"after", soon())

    found = await driver.read(KEY, soon())
    assert found is not None
    assert found.value == b"after"
    assert sum(driver.take_failures().values()) >= 1


@pytest.mark.parametrize(
    "error",
    [
        "server_is_busy",
        "region_not_found",
        "key_not_in_region",
        "store_not_match",
        "mismatch_peer_id",
        "region_not_initialized",
        "proposal_in_merging_mode",
        "read_index_not_ready",
        "not_leader",
        "epoch_not_match",
    ],
)
async def test_what_was_refused_before_it_was_proposed_is_sent_again(
    error: str, cluster: RawCluster, driver: TikvDriver
) -> None:
    await driver.read(KEY, soon())
    driver.take_failures()
    cluster.leader_of(KEY).data.answers += [error]

    await driver.update(KEY, error.encode(), soon())

    found = await driver.read(KEY, soon())
    assert found is not None
    assert found.value == error.encode()
    assert sum(driver.take_failures().values()) == 1


@pytest.mark.parametrize("error", ["stale_command", "undetermined_result"])
async def test_a_write_that_may_have_been_proposed_is_not_sent_again(
    error: str, cluster: RawCluster, driver: TikvDriver
) -> None:
    await driver.update(KEY, b"kept", soon())
    cluster.leader_of(KEY).data.answers += [error]

    with pytest.raises(OperationFailed) as failed:
        await driver.update(KEY, b"unsure", soon())

    assert failed.value.indeterminate
    cluster.leader_of(KEY).data.answers += [error]
    found = await driver.read(KEY, soon())  # a read may be repeated
    assert found is not None
    assert found.value == b"kept"


@pytest.mark.parametrize("error", ["disk_full", "raft_entry_too_large", "flashback_in_progress"])
async def test_what_is_refused_for_certain_fails_at_once_and_did_not_happen(
    error: str, cluster: RawCluster, driver: TikvDriver
) -> None:
    cluster.leader_of(KEY).data.answers += [error]

    with pytest.raises(OperationFailed, match=error.replace("_", " ")) as failed:
        await driver.update(KEY, b"refused", soon())

    assert not failed.value.indeterminate


async def test_a_slow_answer_is_waited_for_where_nobody_else_leads(
    cluster: RawCluster, driver: TikvDriver
) -> None:
    leader = cluster.leader_of(KEY)
    leader.data.delay_s = 0.8
    try:
        await driver.update(KEY, b"slow", soon(2.0))
        found = await driver.read(KEY, soon(2.0))
    finally:
        leader.data.delay_s = 0.0

    assert found is not None
    assert found.value == b"slow"


async def test_a_read_that_waits_on_a_silent_leader_goes_to_the_next_one(
    cluster: RawCluster, driver: TikvDriver
) -> None:
    await driver.update(KEY, b"there", soon())
    old = cluster.leader_of(KEY)
    heir = next(store for store in cluster.stores if store is not old)
    old.data.delay_s = 60.0
    try:
        reading = asyncio.create_task(driver.read(KEY, soon(10)))
        cluster.regions.transfer(cluster.regions.find(KEY.encode().hex().upper()).id, heir.id)
        found = await reading
    finally:
        old.data.delay_s = 0.0

    assert found is not None
    assert found.value == b"there"


async def test_a_write_without_an_answer_is_indeterminate_and_ends_in_time(
    cluster: RawCluster, driver: TikvDriver
) -> None:
    await driver.read(KEY, soon())
    leader = cluster.leader_of(KEY)
    leader.data.delay_s = 60.0
    try:
        with pytest.raises(OperationFailed) as failed:
            await driver.update(KEY, b"unsure", soon(0.7))
    finally:
        leader.data.delay_s = 0.0

    assert (failed.value.timed_out, failed.value.indeterminate) == (True, True)


async def test_a_store_that_refuses_connections_was_sent_nothing_and_is_found_again(
    cluster: RawCluster, driver: TikvDriver
) -> None:
    await driver.update(KEY, b"kept", soon())
    leader = cluster.leader_of(KEY)
    await leader.data.close()
    try:
        with pytest.raises(OperationFailed):
            await driver.update(KEY, b"first", soon(0.3))  # its connection may have been open still
        with pytest.raises(OperationFailed) as failed:
            await driver.update(KEY, b"second", soon(0.3))
    finally:
        await leader.data.listen(leader.options.addr)

    assert (failed.value.timed_out, failed.value.indeterminate) == (True, False)
    found = await driver.read(KEY, soon(10))
    assert found is not None
    assert found.value in (b"kept", b"first")


async def test_without_pd_what_is_known_goes_on_being_used(cluster: RawCluster, driver: TikvDriver) -> None:
    await driver.update(KEY, b"known", soon())
    leader, cluster.pd.leader = cluster.pd.leader, None
    try:
        await driver.update(KEY, b"still", soon(1.0))
    finally:
        cluster.pd.leader = leader

    found = await driver.read(KEY, soon())
    assert found is not None
    assert found.value == b"still"


async def test_without_any_pd_nothing_is_sent_and_the_reason_is_pds() -> None:
    driver = TikvDriver(["127.0.0.1:1"], {})
    try:
        with pytest.raises(OperationFailed, match=r"127\.0\.0\.1:1") as failed:
            await driver.update(KEY, b"x", soon(0.5))
    finally:
        await driver.close()

    assert (failed.value.unsent, failed.value.indeterminate) == (True, False)


async def test_an_option_that_the_driver_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no option speed"):
        TikvDriver(["127.0.0.1:1"], {"speed": "1"})
