"""The engine's event stream loses nothing: not when it breaks, and not what happened meanwhile."""

import asyncio

import pytest

from subjects.base import Cluster, ProcessState
from subjects.runtimes.docker import DockerRuntime
from tests.conformance.clusters import CLUSTERS, Kind
from tests.conformance.test_cluster_conformance import heard, identity_of, next_event

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.docker]


@pytest.fixture(scope="module")
def kind() -> Kind:
    """etcd on Docker: the runtime is the same for every subject."""
    return next(kind for kind in CLUSTERS if str(kind) == "etcd-docker")


async def test_what_happens_while_the_stream_is_broken_is_told_when_it_is_back(cluster: Cluster) -> None:
    runtime = cluster.nodes
    assert isinstance(runtime, DockerRuntime)
    victim = (await cluster.subject.observe()).node("etcd-3")

    async with heard(cluster) as events:
        runtime._events.hang_up()  # as a network would
        await runtime.kill("etcd-3", identity_of(victim))
        event = await next_event(events, "etcd-3", "exit")
        assert event.exit_code == 137
        runtime._events.hang_up()  # as a network would
        await runtime.start("etcd-3")
        await next_event(events, "etcd-3", "start")
        assert events.empty(), "something was told twice"

    async with asyncio.timeout(60):
        while (await runtime.inspect("etcd-3")).state is not ProcessState.RUNNING:
            await asyncio.sleep(0.1)
