"""What a real PD answered, recorded, read by our client. How it was recorded stands in the file."""

import json
from pathlib import Path
from typing import Any

import pytest
import respx

from subjects.base import ControlState
from subjects.tikv.pd import NoLeader, NotBootstrapped, PdClient

RECORDED = json.loads(Path(__file__).with_name("recorded").joinpath("pd_v8_1.json").read_text())
URL = "http://127.0.0.1:2379"


def answers(path: str, name: str) -> None:
    """Have PD answer `path` as it did."""
    was: dict[str, Any] = RECORDED["answers"][name]
    respx.get(f"{URL}/pd/api/v1{path}").respond(
        was["status"], text=was["body"], content_type=was["type"] or "text/plain"
    )


@pytest.fixture
def pd() -> PdClient:
    return PdClient([URL])


@respx.mock
async def test_stores_of_which_one_was_killed_twenty_seconds_ago(pd: PdClient) -> None:
    answers("/stores", "stores, one killed")

    stores = await pd.stores(1.0)

    states = sorted(store.state for store in stores)
    assert states == [ControlState.DISCONNECTED, ControlState.UP, ControlState.UP]
    for store in stores:
        assert store.last_heartbeat is not None
        silent_s = RECORDED["recorded_at"] - store.last_heartbeat
        assert (silent_s > 20) == (store.state is ControlState.DISCONNECTED)
        assert store.available_bytes is not None
        assert store.started is not None
        assert store.status_address.startswith("127.0.0.1:")


@respx.mock
async def test_the_group_and_its_leader(pd: PdClient) -> None:
    answers("/members", "members")

    group = await pd.group(1.0)

    assert sorted(member.name for member in group.members) == ["pd0", "pd1", "pd2"]
    assert group.leader in {"pd0", "pd1", "pd2"}
    assert len({member.id for member in group.members}) == 3
    assert all(member.version == "v8.1.0-alpha" for member in group.members)


@respx.mock
async def test_replicas_and_a_pds_own_start(pd: PdClient) -> None:
    answers("/config/replicate", "replicate")
    answers("/status", "status of a follower, by itself")

    assert await pd.replicas(1.0) == 3
    assert (await pd.started(URL, 1.0) or 0) < RECORDED["recorded_at"]


@respx.mock
async def test_before_the_first_store(pd: PdClient) -> None:
    answers("/stores", "stores before the first store")

    with pytest.raises(NotBootstrapped, match="start TiKV first"):
        await pd.stores(1.0)


@pytest.mark.parametrize(
    "name",
    ["stores of a follower whose leader was killed", "stores of a follower that knows of no leader"],
)
@respx.mock
async def test_a_group_without_a_leader(pd: PdClient, name: str) -> None:
    answers("/stores", name)

    with pytest.raises(NoLeader):
        await pd.stores(1.0)


def test_a_follower_that_may_answer_by_itself_outlives_its_leader() -> None:
    recorded = RECORDED["answers"]

    assert recorded["ping of that follower"]["status"] == 500
    assert recorded["ping of that follower, by itself"]["status"] == 200
