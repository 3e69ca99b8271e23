"""Brings each kind of cluster up for a module of tests, healthy, and takes it down."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from subjects.base import Cluster, ClusterState, Picture
from subjects.clusters import decide, open_cluster
from subjects.state import StateFolder, open_state
from tests.conformance.clusters import KINDS, Kind, engine_trouble, in_ci

Until = Callable[[Cluster, Callable[[Picture], bool], float], Awaitable[Picture]]


@pytest.fixture(scope="session")
def engine() -> None:
    """Fail in CI, and skip aloud elsewhere, where Docker clusters cannot be had."""
    trouble = engine_trouble()
    if trouble and in_ci():
        pytest.fail(f"in CI every cluster is tested: {trouble}", pytrace=False)
    if trouble:
        pytest.skip(trouble)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        marked = [
            pytest.param(kind, id=str(kind), marks=[pytest.mark.docker] if kind.runtime == "docker" else [])
            for kind in KINDS
        ]
        metafunc.parametrize("kind", marked)


@pytest.fixture
def prepared(kind: Kind, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """The kind, its environment set."""
    if kind.runtime == "docker":
        request.getfixturevalue("engine")
    for name, value in kind.environment.items():
        monkeypatch.setenv(name, value)
    return kind


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """A state folder of the test's own."""
    return open_state(tmp_path / "state")


@pytest_asyncio.fixture
async def cluster(prepared: Kind, state: StateFolder) -> AsyncIterator[Cluster]:
    """A healthy cluster, taken down afterwards whatever the test left."""
    opened = await open_cluster(state, await decide(prepared.subject, prepared.runtime))
    try:
        await opened.runtime.up()
        await until(opened, lambda picture: picture.state is ClusterState.HEALTHY, 40)
        yield opened
    finally:
        await opened.runtime.down()
        await opened.aclose()


async def until(cluster: Cluster, holds: Callable[[Picture], bool], timeout_s: float) -> Picture:
    """Look until `holds`; fails, showing the last picture, when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not holds(picture := await cluster.subject.observe()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s} s; last: {picture.state} {picture.problems}", pytrace=False)
    return picture
