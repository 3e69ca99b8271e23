"""PD's HTTP API as it really answers: lenient bodies, fail-over, the states of §2.3."""

import time

import httpx2
import pytest
import respx

from subjects.base import ControlState
from subjects.errors import Unreachable
from subjects.tikv.pd import NoLeader, NotBootstrapped, PdClient, read_store
from subjects.tikv.values import size_bytes, wall_time
from tests.unit.tikv import pd_answers

URLS = ("http://pd0:2379", "http://pd1:2379", "http://pd2:2379")


def stores_at(url: str) -> str:
    return f"{url}/pd/api/v1/stores"


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("Up", ControlState.UP),
        ("Disconnected", ControlState.DISCONNECTED),
        ("Down", ControlState.DOWN),
        ("Offline", ControlState.OFFLINE),
        ("Tombstone", ControlState.OFFLINE),
        ("Something new", ControlState.UNKNOWN),
    ],
)
def test_every_state_name_is_classified(name: str, state: ControlState) -> None:
    assert read_store(pd_answers.store(1, 100.0, state=name)).state is state


def test_a_store_that_leaves_everything_out_is_read() -> None:
    store = read_store({"store": {"id": 2**60}, "status": {}})

    assert store.id == str(2**60)
    assert (store.leaders, store.pending_peers, store.slow_score, store.last_heartbeat) == (0, 0, None, None)


def test_heartbeats_are_nanoseconds_and_sizes_are_words() -> None:
    store = read_store(pd_answers.store(1, 1767225723.123456, age_s=0.0, pending_peer_count=3))

    assert store.last_heartbeat == pytest.approx(1767225723.123456, abs=1e-5)
    assert store.available_bytes == pytest.approx(7.812 * 2**30)
    assert store.pending_peers == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8GiB", 8 << 30),
        ("0B", 0),
        ("37.5MiB", 39321600),
        ("7.812GiB", int(7.812 * 2**30)),
        ("", None),
        (5, 5),
    ],
)
def test_sizes_are_read(text: object, value: int | None) -> None:
    assert size_bytes(text) == value


def test_times_are_read() -> None:
    assert wall_time("2026-01-01T00:02:03.123456789Z") == pytest.approx(1767225723.123456)
    assert wall_time("0001-01-01T00:00:00Z") is None


@respx.mock
async def test_any_pd_will_do_and_the_one_that_answered_is_asked_first() -> None:
    respx.get(stores_at(URLS[0])).mock(side_effect=httpx2.ConnectError("refused"))
    second = respx.get(stores_at(URLS[1])).respond(
        200, text=pd_answers.stores(pd_answers.store(1, time.time()))
    )
    client = PdClient(URLS)

    assert len(await client.stores(1.0)) == 1
    respx.get(stores_at(URLS[0])).mock(side_effect=AssertionError("asked again"))
    assert len(await client.stores(1.0)) == 1

    assert second.call_count == 2
    await client.aclose()


@respx.mock
async def test_no_leader_is_told_as_such_whoever_else_is_gone() -> None:
    respx.get(stores_at(URLS[0])).mock(side_effect=httpx2.ConnectError("refused"))
    for url in URLS[1:]:
        respx.get(stores_at(url)).respond(503, text=pd_answers.NO_LEADER)
    client = PdClient(URLS)

    with pytest.raises(NoLeader, match="finds no leader"):
        await client.stores(1.0)
    await client.aclose()


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (503, "no leader"),  # v8.1
        (500, "[PD:apiutil:ErrRedirect]redirect failed"),
        (500, "[PD:apiutil:ErrRedirectToNotLeader]redirect to not leader"),
    ],
)
@respx.mock
async def test_every_way_of_having_no_leader_is_told_as_such(status: int, text: str) -> None:
    respx.get(stores_at(URLS[0])).respond(status, text=text)
    client = PdClient(URLS[:1])

    with pytest.raises(NoLeader, match=text.split("]")[-1]):
        await client.stores(1.0)
    await client.aclose()


@respx.mock
async def test_a_pd_is_asked_for_its_own_start_not_for_its_leaders() -> None:
    asked = respx.get(f"{URLS[1]}/pd/api/v1/status").respond(200, json={"start_timestamp": 5})
    client = PdClient(URLS)

    assert await client.started(URLS[1], 1.0) == 5
    assert asked.calls.last.request.headers["PD-Allow-follower-handle"]
    await client.aclose()


@respx.mock
async def test_before_the_first_store_pd_says_so() -> None:
    respx.get(stores_at(URLS[0])).respond(500, text=pd_answers.NOT_BOOTSTRAPPED)
    client = PdClient(URLS)

    with pytest.raises(NotBootstrapped):
        await client.stores(1.0)
    await client.aclose()


@respx.mock
async def test_what_is_not_json_is_not_pd() -> None:
    respx.get(stores_at(URLS[0])).respond(200, text="<html>proxy</html>")
    client = PdClient(URLS[:1])

    with pytest.raises(Unreachable, match="not PD's JSON"):
        await client.stores(1.0)
    await client.aclose()
