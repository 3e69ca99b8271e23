"""Brings each kind of cluster up for a module of tests, healthy, and takes it down."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest
import pytest_asyncio

from subjects.base import Cluster, ClusterSnapshot, ClusterState, Deployment, Network, ProcessState
from subjects.clusters import decide, open_cluster
from subjects.errors import Unreachable
from subjects.state import open_state
from tests.conformance.clusters import CLUSTERS, Kind, kubernetes

NEEDED = {"docker": pytest.mark.docker, "kubernetes": pytest.mark.pod_addresses}
"""What it takes of the machine, by runtime."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames and not hasattr(metafunc.module, "kind"):
        marked = [
            pytest.param(kind, id=str(kind), marks=[NEEDED[kind.runtime]] if kind.runtime in NEEDED else [])
            for kind in CLUSTERS
        ]
        metafunc.parametrize("kind", marked, scope="module")


@pytest.fixture(scope="module")
def prepared(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kind]:
    """The kind, its environment set, and what its nodes run on there."""
    with contextlib.ExitStack() as stack:
        if kind.runtime == "kubernetes" and not kind.context:
            led = stack.enter_context(kubernetes(kind, tmp_path_factory.mktemp("kubernetes")))
            kind = replace(kind, environment={**kind.environment, **led})
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in kind.environment.items():
            patch.setenv(name, value)
        yield kind


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(prepared: Kind, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """One cluster for all tests of a module, taken down afterwards whatever they left."""
    state = open_state(tmp_path_factory.mktemp("state"))
    opened = await open_cluster(
        state, await decide(prepared.subject, prepared.runtime), kubernetes=prepared.options
    )
    try:
        await opened.require(Deployment).up()
        yield opened
    finally:
        await opened.require(Deployment).down()
        await opened.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(shared: Cluster) -> AsyncIterator[Cluster]:
    """The cluster, healthy; a test that leaves it otherwise fails the next one."""
    await until(shared, lambda snapshot: snapshot.state is ClusterState.HEALTHY)
    yield shared
    await shared.require(Network).set_network([])


async def until(
    cluster: Cluster, holds: Callable[[ClusterSnapshot], bool], timeout_s: float = 200.0
) -> ClusterSnapshot:
    """Look until `holds`; fails, showing the last snapshot, when it does not in time.

    A machine that is busy may keep the way to the nodes from answering: then it is looked again.
    """
    deadline, last = time.monotonic() + timeout_s, ""
    while True:
        try:
            if holds(snapshot := await cluster.subject.observe()):
                return snapshot
            last = f"{snapshot.state} {snapshot.problems}"
        except Unreachable as error:
            last = str(error)
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s} s; last: {last}{await _last_words(cluster)}", pytrace=False)
        await asyncio.sleep(0.1)


async def _last_words(cluster: Cluster) -> str:
    """What those wrote last whose process has ended."""
    said = ""
    for node in cluster.subject.nodes:
        if (await cluster.nodes.inspect(node)).state is ProcessState.EXITED:
            said += "".join(f"\n{node}: {line.text}" for line in await cluster.nodes.logs(node, limit=30))
    return said
