"""read_logs, read_metrics and timeline on real etcd: small, typed, and they say what they cut."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from subjects.state import open_state
from tools.cluster import lifecycle
from tools.diagnosis.rules import RulesDiagnostician
from tools.evidence.chronicle import Span, client_effect
from tools.faults.service import FaultService
from tools.incidents.store import IncidentStore
from tools.observe.figures import OperationFigures, Window
from tools.observe.ledger import Ledger
from tools.registry import Dispatcher
from tools.tool import Outcome
from tools.workbench import Choice, Workbench


@pytest.fixture
async def dispatcher(tmp_path: Path) -> AsyncIterator[Dispatcher]:
    state = open_state(tmp_path / "state")
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


def pasted(outcome: Outcome) -> list[str]:
    found = re.search(r"<pasted_content>\n(.*)\n</pasted_content>", outcome.text, re.DOTALL)
    return found[1].splitlines() if found else []


async def test_logs_metrics_and_timeline_of_a_cluster_that_lost_a_store(dispatcher: Dispatcher) -> None:
    run = dispatcher.run

    logs = await run("1", "read_logs", {"node": "etcd-1", "limit": 5})
    assert len(pasted(logs)) == logs.data["lines"] == 5
    assert logs.data["earlier_lines_cut"] == logs.data["lines_matching"] - 5 > 0
    assert "cut" in logs.data["next"]

    some = await run("2", "read_logs", {"node": "etcd-1", "contains": "BECAME"})
    assert pasted(some)
    assert all("became" in line for line in pasted(some))

    nothing = await run("3", "read_logs", {"node": "etcd-1", "contains": "no such words"})
    assert nothing.ok
    assert pasted(nothing) == []
    assert "widen" in nothing.data["next"]

    started = await run("4", "read_logs", {"node": "etcd-1", "contains": "data-dir", "limit": 200})
    assert str(dispatcher.workbench.state.root) not in started.text

    wrong = await run("5", "read_logs", {"node": "etcd-9"})
    assert not wrong.ok
    assert "etcd-1, etcd-2, etcd-3" in wrong.text

    peers = await run("6", "read_metrics", {"node": "etcd-1", "names": ["etcd_network_active_peers"]})
    assert len(peers.data["metrics"]) == 2
    assert set(peers.data["metrics"].values()) == {1.0}

    many = await run("7", "read_metrics", {"node": "etcd-1", "names": ["etcd_", "go_", "process_", "grpc_"]})
    assert len(many.data["metrics"]) <= 60
    assert many.data["metrics_cut"] > 0
    assert many.data["histogram_buckets_left_out"] > 0

    unknown = await run("8", "read_metrics", {"node": "etcd-1", "names": ["no_such_metric"]})
    assert not unknown.ok
    assert "shorter beginning" in unknown.text

    killed = await run("9", "store_kill", {"target": "etcd-2"})
    detected = await run("10", "wait_for_detection", {"timeout_s": 10})
    incident = detected.data["incident"]

    dead = await run("11", "read_metrics", {"node": "etcd-2", "names": ["etcd_"]})
    assert not dead.ok, "a dead node has no metrics, and that is told as a failure"

    whole = await run("12", "timeline", {"incident": incident, "from_s": -60, "limit": 200})
    seconds = [entry["seconds"] for entry in whole.data["entries"]]
    assert seconds == sorted(seconds)
    by_id = {entry["evidence"]: entry for entry in whole.data["entries"] if entry["evidence"]}
    assert by_id[killed.evidence]["source"] == "store_kill"
    assert {"process", "monitor"} <= {entry["source"] for entry in whole.data["entries"]}
    signals = [e for e in whole.data["entries"] if e["source"] == "process" and e["node"] == "etcd-2"]
    assert len(signals) == len({entry["text"] for entry in signals}), "no signal is told twice"

    kernel = await run("13", "timeline", {"incident": incident, "sources": ["process"], "node": "etcd-2"})
    assert {(e["source"], e["node"]) for e in kernel.data["entries"]} == {("process", "etcd-2")}
    cited = dispatcher.workbench.ledger.get(kernel.data["entries"][0]["evidence"])
    assert cited is not None
    assert cited.text.startswith(kernel.data["entries"][0]["text"].rstrip("…")[:40])

    few = await run("14", "timeline", {"incident": incident, "from_s": -60, "limit": 2})
    assert len(few.data["entries"]) == 2
    assert few.data["entries_cut"] > 0

    backwards = await run("15", "timeline", {"from_s": 5, "to_s": 1})
    assert not backwards.ok
    assert json.dumps(whole.data), "all of it is JSON"


def window(at: float, operations: int, errors: int = 0, p99_ms: float = 5.0) -> Window:
    figures = OperationFigures(operations, errors, 0, 1.0, 2.0, p99_ms, p99_ms)
    return Window(0, at, at, 1.0, operations, errors, 0, {"all": figures})


def test_how_long_clients_were_affected_is_counted_from_the_windows_of_the_span() -> None:
    windows = [window(n, 300) for n in range(5)]
    windows += [window(5, 10, errors=7, p99_ms=900.0), window(6, 200, errors=2), window(7, 300)]
    windows += [window(100, 0, errors=99)]

    felt = client_effect(windows, Span(zero=5.0, from_s=-3, to_s=10))

    assert felt["seconds_with_errors"] == 2
    assert (felt["first_error_seconds"], felt["last_error_seconds"]) == (-1.0, 1.0)
    assert (felt["errors"], felt["fewest_ops"], felt["worst_p99_ms"]) == (9, 10, 900.0)


def test_without_a_window_nothing_is_claimed() -> None:
    felt = client_effect([], Span(0, 0, 1))

    assert (felt["fewest_ops"], felt["worst_p99_ms"], felt["first_error_seconds"]) == (None, None, None)
