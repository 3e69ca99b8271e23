"""load_start, load_status and load_stop as the model calls them: through the dispatcher, on real etcd."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subjects.base import Cluster, LoadTarget
from subjects.state import StateFolder
from tests.standins.etcd_members import Members
from tools.events import Event, Notice, Progress
from tools.load import run
from tools.load.choosers import key_name
from tools.load.run import KEPT_RUNS, LoadRun, new_folder
from tools.load.settings import LoadSettings
from tools.load.tools import begin, measure_baseline
from tools.observe.figures import LoadFigures, Window
from tools.observe.ledger import Ledger
from tools.registry import Dispatcher, load_tools
from tools.tool import Effect, Outcome
from tools.workbench import Workbench

SMALL = {"records": 100, "rate": 50, "deadline_s": 5}


class LoadTools:
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

    async def begin(self, workload: str = "A", deadline_s: float = 5.0) -> None:
        """Start a small load; its baseline is not measured."""
        run = await begin(self.workbench, LoadSettings(workload, 100, 50.0, 0, deadline_s))
        assert await run.wait_windows(1, 60.0)


@pytest.fixture
async def tools(tmp_path: Path, target: LoadTarget) -> AsyncIterator[LoadTools]:
    made = LoadTools(tmp_path, target)
    yield made
    if made.workbench.load is not None:
        await made.workbench.load.aclose()


def test_the_effects_are_what_permissions_rely_on() -> None:
    declared = load_tools()

    assert declared["load_status"].effect is Effect.READ
    assert {declared[name].effect for name in ("load_start", "load_stop")} == {Effect.ACT}


async def test_two_loads_are_never_on_one_cluster_for_each_would_miss_its_writes(
    tools: LoadTools, tmp_path: Path, target: LoadTarget
) -> None:
    other = LoadTools(tmp_path, target)  # another operator on the same state folder
    await tools.begin()
    refused = await other.call("load_start", **SMALL)
    await tools.call("load_stop", verify=False)
    await other.begin()
    await other.call("load_stop", verify=False)

    assert not refused.ok
    assert "Another operator has a load" in refused.text


async def test_a_load_is_started_read_and_stopped_with_proof(tools: LoadTools) -> None:
    started = await tools.call("load_start", **SMALL)
    status = await tools.call("load_status")
    stopped = await tools.call("load_stop")

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
    assert tools.workbench.load is None


async def test_a_new_load_is_not_compared_with_the_one_before(tools: LoadTools) -> None:
    tools.workbench.baseline = LoadFigures(300.0, 1.0, 2.0, 0)
    await tools.begin()

    assert tools.workbench.baseline is None


async def test_windows_reach_the_monitor(tools: LoadTools) -> None:
    await tools.begin()

    assert [window.n for window in tools.windows][:1] == [0]


async def test_a_second_load_is_refused_and_the_first_goes_on(tools: LoadTools) -> None:
    await tools.begin()
    again = await tools.call("load_start", workload="B")

    assert not again.ok
    assert "workload A, 100 records, 50 operations/s" in again.data["error"]
    assert "load_stop" in again.data["next"]
    assert tools.workbench.load is not None
    assert tools.workbench.load.running


async def test_an_unknown_workload_is_told_those_there_are(tools: LoadTools) -> None:
    outcome = await tools.call("load_start", workload="ycsb-x")

    assert not outcome.ok
    assert outcome.data["next"] == "The workloads are: A, B, C, D, E, F."
    assert tools.workbench.load is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"rate": 0}, "rate is 0"),
        ({"records": 10**9}, "records is"),
        ({"rates": 5}, "rates"),
        ({"seed": "x"}, "seed"),
    ],
)
async def test_a_wrong_argument_is_named(tools: LoadTools, wrong: dict[str, object], named: str) -> None:
    outcome = await tools.call("load_start", **wrong)

    assert not outcome.ok
    assert named in outcome.data["error"]


async def test_lost_and_changed_writes_are_told_plainly(tools: LoadTools, member: Members) -> None:
    await tools.begin("C")
    member.delete(key_name(1))
    member.put(key_name(2), b"surprise")
    stopped = await tools.call("load_stop")

    assert (stopped.data["writes"]["lost"], stopped.data["writes"]["changed"]) == (1, 1)
    assert not stopped.data["writes"]["kept"]
    assert "1 keys lost, 1 changed" in stopped.data["next"]


async def test_without_the_check_nothing_is_claimed_of_writes(tools: LoadTools) -> None:
    await tools.begin()
    stopped = await tools.call("load_stop", verify=False)

    assert "writes" not in stopped.data
    assert "not read back" in stopped.data["next"]


async def test_status_and_stop_without_a_load_say_so(tools: LoadTools) -> None:
    status, stopped = await tools.call("load_status"), await tools.call("load_stop")

    assert status.ok
    assert status.data["running"] is False
    assert not stopped.ok
    assert "load_start" in stopped.data["next"]


async def test_a_load_that_died_is_told_and_can_be_started_again(tools: LoadTools) -> None:
    await tools.begin()
    assert tools.workbench.load is not None
    await tools.workbench.load._source.aclose()
    tools.workbench.load.problem = "killed"
    status = await tools.call("load_status")
    again = await tools.call("load_start", **SMALL)

    assert (status.data["running"], status.data["why"]) == (False, "killed")
    assert again.ok, again.text


async def test_the_end_of_the_generator_is_a_notice(tools: LoadTools) -> None:
    await tools.begin()
    run = tools.workbench.load
    assert run is not None
    process = cast("Any", run._source)._process
    process.kill()
    assert not await run.wait_windows(10**6, timeout_s=60)

    notices = [event for event in tools.events if isinstance(event, Notice)]
    assert [notice.level for notice in notices] == ["warning"]
    assert "ended by itself" in notices[0].text


async def test_a_cluster_of_somebody_elses_takes_no_load(tmp_path: Path, target: LoadTarget) -> None:
    outcome = await LoadTools(tmp_path, target, owned=False).call("load_start")

    assert not outcome.ok
    assert "external" in outcome.data["error"]


def test_only_the_latest_runs_are_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "KEPT_RUNS", 3)
    made = []
    for _ in range(6):
        made.append(new_folder(tmp_path))
        made[-1].mkdir(parents=True)
    (tmp_path / "load" / "somebody's").mkdir()
    new_folder(tmp_path)

    assert KEPT_RUNS > 3
    assert [path.exists() for path in made] == [False] * 4 + [True] * 2
    assert (tmp_path / "load" / "somebody's").exists()


class Paced:
    """A load whose next window comes when it is asked for."""

    unrecorded = ""

    def __init__(self, windows: Iterable[Window]) -> None:
        self._windows, self._due = iter(windows), asyncio.Semaphore(0)

    def ask(self, event: Event) -> None:
        if isinstance(event, Progress) and not event.done:
            self._due.release()

    async def windows(self) -> AsyncIterator[Window]:
        for window in self._windows:
            await self._due.acquire()
            yield window

    async def start(self) -> None:
        """Nothing is written."""

    async def aclose(self) -> None:
        """Nothing is open."""


async def baseline_of(seconds: Sequence[tuple[int, int]]) -> tuple[int, LoadFigures, bool]:
    """How many windows a baseline takes where the seconds carry `(operations, errors)`; and what it is."""
    source = Paced(Window(n, n, n, 1.0, done, errors, 0, {}) for n, (done, errors) in enumerate(seconds))
    run = await LoadRun.over(cast("Any", source), LoadSettings("A", 100, 50.0, 0, 5.0), lambda _: None)
    baseline, steady = await measure_baseline(run, source.ask)
    taken = len(run.windows)
    for _ in seconds:
        source.ask(Progress(""))
    await run.aclose()
    return taken, baseline, steady


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from([0, 0, 0, 1])), min_size=15, max_size=15))
def test_the_baseline_is_the_first_three_seconds_in_a_row_that_carry_the_load_without_an_error(
    seconds: list[tuple[int, int]],
) -> None:
    def carried(end: int) -> bool:
        last = seconds[end - 3 : end]
        return sum(done for done, _ in last) >= 0.9 * 50 * 3 and not any(errors for _, errors in last)

    first = next((end for end in range(3, 16) if carried(end)), None)
    taken, baseline, steady = asyncio.run(baseline_of(seconds))

    assert steady is (first is not None)
    assert taken == (first or 15)
    assert baseline.ops_per_s == pytest.approx(sum(done for done, _ in seconds[taken - 3 : taken]) / 3)
