"""A workbench on real etcd, as a session has it, and facts made by hand."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from subjects.state import StateFolder
from tests.standins.embedded import bring_up, take_down
from tools.cluster import lifecycle
from tools.diagnosis.gather import Gathered
from tools.diagnosis.rules import RulesDiagnostician
from tools.diagnosis.views import Seen
from tools.events import Event
from tools.faults.service import FaultService
from tools.incidents.store import IncidentStore
from tools.observe.kinds import signal
from tools.observe.ledger import Ledger
from tools.observe.signal import HEALTH_PORT
from tools.registry import Dispatcher
from tools.tool import Outcome
from tools.workbench import Choice, Workbench


@dataclass
class Bench:
    """A session's workbench and its dispatcher; `told` is what was emitted."""

    workbench: Workbench
    dispatcher: Dispatcher
    told: list[Event] = field(default_factory=list)
    calls: int = 0

    async def do(self, tool: str, **arguments: object) -> Outcome:
        """Run a tool as the session would; the test fails if it fails."""
        self.calls += 1
        outcome = await self.dispatcher.run(f"call-{self.calls}", tool, arguments)
        assert outcome.ok, outcome.text
        return outcome


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFolder]:
    """A state folder with a cluster that runs, new for each file: what broke in one is not told in others."""
    made = bring_up(tmp_path_factory.mktemp("diagnosis"))
    yield made
    take_down(made)


@pytest.fixture
async def on_etcd(state: StateFolder) -> AsyncIterator[Bench]:
    """Three real members, watched, and an empty record; everything is healed afterwards."""
    told: list[Event] = []
    workbench = Workbench(
        state=state,
        emit=told.append,
        ledger=Ledger(),
        incidents=IncidentStore(state.database),
        faults=FaultService(state, 7),
        diagnostician=RulesDiagnostician(),
        choice=Choice("etcd", "process"),
    )
    made = Bench(workbench, Dispatcher(workbench), told)
    try:
        await made.do("cluster_start")
        yield made
    finally:
        await workbench.faults.heal_own()
        await lifecycle.leave(workbench, keep=True)
        workbench.faults.close()
        workbench.incidents.close()
        _empty(state.database)


def _empty(path: Path) -> None:
    """Forget every fault and incident: the next test is another session."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        for (name,) in database.execute(names).fetchall():
            database.execute(f"DELETE FROM {name}")


@dataclass
class Scene:
    """Makes signals by hand, each with evidence in a ledger."""

    ledger: Ledger = field(default_factory=Ledger)
    seen: list[Seen] = field(default_factory=list)

    def on(self, node: str | None, *kinds: str) -> "Scene":
        """Add what is seen of a node now, `exit:137` for an exit with that code."""
        return self._add(node, kinds, now=True)

    def earlier(self, node: str | None, *kinds: str) -> "Scene":
        """Add what was recorded of a node."""
        return self._add(node, kinds, now=False)

    def _add(self, node: str | None, kinds: Sequence[str], *, now: bool) -> "Scene":
        for text in kinds:
            kind, _, code = text.partition(":")
            kind, _, via = kind.partition("@")
            made = signal(
                kind,
                node,
                f"{node or 'the cluster'} showed {text}",
                via=HEALTH_PORT if via else "",
                exit_code=int(code) if code else None,
            )
            item = self.ledger.add(f"view:{made.source}", made.raw, node=node, wall=float(len(self.seen)))
            self.seen.append(Seen(replace(made, evidence=item.id, wall=item.wall), now))
        return self

    def well(self, *nodes: str) -> "Scene":
        """Add nodes with which nothing is wrong."""
        for node in nodes:
            self.on(node, "running", "answers", "healthy", "connected")
        return self

    @property
    def gathered(self) -> Gathered:
        return Gathered(tuple(self.seen))


@pytest.fixture
def scene() -> Scene:
    return Scene()
