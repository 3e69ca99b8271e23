"""A freezer that gives up, as that of control groups' version 1 does on a busy machine."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError

from subjects.errors import SubjectError
from subjects.runtimes import docker_containers
from subjects.runtimes.docker_containers import FREEZE_TRIES, Containers
from subjects.runtimes.docker_layout import DockerLayout, Service
from subjects.runtimes.engine import Engine

LAYOUT = DockerLayout("tikv", "p", "/f", "unix:///x", {}, (Service("tikv0", "x", {}),))
GAVE_UP = "Cannot pause container c: OCI runtime pause failed: unable to freeze: unknown"


def containers(pause: Callable[[str], None]) -> Containers:
    client: Any = SimpleNamespace(api=SimpleNamespace(pause=pause))
    return Containers(Engine(client, "unix:///x"), LAYOUT)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_containers, "FREEZE_WAIT_S", 0.0)


@pytest.mark.parametrize(
    ("refusals", "asked"),
    [([], 1), ([GAVE_UP] * 2, 3), ([GAVE_UP] * (FREEZE_TRIES - 1), FREEZE_TRIES)],
)
async def test_a_freezer_that_gave_up_is_asked_again(refusals: list[str], asked: int) -> None:
    left, calls = list(refusals), []

    def pause(container: str) -> None:
        calls.append(container)
        if left:
            raise APIError(left.pop())

    await containers(pause).pause("c")

    assert calls == ["c"] * asked


@pytest.mark.parametrize(("refusal", "asked"), [(GAVE_UP, FREEZE_TRIES), ("Container c is not running", 1)])
async def test_what_stays_refused_is_told(refusal: str, asked: int) -> None:
    calls = []

    def pause(container: str) -> None:
        calls.append(container)
        raise APIError(refusal)

    with pytest.raises(SubjectError, match=refusal.rpartition(": ")[2]):
        await containers(pause).pause("c")

    assert len(calls) == asked
