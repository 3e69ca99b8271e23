"""The generator's process on real etcd: what it measures, survives and proves, and that it never stays."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from subjects.base import LoadTarget
from subjects.runtimes.ports import free_ports
from tests.standins.etcd_gateway_standin import gateway
from tests.standins.etcd_members import Members
from tests.waiting import until
from tools.errors import ToolError
from tools.load.choosers import key_name
from tools.load.process import GeneratorProcess
from tools.load.run import LoadRun
from tools.load.settings import LoadSettings
from tools.load.source import LoadFailed
from tools.load.wire import parse, read_window
from tools.observe.figures import Window

DRIVER = "subjects.etcd.load:EtcdDriver"
SMALL = LoadSettings(records=100, rate=100, deadline_s=5)
"""Little enough for a machine that is busy with other things."""


@asynccontextmanager
async def load(
    target: LoadTarget,
    folder: Path,
    settings: LoadSettings = SMALL,
    on_end: Callable[[str], None] | None = None,
) -> AsyncIterator[LoadRun]:
    run = await LoadRun.start(target, settings, folder, lambda window: None, on_end)
    try:
        yield run
    finally:
        await run.aclose()


def pid_of(run: LoadRun) -> int:
    assert isinstance(run._source, GeneratorProcess)
    assert run._source.pid is not None
    return run._source.pid


async def test_records_are_written_first_then_windows_come_each_second(
    member: Members, target: LoadTarget, tmp_path: Path
) -> None:
    seen: list[Window] = []
    run = await LoadRun.start(target, SMALL, tmp_path, seen.append)
    try:
        assert member.keys() >= SMALL.records
        assert await run.wait_windows(3, timeout_s=60)
        first = list(run.windows)[:3]
    finally:
        totals = await run.stop()

    assert [window.n for window in first] == [0, 1, 2]
    assert all(window.seconds > 0.9 and window.operations for window in first)
    assert {"read", "update", "all"} == set(first[0].by_kind)
    assert seen == list(run.windows)
    assert totals is not None
    assert totals.operations == sum(window.operations for window in run.windows)
    kept = (tmp_path / "windows.jsonl").read_bytes().splitlines()
    assert [read_window(parse(raw)) for raw in kept] == seen


async def test_figures_are_of_the_span_that_was_asked_for(target: LoadTarget, tmp_path: Path) -> None:
    async with load(target, tmp_path) as run:
        assert await run.wait_windows(2, timeout_s=60)
        began = run.windows[0].at - run.windows[0].seconds
        figures = run.figures(began, time.monotonic())
        before = run.figures(began - 60, began)

    assert figures.ops_per_s
    assert figures.p50_ms is not None
    assert figures.p99_ms is not None
    assert 0 < figures.p50_ms <= figures.p99_ms
    assert figures.errors == 0
    assert (before.ops_per_s, before.p99_ms, before.errors) == (None, None, None)


@pytest.mark.parametrize("workload", ["B", "C", "D", "E", "F"])
async def test_every_workload_runs_without_errors(target: LoadTarget, tmp_path: Path, workload: str) -> None:
    async with load(target, tmp_path, LoadSettings(workload, records=100, rate=100, deadline_s=60)) as run:
        assert await run.wait_windows(1, timeout_s=60)
        check = await run.verify(resume=False)
        window = run.windows[0]

    assert window.errors + window.timeouts == 0, window.last_error
    assert window.operations
    assert set(window.by_kind) - {"all"} <= {kind.value for kind in run.settings.chosen.mix}
    assert (check.lost, check.changed, check.unreadable) == (0, 0, 0)


async def test_acknowledged_writes_are_all_there_and_the_load_goes_on_after_the_check(
    target: LoadTarget, tmp_path: Path
) -> None:
    async with load(target, tmp_path) as run:
        assert await run.wait_windows(1, timeout_s=60)
        check = await run.verify()
        windows = len(run.windows)

        assert check.acknowledged > check.keys == SMALL.records
        assert (check.lost, check.changed, check.unreadable, check.indeterminate) == (0, 0, 0, 0)
        assert run.checked == check
        assert await run.wait_windows(windows + 1, timeout_s=60)
        assert run.windows[-1].operations


async def test_a_record_deleted_behind_its_back_is_lost_and_an_overwritten_one_changed(
    member: Members, target: LoadTarget, tmp_path: Path
) -> None:
    async with load(target, tmp_path, LoadSettings("C", records=50, rate=50)) as run:
        member.delete(key_name(11))
        member.put(key_name(12), b"nobody wrote this")
        check = await run.verify()

    assert (check.keys, check.lost, check.changed, check.unreadable) == (50, 1, 1, 0)


async def test_a_check_that_was_given_up_does_not_answer_for_the_next(
    member: Members, target: LoadTarget, tmp_path: Path
) -> None:
    async with load(target, tmp_path, LoadSettings("C", records=500, rate=50)) as run:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await run.verify()
        member.delete(key_name(3))
        first = await run.verify()
        member.delete(key_name(4))
        second = await run.verify()

    assert (first.lost, second.lost) == (1, 2)


@pytest.mark.parametrize("lose", [Members.kill, Members.pause], ids=["killed", "frozen"])
async def test_without_one_member_the_load_goes_on_and_no_write_is_lost(
    lose: Callable[[Members, int], None], three: Members, tmp_path: Path
) -> None:
    follower = next(n for n in range(3) if n != three.leader())
    settings = LoadSettings(records=100, rate=100, deadline_s=2)
    async with load(LoadTarget(DRIVER, three.endpoints), tmp_path, settings) as run:
        assert await run.wait_windows(1, timeout_s=60)
        lose(three, follower)
        seen = len(run.windows)
        await until(lambda: any(whole(window) for window in list(run.windows)[seen + 1 :]))
        three.resume(follower)
        check = await run.verify(resume=False)

    assert (check.lost, check.changed, check.unreadable) == (0, 0, 0)


def whole(window: Window) -> bool:
    """Whether everything was done in it."""
    return window.operations > 0 and window.errors + window.timeouts == 0


async def test_a_stalled_server_shows_in_latency_from_when_operations_were_due(tmp_path: Path) -> None:
    settings = LoadSettings("C", records=20, rate=100, max_in_flight=1)
    async with gateway() as server, load(LoadTarget(DRIVER, (server.url,)), tmp_path, settings) as run:
        assert await run.wait_windows(1, timeout_s=60)
        server.stall_s = 0.6
        await asyncio.sleep(0.3)
        server.stall_s = 0.0
        seen = len(run.windows)
        assert await run.wait_windows(seen + 2, timeout_s=60)
        felt = run.latest(3)
        served = [window.by_kind["read"].service_p50_ms for window in list(run.windows)[-3:]]

    assert felt.p99_ms is not None
    assert felt.p99_ms > 400
    assert all(each is not None and each < felt.p99_ms / 2 for each in served)


async def test_what_cannot_be_read_back_proves_nothing_and_is_told(tmp_path: Path) -> None:
    async with gateway() as server:
        settings = LoadSettings("C", records=20, rate=20, deadline_s=0.2)
        async with load(LoadTarget(DRIVER, (server.url,)), tmp_path, settings) as run:
            server.stall_s = 30
            check = await run.verify(timeout_s=1.0)

    assert (check.keys, check.unreadable, check.lost, check.changed) == (20, 20, 0, 0)


async def test_no_database_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    target = LoadTarget(DRIVER, (f"http://127.0.0.1:{free_ports(1)[0]}",))
    with pytest.raises(LoadFailed, match=r"records could not be written.*cannot connect"):
        await LoadRun.start(target, SMALL, tmp_path, lambda window: None)

    assert not generators()


async def test_settings_that_make_no_sense_start_nothing(target: LoadTarget, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no workload 'Z'"):
        await LoadRun.start(target, LoadSettings("Z"), tmp_path, lambda window: None)

    assert not generators()


async def test_a_folder_that_cannot_be_made_is_a_load_that_failed(target: LoadTarget, tmp_path: Path) -> None:
    (tmp_path / "load").touch()
    with pytest.raises(LoadFailed, match="could not be started"):
        await LoadRun.start(target, SMALL, tmp_path / "load" / "run-1", lambda window: None)


async def test_a_generator_that_dies_is_noticed_at_once(target: LoadTarget, tmp_path: Path) -> None:
    ended: list[str] = []
    async with load(target, tmp_path, on_end=ended.append) as run:
        os.kill(pid_of(run), signal.SIGKILL)
        await until(lambda: not run.running)

        assert ended == [run.problem]
        assert "ended by itself" in run.problem
        with pytest.raises(LoadFailed):
            await run.verify()
        assert await run.stop() is None


async def test_stopping_twice_is_once(target: LoadTarget, tmp_path: Path) -> None:
    async with load(target, tmp_path) as run:
        first, second = await run.stop(), await run.stop()

        assert first == second
        assert not run.running
        assert run.problem == ""


async def test_a_cancelled_start_leaves_nothing(target: LoadTarget, tmp_path: Path) -> None:
    starting = asyncio.create_task(
        LoadRun.start(target, LoadSettings(records=20_000), tmp_path, lambda window: None)
    )
    await until(lambda: bool(generators()))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert not generators()


async def test_the_generator_is_out_of_reach_of_the_terminals_ctrl_c(
    target: LoadTarget, tmp_path: Path
) -> None:
    async with load(target, tmp_path) as run:
        assert os.getsid(pid_of(run)) == pid_of(run) != os.getsid(0)


OWNER = """
import asyncio, sys
from pathlib import Path
from subjects.base import LoadTarget
from tools.load.run import LoadRun
from tools.load.settings import LoadSettings

async def main():
    target = LoadTarget(sys.argv[1], (sys.argv[2],))
    run = await LoadRun.start(target, LoadSettings(records=50), Path(sys.argv[3]), lambda window: None)
    print(run._source.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_generator_ends_when_its_owner_is_killed(target: LoadTarget, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", OWNER, target.driver, target.endpoints[0], str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as owner:  # noqa: ASYNC220 - it is killed, not awaited
        assert owner.stdout is not None
        generator = psutil.Process(int(owner.stdout.readline()))
        assert generator.is_running()
        owner.kill()
    await until(lambda: gone(generator), timeout_s=60)


async def test_a_folder_named_tools_where_operator_is_run_is_not_taken_for_ours(
    target: LoadTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    async with load(target, tmp_path / "load") as run:
        assert await run.wait_windows(1, timeout_s=60)


def generators() -> list[psutil.Process]:
    """Return the generators that this test process has started and that still run."""
    return [child for child in psutil.Process().children() if not gone(child)]


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE or "tools.load.generator" not in process.cmdline()
    except psutil.NoSuchProcess:
        return True
