"""The diagnostician is blind: what it is sent holds no trace of what was done, whatever was done."""

import dataclasses
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import pytest

from agent.diagnostician import ClaudeDiagnostician, specs, without
from agent.models.base import ModelEvent, Reply, Request
from subjects.base import ObservedCluster
from tests.unit.diagnosis.conftest import Bench
from tools.diagnosis.examination import Examination, ObservedLedger
from tools.diagnosis.schema import Diagnosis
from tools.diagnosis.tools import open_case
from tools.observe.incident import SeenIncident
from tools.observe.ledger import Evidence, Ledger
from tools.registry import Dispatcher, load_tools
from tools.workbench import Workbench

ACTS = re.compile(r"store_kill|store_restart|fault_inject|fault_heal|cluster_stop|load_stop", re.IGNORECASE)
ROOT = Path(__file__).parents[3]
TELLTALE = re.compile(r"inject|\bfaults?\b|chaos|\bdrill|predict|operator|heal(?:ed|s)? ", re.IGNORECASE)


class ReadingModel:
    """Reads with every tool that it is given, submits what it was told first, and is done."""

    driver: Literal["claude"] = "claude"
    name: str | None = None
    compaction: Literal["model"] = "model"

    def __init__(self, nodes: tuple[str, ...], incident: str | None) -> None:
        self.requests: list[Request] = []
        self._nodes, self._incident = nodes, incident

    async def respond(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        match len(self.requests):
            case 1:
                yield _calls(self._readings(request))
            case 2:
                yield _calls([("submit_diagnosis", self._findings(request))])
            case _:
                yield Reply(({"type": "text", "text": "Submitted."},), "end_turn")

    async def aclose(self) -> None:
        """Nothing is open."""

    def _readings(self, request: Request) -> list[tuple[str, dict[str, Any]]]:
        given = {"incident": self._incident} if self._incident else {}
        calls: list[tuple[str, dict[str, Any]]] = [
            ("cluster_status", {}),
            ("load_status", {"seconds": 60}),
            ("incident_list", {}),
            ("incident_list", given),
            ("timeline", {"from_s": -300, "to_s": 60, "load": True, "limit": 200}),
            ("timeline", {**given, "from_s": -300, "to_s": 60}),
            ("submit_diagnosis", {}),
        ]
        for node in self._nodes:
            calls.append(("read_logs", {"node": node, "since_s": 600, "limit": 200}))
            calls.append(("read_metrics", {"node": node, "names": ["etcd_server_", "process_"]}))
        assert {name for name, _ in calls} == {tool.name for tool in request.tools}
        return calls

    def _findings(self, request: Request) -> dict[str, Any]:
        opening = str(request.messages[0].content[0]["text"])
        first = re.search(r"^\[(D\d+)\] \S+ s \w+ \S+: (.{8,60})", opening, re.MULTILINE)
        assert first is not None, opening
        return {
            "observation": f"See {first[1]}.",
            "root_cause": "Unknown.",
            "kind": "unknown",
            "nodes": [],
            "confidence": "low",
            "evidence": [{"id": first[1], "quote": first[2].strip(), "claim": "It was seen."}],
            "alternatives": [{"cause": "a", "ruled_out_by": "x"}, {"cause": "b", "ruled_out_by": "y"}],
            "would_change": "Anything.",
        }


def _calls(calls: list[tuple[str, dict[str, Any]]]) -> Reply:
    return Reply(
        tuple(
            {"type": "tool_use", "id": f"toolu_{n}_{name}", "name": name, "input": arguments}
            for n, (name, arguments) in enumerate(calls)
        ),
        "tool_use",
    )


def _text(request: Request) -> str:
    return "\n".join(str(block) for message in request.messages for block in message.content)


async def sent_to_the_diagnostician(on: Bench) -> tuple[Request, Diagnosis]:
    """Diagnose with a model that reads everything; return its last request, which holds all that it got."""
    case = open_case(on.workbench)
    model = ReadingModel(on.workbench.require_cluster().subject.nodes, case.incident)
    on.workbench.diagnostician = ClaudeDiagnostician(model, on.told.append)
    found = await on.workbench.diagnosed(case)
    return model.requests[-1], found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kill", "disk_full", "network_delay"])
async def test_nothing_that_is_sent_tells_what_was_injected(on_etcd: Bench, kind: str) -> None:
    workbench = on_etcd.workbench
    await on_etcd.do("load_start", rate=50)
    injected = await on_etcd.do("fault_inject", kind=kind)
    await on_etcd.do("wait_for_detection", timeout_s=60)
    case = open_case(workbench)
    assert case.incident is not None
    assert workbench.monitor is not None
    await workbench.monitor.recorded()
    workbench.incidents.set_figures(case.incident, {"injected": {"kind": kind}, "prediction": injected.data})
    workbench.incidents.heal(case.incident, f"fault {injected.data['fault']} ({kind}) was undone")

    request, found = await sent_to_the_diagnostician(on_etcd)

    everything = f"{request.system}\n{request.tools}\n{_text(request)}"
    told = _text(request).replace(str(ROOT), "")  # etcd's log has the path of its program
    assert not ACTS.findall(everything)
    assert not TELLTALE.findall(told)
    assert str(workbench.state.root) not in everything
    assert injected.data["prediction"] not in everything
    # Words for kinds stand in the prompt, for all kinds alike; what was read must not bring one.
    assert not re.search(rf"\b{kind}\b", told)
    assert not re.search(r"\bE\d+\b", told), "the session's own ids have gaps where acts were"
    assert found.by == "claude"
    assert found.verified
    cited = workbench.ledger.get(found.evidence[0].id)
    assert cited is not None, "citations come back under the session's own ids"
    assert found.evidence[0].id in found.observation


@pytest.mark.slow
async def test_the_same_search_finds_the_truth_where_it_is(on_etcd: Bench) -> None:
    """Else the test above could pass because it looks for nothing."""
    await on_etcd.do("store_kill")
    session = "\n".join(f"[{item.id}] {item.source} {item.text}" for item in on_etcd.workbench.ledger)

    assert ACTS.findall(session)
    assert TELLTALE.findall(session)


async def test_nothing_of_an_examination_acts_or_knows_what_was_done(on_etcd: Bench) -> None:
    session = on_etcd.workbench
    await on_etcd.do("store_kill")
    examination = Examination.of(session, open_case(session))

    assert not isinstance(examination, Workbench)
    assert set(vars(examination)) == {field.name for field in dataclasses.fields(Examination)}
    assert {field.name for field in dataclasses.fields(Examination)} == {
        *("emit", "ledger", "incidents", "cluster", "monitor", "load", "own_folder"),
        *("case", "findings", "problems", "submissions"),
    }
    assert type(examination.cluster) is ObservedCluster
    for incident in examination.incidents.list():
        assert type(incident) is SeenIncident
    assert not [item for item in examination.ledger if not item.source.startswith("signal:")]


async def test_what_acts_cannot_be_run_on_an_examination(on_etcd: Bench) -> None:
    examination = Examination.of(on_etcd.workbench, open_case(on_etcd.workbench))
    everything = load_tools()
    dispatcher = Dispatcher(examination, everything)
    acting = [name for name, tool in everything.items() if not issubclass(Examination, tool.needs)]

    assert {"store_kill", "fault_inject", "fault_heal", "cluster_stop", "load_stop"} < set(acting)
    for name in acting:
        assert not (await dispatcher.run("c", name, {})).ok


def test_a_blind_ledger_shows_what_was_observed_and_nothing_that_was_done() -> None:
    session = Ledger()
    session.add("store_kill", "killed etcd-2", wall=9.0)
    before = session.add("signal:process", "etcd-1 exit: long before", wall=1.0)
    seen = session.add("signal:process", "etcd-2 exit: process 4", wall=10.0)
    session.add("fault_heal", "started etcd-2", wall=11.0)
    blind = _ledger_of(session, opened=10.0)
    later = session.add("signal:self", "etcd-2 restarted", wall=12.0)

    assert [(item.id, item.text) for item in blind] == [("D1", seen.text), ("D2", later.text)]
    assert blind.session_ids == {"D1": seen.id, "D2": later.id}
    assert blind.get(before.id) is None


def test_what_the_diagnostician_reads_can_be_shown_under_the_sessions_ids() -> None:
    session = Ledger()
    blind = _ledger_of(session, opened=0.0)
    mine = blind.add("read_logs", "a line", node="etcd-1")

    shown = session.get(blind.session_ids[mine.id])
    assert shown is not None
    assert shown.text == "a line"


def _ledger_of(session: Ledger, opened: float) -> ObservedLedger:
    return ObservedLedger(session, opened)


def test_the_record_of_a_large_outage_is_taken_over_once() -> None:
    class Counting(Ledger):
        scans = 0

        def since(self, wall: float) -> list[Evidence]:
            self.scans += 1
            return super().since(wall)

    session = Counting()
    for n in range(50):
        session.add("signal:process", f"n{n} exit: it ended", wall=10.0 + n)
    blind = ObservedLedger(session, 0.0)
    found = [blind.get(f"D{n}") for n in range(1, 51)]
    blind.add("read_logs", "a line")
    session.add("signal:process", "n50 exit: it ended", wall=70.0)

    assert all(found)
    assert len(list(blind)) == 52
    assert session.scans == 2


def test_descriptions_lose_the_sentences_that_name_other_tools() -> None:
    text = "Read it. Call store_kill before. Then look again.\n\nUse fault_heal: it helps."

    assert without(("store_kill", "fault_heal"), text) == "Read it. Then look again.\n\nit helps."


def test_no_tool_of_the_diagnosticians_names_one_that_it_has_not() -> None:
    tools = load_tools(Examination)
    hidden = [name for name in load_tools() if name not in tools]
    told = "\n".join(f"{spec.description}\n{spec.schema}" for spec in specs(tools.values(), hidden))

    assert not re.search(rf"\b({'|'.join(hidden)})\b", told)
    assert not re.search(r"inject|chaos|drill", told)
