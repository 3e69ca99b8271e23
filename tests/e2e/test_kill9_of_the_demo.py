"""SIGKILL of the real demo: the cluster is made whole, and nothing else is left.

At every other point, every fault twenty times, and the seconds it takes: python -m tests.bench.kill9.
"""

from collections.abc import Iterator

import pytest

from subjects.state import StateFolder
from tests.standins.embedded import bring_up, take_down
from tests.standins.killed_demo import POINTS, kill_at

pytestmark = pytest.mark.xdist_group("demos")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFolder]:
    made = bring_up(tmp_path_factory.mktemp("kill9"))
    yield made
    take_down(made)


async def test_killed_under_the_fault(state: StateFolder) -> None:
    left = await kill_at(state, POINTS["the fault is in force"])

    assert left.healed, left
