"""Real etcd clusters of local processes: one for all tests that leave it whole, one each for the others."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from subjects.base import Cluster, Deployment
from subjects.clusters import open_cluster
from subjects.state import StateFolder
from tests.standins.embedded import ETCD, bring_up, take_down
from tests.waiting import healthy


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFolder]:
    """A state folder with a cluster that runs."""
    made = bring_up(tmp_path_factory.mktemp("runtimes"))
    yield made
    take_down(made)


@pytest.fixture
async def cluster(state: StateFolder) -> AsyncIterator[Cluster]:
    """Its cluster, healthy before the test and afterwards."""
    opened = await open_cluster(state, ETCD)
    await healthy(opened)
    yield opened
    await opened.require(Deployment).up()
    await healthy(opened)
    await opened.aclose()


@pytest.fixture
def own_state(tmp_path: Path) -> Iterator[StateFolder]:
    """A cluster for one test, to be wrecked."""
    made = bring_up(tmp_path)
    yield made
    take_down(made)


@pytest.fixture
async def own_cluster(own_state: StateFolder) -> AsyncIterator[Cluster]:
    """The cluster to be wrecked."""
    opened = await open_cluster(own_state, ETCD)
    yield opened
    await opened.aclose()
