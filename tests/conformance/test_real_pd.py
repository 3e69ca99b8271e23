"""TiKV's control plane for real: three of the pd-server on PATH, driven as `tikv × process` drives them.

PD alone is a part of TiKV, so this can be skipped anywhere, CI included: stand-ins and recorded answers
(tests/unit/tikv) stay in its place.
"""

import dataclasses
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from subjects.base import Cluster, ClusterSnapshot, Health, Identity, Kill, Lifecycle, ProcessState
from subjects.clusters import attach
from subjects.runtimes.process import ProcessRuntime
from subjects.tikv.pd import NoLeader, NotBootstrapped, PdClient
from subjects.tikv.process import make_layout, make_subject
from tests.conformance.conftest import until
from tools.diagnosis.signatures import signatures_in

PROGRAM = shutil.which("pd-server")
ELECTED_S = 40.0
"""A leader that was killed is replaced after 12 to 15 s (measured, v8.1 on a busy machine)."""

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.pd_server,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Three PDs and no store."""
    folder = tmp_path_factory.mktemp("state") / "tikv-process"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPERATOR_PD_SERVER", PROGRAM or "")
        patch.setenv("OPERATOR_TIKV_SERVER", sys.executable)  # never started
        layout = await make_layout(folder)
    layout = dataclasses.replace(
        layout,
        nodes=tuple(node for node in layout.nodes if "client" in node.ports),
        links=tuple(link for link in layout.links if link.node.startswith("pd")),
    )
    runtime = ProcessRuntime(folder, layout)
    cluster = Cluster("tikv-process", make_subject(layout, runtime), runtime, runtime)
    try:
        await runtime.up()
        yield cluster
    finally:
        await runtime.down()
        await cluster.aclose()


def urls(cluster: Cluster) -> list[str]:
    """Where each PD is asked."""
    return ["http://{}:{}".format(*cluster.subject.watch_address(node)) for node in cluster.subject.nodes]


def led(snapshot: ClusterSnapshot) -> bool:
    """All PDs run and say that they are well, and one of them leads."""
    well = all(node.itself.health is Health.HEALTHY for node in snapshot.nodes)
    return well and snapshot.leader is not None


def led_by_another(than: str) -> Callable[[ClusterSnapshot], bool]:
    return lambda snapshot: snapshot.leader not in (None, than)


async def kill(cluster: Cluster, name: str) -> None:
    identity = (await cluster.nodes.inspect(name)).identity
    assert isinstance(identity, Identity)
    await cluster.require(Kill).kill(name, identity)


async def test_pds_without_a_store_are_well_and_say_that_nothing_was_bootstrapped(pds: Cluster) -> None:
    snapshot = await until(pds, led, ELECTED_S)

    assert all(node.member_id and node.version and node.started_at for node in snapshot.nodes)
    assert [problem for problem in snapshot.problems if "not bootstrapped" not in problem] == []
    client = PdClient(urls(pds))
    try:
        with pytest.raises(NotBootstrapped):
            await client.stores(2.0)
    finally:
        await client.aclose()


async def test_an_attached_look_finds_them_by_what_they_say_of_each_other(pds: Cluster) -> None:
    await until(pds, led, ELECTED_S)
    theirs = await attach("tikv", urls(pds)[:1])
    try:
        snapshot = await theirs.subject.observe()

        assert theirs.subject.nodes == pds.subject.nodes
        assert led(snapshot)
        assert theirs.control is None
        assert not theirs.ours
    finally:
        await theirs.aclose()


async def test_the_lead_is_handed_over(pds: Cluster) -> None:
    leader = (await until(pds, led, ELECTED_S)).leader
    heir = next(name for name in pds.subject.nodes if name != leader)
    client = PdClient(urls(pds))
    try:
        await client.client.post(f"{client.urls[0]}/pd/api/v1/leader/transfer/{heir}", timeout=10)
    finally:
        await client.aclose()

    await until(pds, lambda snapshot: snapshot.leader == heir, ELECTED_S)


async def test_a_leader_that_was_killed_takes_nobody_with_it_and_comes_back_as_itself(pds: Cluster) -> None:
    before = await until(pds, led, ELECTED_S)
    leader = before.leader
    assert leader is not None
    others = [name for name in pds.subject.nodes if name != leader]

    await kill(pds, leader)
    leaderless = await pds.subject.observe()
    after = await until(pds, led_by_another(leader), ELECTED_S)
    began = time.time()
    await pds.require(Lifecycle).start(leader)
    back = await until(pds, led, ELECTED_S)

    for name in others:  # each answers for itself, though none leads
        assert leaderless.node(name).itself.health is Health.HEALTHY, leaderless.node(name)
    assert after.node(leader).process.state is ProcessState.EXITED
    assert back.node(leader).member_id == before.node(leader).member_id
    assert (back.node(leader).started_at or 0) >= int(began)
    assert [back.node(name).started_at for name in others] == [
        before.node(name).started_at for name in others
    ]


async def test_the_one_that_is_left_of_three_says_that_it_has_no_leader(pds: Cluster) -> None:
    leader = (await until(pds, led, ELECTED_S)).leader
    left = next(name for name in pds.subject.nodes if name != leader)
    lost = [name for name in pds.subject.nodes if name != left]
    client = PdClient(urls(pds))
    try:
        for name in lost:
            await kill(pds, name)
        snapshot = await until(pds, lambda snapshot: snapshot.leader is None, ELECTED_S)
        with pytest.raises(NoLeader):
            await client.group(2.0)

        assert snapshot.node(left).itself.health is Health.HEALTHY
    finally:
        for name in lost:
            await pds.require(Lifecycle).start(name)
        await client.aclose()
    await until(pds, led, ELECTED_S)


async def test_a_pd_that_was_asked_to_stop_says_so(pds: Cluster) -> None:
    name = pds.subject.nodes[0]
    await until(pds, led, ELECTED_S)
    since = time.time()

    await pds.require(Lifecycle).stop(name, 10)
    said = await pds.nodes.logs(name, since - 1)
    view = await pds.nodes.inspect(name)
    await pds.require(Lifecycle).start(name)

    assert {found.kind for line in said for found in signatures_in(line.text)} == {"log_shutdown"}
    assert view.exit_code in (0, 143), view
    await until(pds, led, ELECTED_S)
