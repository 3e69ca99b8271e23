"""A cluster is found again by a later run, and leaves nothing behind."""

from pathlib import Path

import pytest

from subjects.base import ClusterState, Deployment, ProcessState
from subjects.clusters import decide, open_cluster
from subjects.runtimes.docker_layout import project_name
from subjects.state import open_state
from tests.conformance.clusters import Kind
from tests.conformance.conftest import until


async def test_a_later_run_finds_the_cluster_and_down_leaves_nothing(
    prepared: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in prepared.environment.items():  # every test begins without any such variable
        monkeypatch.setenv(name, value)
    state = open_state(tmp_path / "state")
    decision = await decide(prepared.subject, prepared.runtime)
    first = await open_cluster(state, decision, kubernetes=prepared.options)
    try:
        await first.require(Deployment).up()
        before = await until(first, lambda snapshot: snapshot.state is ClusterState.HEALTHY)
        await first.aclose()

        second = await open_cluster(state, decision, kubernetes=prepared.options)
        await second.require(Deployment).up()
        after = await until(second, lambda snapshot: snapshot.state is ClusterState.HEALTHY)
        assert [node.process.identity for node in after.nodes] == [
            node.process.identity for node in before.nodes
        ]
        await second.aclose()
    finally:
        last = await open_cluster(state, decision, kubernetes=prepared.options)
        await last.require(Deployment).down()

    for name in last.subject.nodes:
        assert (await last.nodes.inspect(name)).state is ProcessState.EXITED
    await last.require(Deployment).down()
    await last.aclose()
    assert list(state.clusters.iterdir()) == []
    if prepared.runtime == "docker":
        folder = state.clusters / f"{prepared.subject}-docker"
        assert _left(project_name(prepared.subject, folder)) == []


def _left(project: str) -> list[str]:
    import docker

    client = docker.from_env()
    label: dict[str, str | list[str] | bool] = {"label": f"com.docker.compose.project={project}"}
    try:
        containers = client.containers.list(all=True, filters=label)
        networks = client.networks.list(filters=label)
        volumes = client.volumes.list(filters=label)
        return [str(each.id) for each in (*containers, *networks, *volumes)]
    finally:
        client.close()
