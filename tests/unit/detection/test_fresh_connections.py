"""What only new connections see: a node that answers those who are connected, and not all who come."""

import pytest

from tests.standins.many_nodes import Manner
from tests.unit.detection.conftest import Watched
from tools.detection import fresh
from tools.observe.targets import WITHIN_S


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask often and wait less, so that a test does not take the seconds that the real one has."""
    monkeypatch.setattr(fresh, "EACH_S", 0.15)


@pytest.mark.parametrize("ignored", [1, 2])
async def test_a_node_that_ignores_some_or_all_newcomers_is_named(watched: Watched, ignored: int) -> None:
    watched.subject.servers["n2"].newcomers_ignored = ignored
    detection = await watched.detection()

    assert detection.nodes == ("n2",)
    assert [signal.kind for signal in detection.signals] == ["lossy"]
    assert "new connections" in detection.signals[0].raw


async def test_a_node_that_turns_newcomers_away_at_once_is_named(watched: Watched) -> None:
    """An expired certificate, a firewall that rejects: those who are connected go on."""
    watched.subject.servers["n2"].newcomers_reset = True
    detection = await watched.detection()

    assert detection.nodes == ("n2",)
    assert [signal.kind for signal in detection.signals] == ["lossy"]


async def test_it_is_over_once_newcomers_are_let_in_again(watched: Watched) -> None:
    watched.subject.servers["n2"].newcomers_ignored = 2
    await watched.detection()
    watched.subject.servers["n2"].newcomers_ignored = 0
    await watched.until(lambda: not watched.monitor.open_incidents)

    assert "recovered" in watched.kinds("n2")


async def test_silence_that_all_nodes_share_is_no_nodes_fault(watched: Watched) -> None:
    """As on a machine that is busy, where all are late."""
    for server in watched.subject.servers.values():
        server.newcomers_ignored = 2
    await watched.calm(3 * WITHIN_S)

    assert all("lossy" not in watched.kinds(node) for node in watched.subject.nodes)


async def test_one_connection_lost_in_passing_is_nothing(watched: Watched) -> None:
    server = watched.subject.servers["n2"]
    server.newcomers_ignored = 2
    made = server.made
    await watched.until(lambda: server.made > made)
    server.newcomers_ignored = 0
    await watched.calm(WITHIN_S + 0.5)

    assert watched.kinds("n2") == []


async def test_a_node_that_is_silent_on_every_connection_is_told_as_silent(watched: Watched) -> None:
    watched.subject.servers["n2"].manner = Manner.SILENT
    await watched.detection()
    await watched.until(lambda: watched.kinds("n2").count("silent") > 0)
    await watched.calm(WITHIN_S + 0.5)

    assert "lossy" not in watched.kinds("n2")


async def test_a_node_that_is_well_is_asked_and_nothing_is_said(watched: Watched) -> None:
    server = watched.subject.servers["n1"]
    made = server.made
    await watched.until(lambda: server.made >= made + 3)

    assert watched.monitor.signals == ()
