"""A container that runs out of memory: the engine's own event, and a diagnosis that names the want."""

from collections.abc import Iterator

import docker
import pytest

from tests.conformance.clusters import CLUSTERS, Kind
from tests.conformance.test_cluster_conformance import identity_of
from tests.conformance.test_tikv_rows import STORE, Watched, suffer, watched
from tools.diagnosis.schema import Kind as Called

__all__ = ["watched"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.docker]

LITTLE, MUCH = 64 << 20, 2 << 30


@pytest.fixture(scope="module")
def kind() -> Kind:
    """Stand-ins in containers: only an engine can tell of an OOM."""
    return next(kind for kind in CLUSTERS if str(kind) == "tikv-docker-standin")


@pytest.fixture
def engine_client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


async def test_a_container_that_runs_out_of_memory(
    watched: Watched, engine_client: docker.DockerClient
) -> None:
    view = await watched.cluster.nodes.inspect(STORE)
    node = (await watched.cluster.subject.observe()).node(STORE)
    container = engine_client.containers.get(identity_of(node).id)
    container.update(mem_limit=LITTLE, memswap_limit=LITTLE)
    try:
        await suffer(watched.cluster, "/standin/eat", mib=256)
        found = await watched.diagnosed(Called.CRASH, STORE)
        view = await watched.cluster.nodes.inspect(STORE)
    finally:
        container.update(mem_limit=MUCH, memswap_limit=MUCH)

    assert (view.exit_code, view.oom_killed) == (137, True)
    assert "memory ran out" in found.root_cause
    assert [signal for signal in watched.monitor.signals if (signal.node, signal.kind) == (STORE, "oom")]
