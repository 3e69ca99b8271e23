"""A watch of months: members that come and go, incidents without number, and no part that ends in silence."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.watch.node import node_report
from agent.watch.receivers import Addresses, Receivers
from agent.watch.traffic import TrafficReader
from agent.watch.watching import MAX_INCIDENTS, Tally, watch
from agent.watch.webhook import receiver_host
from subjects.base.subject import Metric
from subjects.errors import BadSetup
from subjects.traffic import traffic_metrics
from tests.standins.scripted_cluster import scripted_cluster
from tests.unit.watch.quiet import Quiet
from tests.waiting import until
from tools.errors import UnknownNode
from tools.events import Failed
from tools.incidents.store import IncidentStore
from tools.observe.signal import Detection


class Members:
    """A subject whose members come and go."""

    name = "etcd"

    def __init__(self, *stores: str) -> None:
        self.stores = stores
        self.left: set[str] = set()

    async def metrics(self, node: str, names: Sequence[str]) -> list[Metric]:
        """Nothing but that it answers; KeyError of one that has left meanwhile."""
        if node in self.left:
            raise KeyError(node)
        return []


async def test_the_figures_are_of_the_members_that_there_are_now() -> None:
    subject = Members("n1", "n2")
    reader = TrafficReader(SimpleNamespace(subject=subject))  # type: ignore[arg-type]
    metrics = traffic_metrics("etcd")
    assert metrics is not None
    await reader.read(metrics)
    await reader.read(metrics)
    assert set(reader.latest) == {"n1", "n2"}

    subject.left = {"n2"}
    await reader.read(metrics)
    assert set(reader.latest) == {"n1"}

    subject.stores = ("n1", "n3")
    await reader.read(metrics)
    await reader.read(metrics)
    assert set(reader.latest) == {"n1", "n3"}


async def test_a_node_that_has_left_while_it_is_looked_into_is_not_found(tmp_path: Path) -> None:
    cluster, _, _ = await scripted_cluster()
    store = IncidentStore(tmp_path / "operator.db")
    with pytest.raises(UnknownNode, match="'n9'"):
        await node_report(cluster, "n9", store)
    await cluster.aclose()
    store.close()


async def test_the_summary_names_the_latest_incidents_and_counts_all(tmp_path: Path) -> None:
    cluster, _, _ = await scripted_cluster()
    store, view = IncidentStore(tmp_path / "operator.db"), Quiet()
    examiner: Any = SimpleNamespace(take=lambda _event: None)
    tally = Tally(cluster, view, Receivers(Addresses(), cluster, store, view.show), examiner, store)
    for n in range(MAX_INCIDENTS + 5):
        tally.take(Detection("n1 is down", ("n1",), f"i{n}"))
        tally.take(Detection("n2 is down", ("n2",), f"i{n}"))
    result = tally.result("healthy", 1.0, interrupted=False)

    assert result["incidents"][-1] == f"i{MAX_INCIDENTS + 4}"
    assert len(result["incidents"]) == MAX_INCIDENTS
    assert view.warned(f"incidents: {MAX_INCIDENTS + 5}, ")
    await cluster.aclose()
    store.close()


async def test_a_part_that_ends_by_an_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: TrafficReader) -> None:
        raise RuntimeError("a figure that is none")

    monkeypatch.setattr(TrafficReader, "run", fails)
    cluster, _, _ = await scripted_cluster()
    store, view = IncidentStore(tmp_path / "operator.db"), Quiet()
    task = asyncio.create_task(watch(cluster, store, view))
    await until(view.started)
    task.cancel()
    await task
    await cluster.aclose()
    store.close()

    (failed,) = [event for event in view.events if isinstance(event, Failed)]
    assert "a figure that is none" in failed.text


def test_a_receiver_that_no_request_can_be_made_to_is_refused_at_the_start() -> None:
    with pytest.raises(BadSetup, match="--webhook is no address"):
        receiver_host("--webhook", "http://\N{SNOWMAN}.example/")
