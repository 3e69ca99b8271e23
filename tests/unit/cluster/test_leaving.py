"""The world is left as it was found: also where two operators use one cluster."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from subjects.state import StateFolder, open_state
from tests.standins.embedded import process_runtime, processes_of
from tests.waiting import until
from tools.cluster import lifecycle
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.workbench import Choice, Workbench


def desk(state: StateFolder) -> Workbench:
    """Return the workbench of one operator."""
    return Workbench(
        state=state,
        emit=lambda _event: None,
        ledger=Ledger(),
        incidents=IncidentStore(state.database),
        faults=cast("Any", None),
        diagnostician=cast("Any", None),
        choice=Choice("etcd", "process"),
    )


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[tuple[Workbench, Workbench]]:
    """Two operators on one state folder."""
    state = open_state(tmp_path / "state")
    made = desk(state), desk(state)
    yield made
    for each in made:
        each.incidents.close()


async def test_who_started_a_cluster_leaves_it_to_those_who_still_use_it(
    desks: tuple[Workbench, Workbench],
) -> None:
    starter, other = desks
    await lifecycle.start(starter)
    await lifecycle.find(other)
    cluster = other.require_cluster()
    told = await lifecycle.leave(starter, keep=False)
    state = (await cluster.subject.observe()).state
    await process_runtime(cluster).down()
    await lifecycle.leave(other, keep=False)

    assert state == "healthy"
    assert "another operator uses it" in told


async def test_who_started_a_cluster_stops_it_once_the_others_have_left(
    desks: tuple[Workbench, Workbench],
) -> None:
    starter, other = desks
    await lifecycle.start(starter)
    await lifecycle.find(other)
    left = await lifecycle.leave(other, keep=False)
    told = await lifecycle.leave(starter, keep=False)

    assert "is left running (healthy)" in left
    assert "another operator" not in left
    assert "was stopped" in told
    await until(lambda: not processes_of(starter.state.root), what="something of it still runs")
