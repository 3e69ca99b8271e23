"""A TiKV cluster that answers through respx."""

from collections.abc import AsyncIterator

import pytest
import respx

from tests.unit.tikv.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with respx.mock(assert_all_called=False) as http:
        made = World(http)
        yield made
        await made.subject.aclose()
