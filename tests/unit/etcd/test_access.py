"""What clusters ask of their clients: tokens that nobody gives out at the moment."""

import asyncio

import pytest
import respx

from subjects.access import Access
from subjects.base import UnseenReason
from subjects.errors import Unreachable
from subjects.etcd.client import EtcdClient

MEMBER = "http://m1:2379"
BOUND_S = 60.0
"""Ends what hangs."""


@respx.mock
async def test_a_cluster_without_a_leader_refuses_no_user(respx_mock: respx.MockRouter) -> None:
    asked = respx_mock.post(f"{MEMBER}/v3/auth/authenticate")
    asked.respond(503, json={"error": "etcdserver: no leader", "code": 14})
    client = EtcdClient(Access(user="root", password="right"))
    for _ in range(2):
        with pytest.raises(Unreachable, match="no leader") as told:
            await client.status(MEMBER, BOUND_S)
        assert told.value.unseen is not None
        assert told.value.unseen.reason is not UnseenReason.DENIED
    await client.aclose()

    assert asked.call_count == 2


@respx.mock
async def test_members_do_not_wait_one_after_the_other_for_a_token(respx_mock: respx.MockRouter) -> None:
    asked: list[object] = []

    async def silent(request: object) -> None:
        asked.append(request)
        await asyncio.Event().wait()

    respx_mock.post(f"{MEMBER}/v3/auth/authenticate").mock(side_effect=silent)
    client = EtcdClient(Access(user="root", password="right"))
    bounds_s = (1.0, 0.1, 0.1, 0.1)
    said = await asyncio.gather(*(client.status(MEMBER, each) for each in bounds_s), return_exceptions=True)
    await client.aclose()

    assert all(isinstance(each, Unreachable) for each in said), said
    assert len(asked) == 1
