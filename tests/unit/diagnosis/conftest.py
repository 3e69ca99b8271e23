"""A workbench on real etcd, as a session has it, and facts made by hand."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from subjects.state import open_state
from tools.cluster import lifecycle
from tools.diagnosis.facts import Fact, Side
from tools.diagnosis.rules import RulesDiagnostician
from tools.events import Event
from tools.faults.service import FaultService
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
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


@pytest.fixture
async def on_etcd(tmp_path: Path) -> AsyncIterator[Bench]:
    """Three real members, watched; everything is healed and removed afterwards."""
    state = open_state(tmp_path / "state")
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
        if workbench.cluster is not None:
            await lifecycle.stop(workbench)
        workbench.faults.close()
        workbench.incidents.close()


@dataclass
class Seen:
    """Makes facts by hand, each with evidence in a ledger."""

    ledger: Ledger = field(default_factory=Ledger)
    facts: list[Fact] = field(default_factory=list)

    def on(self, node: str | None, **words: str) -> "Seen":
        """Add what is seen of a node now: side=word, several words with a space between."""
        return self._add(node, words, now=True)

    def earlier(self, node: str | None, **words: str) -> "Seen":
        """Add what was recorded of a node."""
        return self._add(node, words, now=False)

    def _add(self, node: str | None, words: dict[str, str], *, now: bool) -> "Seen":
        for side, text in words.items():
            named: Side = "self" if side == "itself" else side  # type: ignore[assignment]
            for word in text.split():
                quote = f"{node or 'the cluster'} from side {named}: {word}"
                item = self.ledger.add(f"view:{named}", quote, node=node, wall=float(len(self.facts)))
                self.facts.append(Fact(named, word, node, item.id, quote, item.wall, now=now))
        return self

    def well(self, *nodes: str) -> "Seen":
        """Add nodes with which nothing is wrong."""
        for node in nodes:
            self.on(node, process="running", connection="accepted", itself="healthy", peers="connected")
        return self


@pytest.fixture
def seen() -> Seen:
    return Seen()
