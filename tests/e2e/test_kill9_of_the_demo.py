"""SIGKILL of the real demo, wherever it is: the cluster is made whole, and nothing else is left."""

from collections.abc import Iterator

import pytest

from subjects.state import StateFolder
from tests.standins.embedded import bring_up, take_down
from tests.standins.killed_demo import POINTS, kill_at

TRIED = ("the load is started", "the prediction is told", "the fault is in force", "it is being healed")
"""The other points, every fault twenty times each, and the seconds it takes: python -m tests.bench.kill9."""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFolder]:
    made = bring_up(tmp_path_factory.mktemp("kill9"))
    yield made
    take_down(made)


@pytest.mark.parametrize("point", TRIED)
async def test_killed_at(point: str, state: StateFolder) -> None:
    left = await kill_at(state, POINTS[point])

    assert left.healed, left
