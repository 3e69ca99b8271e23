"""load_start, load_status and load_stop as the model calls them: through the dispatcher, on real etcd."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from subjects.base import Cluster, LoadTarget
from subjects.state import StateFolder
from tests.standins.etcd_members import Members
from tools.events import Event, Notice
from tools.load import folders
from tools.load import tools as load_tools_module
from tools.load.choosers import key_name
from tools.load.folders import KEPT_RUNS, new_folder
from tools.observe.figures import Window
from tools.observe.ledger import Ledger
from tools.registry import Dispatcher, load_tools
from tools.tool import Effect, Outcome
from tools.workbench import Workbench

SMALL = {"records": 100, "rate": 50, "deadline_s": 5}


class Desk:
    """A workbench with one etcd on it, and what was told."""

    def __init__(self, folder: Path, target: LoadTarget, *, owned: bool = True) -> None:
        self.events: list[Event] = []
        self.windows: list[Window] = []
        subject = SimpleNamespace(name="etcd", load_target=lambda _wanted: target)
        nodes = SimpleNamespace(name="process")
        control = SimpleNamespace(up=bool, down=bool, healthy_timeout_s=1.0) if owned else None
        self.workbench = Workbench(
            state=StateFolder(folder),
            emit=self.events.append,
            ledger=Ledger(),
            incidents=cast("Any", None),
            faults=cast("Any", None),
            diagnostician=cast("Any", None),
            cluster=Cluster("etcd-process", cast("Any", subject), cast("Any", nodes), cast("Any", control)),
            monitor=cast("Any", SimpleNamespace(client_window=self.windows.append)),
        )
        mine = {name: each for name, each in load_tools().items() if name.startswith("load_")}
        self._dispatcher = Dispatcher(self.workbench, mine)

    async def call(self, name: str, **arguments: object) -> Outcome:
        return await self._dispatcher.run("call", name, arguments)


@pytest.fixture
async def desk(tmp_path: Path, target: LoadTarget, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(load_tools_module, "BASELINE_WINDOWS", 1)  # three only where it matters
    made = Desk(tmp_path, target)
    yield made
    if made.workbench.load is not None:
        await made.workbench.load.aclose()


def test_the_effects_are_what_permissions_rely_on() -> None:
    declared = load_tools()

    assert declared["load_status"].effect is Effect.READ
    assert {declared[name].effect for name in ("load_start", "load_stop")} == {Effect.ACT}


async def test_two_loads_are_never_on_one_cluster_for_each_would_miss_its_writes(
    desk: Desk, tmp_path: Path, target: LoadTarget
) -> None:
    other = Desk(tmp_path, target)  # another operator on the same state folder
    await desk.call("load_start", **SMALL)
    refused = await other.call("load_start", **SMALL)
    await desk.call("load_stop", verify=False)
    started = await other.call("load_start", **SMALL)
    await other.call("load_stop", verify=False)

    assert not refused.ok
    assert "Another operator has a load" in refused.text
    assert started.ok, started.text


async def test_a_load_is_started_read_and_stopped_with_proof(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_tools_module, "BASELINE_WINDOWS", 3)
    started = await desk.call("load_start", **SMALL)
    status = await desk.call("load_status")
    stopped = await desk.call("load_stop")

    assert started.ok, started.text
    assert started.data["steady"] is (started.data["baseline"]["ops_per_s"] >= 45)
    assert started.data["baseline"]["ops_per_s"] == pytest.approx(50, rel=0.3)
    assert started.data["baseline"]["p99_ms"] >= started.data["baseline"]["p50_ms"] > 0
    assert started.data["baseline"]["errors"] == 0
    assert status.data["running"]
    assert status.data["figures"]["ops_per_s"] == pytest.approx(50, rel=0.3)
    assert len(status.data["latest"]) >= 3
    assert stopped.data["writes"]["kept"]
    assert stopped.data["writes"]["keys"] == 100
    assert stopped.data["totals"]["operations"] >= 100
    assert desk.workbench.load is None


async def test_windows_reach_the_monitor(desk: Desk) -> None:
    await desk.call("load_start", **SMALL)

    assert [window.n for window in desk.windows][:1] == [0]


async def test_a_second_load_is_refused_and_the_first_goes_on(desk: Desk) -> None:
    await desk.call("load_start", **SMALL)
    again = await desk.call("load_start", workload="B")

    assert not again.ok
    assert "workload A, 100 records, 50 operations/s" in again.data["error"]
    assert "load_stop" in again.data["next"]
    assert desk.workbench.load is not None
    assert desk.workbench.load.running


async def test_an_unknown_workload_is_told_those_there_are(desk: Desk) -> None:
    outcome = await desk.call("load_start", workload="ycsb-x")

    assert not outcome.ok
    assert outcome.data["next"] == "The workloads are: A, B, C, D, E, F."
    assert desk.workbench.load is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"rate": 0}, "rate is 0"),
        ({"records": 10**9}, "records is"),
        ({"rates": 5}, "rates"),
        ({"seed": "x"}, "seed"),
    ],
)
async def test_a_wrong_argument_is_named(desk: Desk, wrong: dict[str, object], named: str) -> None:
    outcome = await desk.call("load_start", **wrong)

    assert not outcome.ok
    assert named in outcome.data["error"]


async def test_lost_and_changed_writes_are_told_plainly(desk: Desk, member: Members) -> None:
    await desk.call("load_start", workload="C", **SMALL)
    member.delete(key_name(1))
    member.put(key_name(2), b"surprise")
    stopped = await desk.call("load_stop")

    assert (stopped.data["writes"]["lost"], stopped.data["writes"]["changed"]) == (1, 1)
    assert not stopped.data["writes"]["kept"]
    assert "1 keys lost, 1 changed" in stopped.data["next"]


async def test_without_the_check_nothing_is_claimed_of_writes(desk: Desk) -> None:
    await desk.call("load_start", **SMALL)
    stopped = await desk.call("load_stop", verify=False)

    assert "writes" not in stopped.data
    assert "not read back" in stopped.data["next"]


async def test_status_and_stop_without_a_load_say_so(desk: Desk) -> None:
    status, stopped = await desk.call("load_status"), await desk.call("load_stop")

    assert status.ok
    assert status.data["running"] is False
    assert not stopped.ok
    assert "load_start" in stopped.data["next"]


async def test_a_load_that_died_is_told_and_can_be_started_again(desk: Desk) -> None:
    await desk.call("load_start", **SMALL)
    assert desk.workbench.load is not None
    await desk.workbench.load._source.aclose()
    desk.workbench.load.problem = "killed"
    status = await desk.call("load_status")
    again = await desk.call("load_start", **SMALL)

    assert (status.data["running"], status.data["why"]) == (False, "killed")
    assert again.ok, again.text


async def test_the_end_of_the_generator_is_a_notice(desk: Desk) -> None:
    await desk.call("load_start", **SMALL)
    run = desk.workbench.load
    assert run is not None
    process = cast("Any", run._source)._process
    process.kill()
    assert not await run.wait_windows(10**6, timeout_s=10)

    notices = [event for event in desk.events if isinstance(event, Notice)]
    assert [notice.level for notice in notices] == ["warning"]
    assert "ended by itself" in notices[0].text


async def test_a_cluster_of_somebody_elses_takes_no_load(tmp_path: Path, target: LoadTarget) -> None:
    outcome = await Desk(tmp_path, target, owned=False).call("load_start")

    assert not outcome.ok
    assert "external" in outcome.data["error"]


def test_only_the_latest_runs_are_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "KEPT_RUNS", 3)
    made = []
    for _ in range(6):
        made.append(new_folder(tmp_path))
        made[-1].mkdir(parents=True)
    (tmp_path / "load" / "somebody's").mkdir()
    new_folder(tmp_path)

    assert KEPT_RUNS > 3
    assert [path.exists() for path in made] == [False] * 4 + [True] * 2
    assert (tmp_path / "load" / "somebody's").exists()


async def test_a_load_that_is_not_carried_at_first_is_measured_until_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(load_tools_module, "_steady", lambda run, baseline: next(answers, True))

    started = await desk.call("load_start", **SMALL)

    assert started.data["steady"] is True
    assert next(answers, None) is None
    assert len(desk.windows) >= 3


async def test_a_load_that_is_never_carried_is_said_not_to_be_steady(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_tools_module, "SETTLE_WINDOWS", 2)
    monkeypatch.setattr(load_tools_module, "STEADY_SHARE", 100.0)

    started = await desk.call("load_start", **SMALL)

    assert started.data["steady"] is False
    assert "lower rate" in started.text
