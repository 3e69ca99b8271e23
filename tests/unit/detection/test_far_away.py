"""Nodes at the far end of a VPN or a tunnel: a way that was long from the start is no silence."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.standins.many_nodes import Manner
from tests.standins.scripted_cluster import scripted_cluster
from tests.unit.detection.conftest import Watched
from tools.detection import fresh
from tools.detection.monitor import Monitor
from tools.incidents.store import IncidentStore
from tools.observe import targets
from tools.observe.ledger import Ledger

FAR_S = 0.4
"""Four periods of these tests."""


@pytest.fixture
async def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    """A monitor before its start, and nodes that are all far away."""
    monkeypatch.setattr(fresh, "EACH_S", 0.15)
    monkeypatch.setattr(targets, "WITHIN_S", FAR_S / 2)
    cluster, subject, runtime = await scripted_cluster()
    for server in subject.servers.values():
        server.delay_s = FAR_S
    store, ledger = IncidentStore(tmp_path / "operator.db"), Ledger()
    monitor = Monitor(cluster, ledger, store, lambda _: None, period_s=0.1, look_s=0.1)
    watched = Watched(cluster, subject, runtime, monitor, store, ledger)
    yield watched
    await monitor.stop()
    await cluster.aclose()
    store.close()


async def answers(watched: Watched, count: int) -> None:
    wanted = watched.monitor.answered + count
    await watched.until(lambda: watched.monitor.answered >= wanted)


@pytest.mark.parametrize("near", [(), ("n1",), ("n1", "n3")])
async def test_a_long_way_is_no_signal(far: Watched, near: tuple[str, ...]) -> None:
    for name in near:
        far.subject.servers[name].delay_s = 0.0
    await far.monitor.start()
    await answers(far, 30)
    await far.calm(2.0)

    assert {kind for node in ("n1", "n2", "n3") for kind in far.kinds(node)} <= {"silent"}
    assert far.kinds("n2").count("silent") <= 1  # before the first answer, on a machine that is late
    assert far.monitor.state == "healthy"


async def test_who_falls_silent_far_away_is_detected(far: Watched) -> None:
    await far.monitor.start()
    await answers(far, 10)
    far.subject.servers["n2"].manner = Manner.SILENT

    assert (await far.detection()).nodes == ("n2",)


async def test_who_is_late_and_was_not_is_silent_meanwhile(far: Watched) -> None:
    """What is learned of the way is its quickest answer, so that no slowness is ever got used to."""
    for server in far.subject.servers.values():
        server.delay_s = 0.0
    await far.monitor.start()
    await answers(far, 10)
    far.subject.servers["n2"].delay_s = FAR_S
    await far.until(lambda: far.kinds("n2").count("silent") >= 3)

    assert "silent" not in far.kinds("n1")
