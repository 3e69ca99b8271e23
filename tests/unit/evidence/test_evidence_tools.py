"""read_logs, read_metrics and timeline on real etcd: small, typed, and they say what they cut."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from subjects.state import open_state
from tests.waiting import until
from tools.cluster import lifecycle
from tools.diagnosis.rules import RulesDiagnostician
from tools.faults.service import FaultService
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.registry import Dispatcher
from tools.tool import Outcome
from tools.workbench import Choice, Workbench

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("evidence_tools")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dispatcher(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dispatcher]:
    """A running cluster of three; the tests below read, and the last ones kill etcd-2."""
    state = open_state(tmp_path_factory.mktemp("evidence"))
    workbench = Workbench(
        state=state,
        emit=lambda event: None,
        ledger=Ledger(),
        incidents=IncidentStore(state.database),
        faults=FaultService(state, 1),
        diagnostician=RulesDiagnostician(),
        choice=Choice("etcd", "process"),
    )
    try:
        await lifecycle.start(workbench)
        yield Dispatcher(workbench)
    finally:
        await workbench.faults.heal_own()
        if workbench.cluster is not None:
            await lifecycle.stop(workbench)
        workbench.faults.close()
        workbench.incidents.close()


@dataclass(frozen=True)
class Lost:
    """etcd-2 was killed and that was detected."""

    dispatcher: Dispatcher
    killed: Outcome
    incident: str

    async def timeline(self, **asked: object) -> Outcome:
        return await self.dispatcher.run("t", "timeline", {"incident": self.incident, "from_s": -60, **asked})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lost(dispatcher: Dispatcher) -> Lost:
    killed = await dispatcher.run("1", "store_kill", {"target": "etcd-2"})
    detected = await dispatcher.run("2", "wait_for_detection", {"timeout_s": 60})
    ledger = dispatcher.workbench.ledger
    await until(
        lambda: any(item.source == "signal:process" for item in ledger), 60, "the kernel tells nothing"
    )
    return Lost(dispatcher, killed, detected.data["incident"])


def pasted(outcome: Outcome) -> list[str]:
    found = re.search(r"<pasted_content>\n(.*)\n</pasted_content>", outcome.text, re.DOTALL)
    return found[1].splitlines() if found else []


async def logs(dispatcher: Dispatcher, **asked: object) -> Outcome:
    return await dispatcher.run("l", "read_logs", {"node": "etcd-1", **asked})


async def metrics(dispatcher: Dispatcher, *names: str, node: str = "etcd-1") -> Outcome:
    return await dispatcher.run("m", "read_metrics", {"node": node, "names": names})


class TestLogs:
    async def test_what_was_cut_is_counted(self, dispatcher: Dispatcher) -> None:
        some = await logs(dispatcher, limit=5)

        assert len(pasted(some)) == some.data["lines"] == 5
        assert some.data["earlier_lines_cut"] == some.data["lines_matching"] - 5 > 0
        assert "cut" in some.data["next"]

    async def test_words_are_found_in_whatever_case(self, dispatcher: Dispatcher) -> None:
        found = pasted(await logs(dispatcher, contains="BECAME"))

        assert found
        assert all("became" in line for line in found)

    async def test_no_matching_line_is_an_answer_that_says_how_to_go_on(self, dispatcher: Dispatcher) -> None:
        nothing = await logs(dispatcher, contains="no such words")

        assert nothing.ok
        assert pasted(nothing) == []
        assert "widen" in nothing.data["next"]

    async def test_the_folder_of_the_cluster_is_not_told(self, dispatcher: Dispatcher) -> None:
        started = await logs(dispatcher, contains="data-dir", limit=200)

        assert pasted(started)
        assert isinstance(dispatcher.workbench, Workbench)
        assert str(dispatcher.workbench.state.root) not in started.text

    async def test_an_unknown_node_is_told_which_there_are(self, dispatcher: Dispatcher) -> None:
        wrong = await logs(dispatcher, node="etcd-9")

        assert not wrong.ok
        assert "etcd-1, etcd-2, etcd-3" in wrong.text


class TestMetrics:
    async def test_one_is_read_with_each_of_its_label_sets(self, dispatcher: Dispatcher) -> None:
        peers = await metrics(dispatcher, "etcd_network_active_peers")

        assert len(peers.data["metrics"]) == 2
        assert set(peers.data["metrics"].values()) == {1.0}

    async def test_too_many_are_cut_and_counted_and_buckets_left_out(self, dispatcher: Dispatcher) -> None:
        many = await metrics(dispatcher, "etcd_", "go_", "process_", "grpc_")

        assert len(many.data["metrics"]) <= 60
        assert many.data["metrics_cut"] > 0
        assert many.data["histogram_buckets_left_out"] > 0

    async def test_an_unknown_name_is_told_how_to_go_on(self, dispatcher: Dispatcher) -> None:
        unknown = await metrics(dispatcher, "no_such_metric")

        assert not unknown.ok
        assert "shorter beginning" in unknown.text


async def test_a_span_that_ends_before_it_begins_is_refused(dispatcher: Dispatcher) -> None:
    assert not (await dispatcher.run("t", "timeline", {"from_s": 5, "to_s": 1})).ok


class TestOfALostNode:
    async def test_its_metrics_are_a_failure_and_not_an_empty_answer(self, lost: Lost) -> None:
        assert not (await metrics(lost.dispatcher, "etcd_", node="etcd-2")).ok

    async def test_the_timeline_holds_the_act_and_the_signals_in_order_each_once(self, lost: Lost) -> None:
        whole = await lost.timeline(limit=200)
        entries = whole.data["entries"]
        by_id = {entry["evidence"]: entry for entry in entries if entry["evidence"]}
        signals = [e["text"] for e in entries if (e["source"], e["node"]) == ("process", "etcd-2")]

        assert json.loads(json.dumps(whole.data)) == whole.data
        assert [e["seconds"] for e in entries] == sorted(e["seconds"] for e in entries)
        assert by_id[lost.killed.evidence]["source"] == "store_kill"
        assert {"process", "monitor"} <= {entry["source"] for entry in entries}
        assert len(signals) == len(set(signals)) > 0

    async def test_the_timeline_of_one_source_and_node_cites_what_was_read(self, lost: Lost) -> None:
        kernel = await lost.timeline(sources=["process"], node="etcd-2")
        first = kernel.data["entries"][0]
        cited = lost.dispatcher.workbench.ledger.get(first["evidence"])

        assert {(e["source"], e["node"]) for e in kernel.data["entries"]} == {("process", "etcd-2")}
        assert cited is not None
        assert cited.text.startswith(first["text"].rstrip("…")[:40])

    async def test_a_long_timeline_is_cut_and_counted(self, lost: Lost) -> None:
        few = await lost.timeline(limit=2)

        assert len(few.data["entries"]) == 2
        assert few.data["entries_cut"] > 0
