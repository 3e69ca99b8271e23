"""A real etcd cluster of local processes, shared by the tests of this room; each leaves it healthy."""

from collections.abc import AsyncIterator, Iterator

import pytest

from subjects.base import Cluster, Deployment, Network
from subjects.clusters import open_cluster
from subjects.state import StateFolder
from tests.standins.embedded import ETCD, bring_up, take_down
from tests.waiting import healthy
from tools.faults.service import FaultService


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFolder]:
    """A state folder with a cluster that runs."""
    made = bring_up(tmp_path_factory.mktemp("faults"))
    yield made
    take_down(made)


@pytest.fixture
async def service(state: StateFolder) -> AsyncIterator[FaultService]:
    """The faults of one session."""
    made = FaultService(state, seed=1)
    yield made
    made.close()


@pytest.fixture
async def cluster(state: StateFolder, service: FaultService) -> AsyncIterator[Cluster]:
    """The cluster, healthy before the test and afterwards."""
    opened = await open_cluster(state, ETCD)
    await healthy(opened)
    yield opened
    await service.restore()
    await opened.require(Deployment).up()
    await opened.require(Network).set_network([])
    await healthy(opened)
    await opened.aclose()
