"""Every wrong world is one clear line with the remedy: what Compose and the engine really print."""

import os
import socket
from pathlib import Path

import docker.errors
import pytest
import requests.exceptions

from subjects.errors import BadSetup, NotReady, SubjectError, Unreachable
from subjects.runtimes import engine
from subjects.runtimes.compose import Compose, explained, find_compose, variables

FILE = Path("docker-compose.yaml")


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        (
            "ERROR: for etcd-1  Cannot start service etcd-1: driver failed programming external connectivity "
            "on endpoint t1: Bind for 127.0.0.1:23791 failed: port is already allocated",
            NotReady,
            "Port 23791 is taken",
        ),
        (
            "Error response from daemon: driver failed: Error starting userland proxy: listen tcp4 "
            "127.0.0.1:2379: bind: address already in use",
            NotReady,
            "Port 2379 is taken",
        ),
        (
            "Pulling pd0 (pingcap/pd:v8.5.5)...\nGet https://example.invalid/v2/: dial tcp: "
            "lookup: no such host",
            NotReady,
            "The image pingcap/pd:v8.5.5 is not here",
        ),
        (
            "Error response from daemon: pull access denied for nobody/nothing, repository does not exist or "
            "may require 'docker login': denied",
            NotReady,
            "The image nobody/nothing is not here",
        ),
        ('ERROR: for tikv0  Container "5b22006c79c9" is unhealthy.', NotReady, "docker logs 5b22006c79c9"),
        ("dependency failed to start: container t-pd0-1 is unhealthy", NotReady, "docker logs t-pd0-1"),
        ("runc create failed: error setting rlimit type 7: operation not permitted", NotReady, "LimitNOFILE"),
        ("failed to create task: cannot allocate memory: unknown", NotReady, "too little memory"),
        (
            "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
            NotReady,
            "reach",
        ),
        ("yaml: line 3: did not find expected key", BadSetup, "not a Compose file"),
        ("The Compose file './x' is invalid because: services.a is wrong", BadSetup, "not a Compose file"),
        ("something never seen before", SubjectError, "something never seen before"),
    ],
)
def test_compose_complaints_become_one_line_with_a_remedy(text: str, kind: type, says: str) -> None:
    error = explained(text, FILE)

    assert type(error) is kind
    assert says in str(error)
    assert "\n" not in str(error)


def _wrapped(reason: OSError) -> Exception:
    inner = requests.exceptions.ConnectionError(reason)
    error = docker.errors.DockerException("Error while fetching server API version")
    error.__cause__ = inner
    return error


def test_no_right_to_the_socket_is_not_no_engine() -> None:
    error = engine.explained(
        _wrapped(PermissionError(13, "Permission denied")), "unix:///var/run/docker.sock"
    )

    assert isinstance(error, NotReady)
    assert "usermod -aG docker" in str(error)


@pytest.mark.parametrize("reason", [FileNotFoundError(2, "gone"), ConnectionRefusedError(111, "refused")])
def test_no_engine_says_where_it_was_looked_for(reason: OSError) -> None:
    error = engine.explained(_wrapped(reason), "unix:///nowhere.sock")

    assert isinstance(error, NotReady)
    assert "unix:///nowhere.sock" in str(error)
    assert "--runtime process" in str(error)


def test_a_wedged_engine_is_not_an_ended_container() -> None:
    error = engine.explained(requests.exceptions.ReadTimeout("read timed out"), "unix:///x")

    assert type(error) is Unreachable


async def test_connecting_to_nothing_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="No Docker engine answers"):
        await engine.connect(f"unix://{tmp_path}/docker.sock")


async def test_a_socket_that_hangs_up_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        with pytest.raises(NotReady):
            await engine.connect(f"unix://{path}")


def _program(folder: Path, name: str, does: str) -> None:
    script = folder / name
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)


async def test_no_docker_no_compose_and_an_old_one_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReady, match="no `docker` command on PATH"):
        await find_compose()

    _program(tmp_path, "docker", "exit 1")
    with pytest.raises(NotReady, match="`docker` command has no Compose"):
        await find_compose()

    _program(tmp_path, "docker-compose", "echo 1.25.0")
    with pytest.raises(NotReady, match="too old"):
        await find_compose()

    _program(tmp_path, "docker-compose", "echo 1.29.2")
    assert await find_compose() == ("docker-compose",)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetup, match=r"nothing\.yaml"):
        variables(tmp_path / "nothing.yaml")


@pytest.mark.docker
@pytest.mark.parametrize("subject", ["etcd", "tikv"])
async def test_compose_accepts_our_files(subject: str) -> None:
    file = Path("subjects") / subject / "docker-compose.yaml"
    text = await Compose(await find_compose(), "operator-check", file.resolve(), dict(os.environ)).run(
        "config"
    )

    assert "127.0.0.1" in text
    assert "0.0.0.0:" not in text.replace("http://0.0.0.0:", "").replace("addr=0.0.0.0:", "")
