"""A diagnosis is made again when telling evidence comes, and only what changed is shown."""

import asyncio
from pathlib import Path

import pytest

from agent.watch import examiner
from agent.watch.examiner import Examiner
from tests.standins.scripted_cluster import scripted_cluster
from tools.detection.monitor import Monitor
from tools.events import Diagnosed, Event
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger


class Shown:
    """A view that keeps what it is shown."""

    interactive = False

    def __init__(self) -> None:
        self.events: list[Event] = []

    def show(self, event: Event) -> None:
        self.events.append(event)

    @property
    def diagnoses(self) -> list[dict[str, object]]:
        return [event.diagnosis for event in self.events if isinstance(event, Diagnosed)]


async def until(shown: Shown, count: int) -> None:
    async with asyncio.timeout(20):
        while len(shown.diagnoses) < count:
            await asyncio.sleep(0.01)


async def test_another_node_and_a_loop_are_shown_with_what_changed_and_the_same_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examiner, "WAIT_S", 0.05)
    cluster, _, runtime = await scripted_cluster()
    store, ledger, shown = IncidentStore(tmp_path / "operator.db"), Ledger(), Shown()
    looks = Examiner(cluster, store, ledger, shown)  # type: ignore[arg-type] # what of a view it uses
    monitor = Monitor(cluster, ledger, store, looks.take, period_s=0.1, look_s=0.1)
    await monitor.start()
    looking = asyncio.create_task(looks.run(monitor))
    try:
        runtime.happens("n2", "exit", 137)
        await until(shown, 1)
        runtime.happens("n3", "exit", 137)
        await until(shown, 2)
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await monitor.stop()
        incident = store.list()[0]
        store.close()
        await cluster.aclose()
    first, second = shown.diagnoses

    assert (first["nodes"], "changed" in first) == (["n2"], False)
    assert str(second["changed"]).startswith("was crash of n2")
    assert incident.diagnosis == second
