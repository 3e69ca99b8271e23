"""One client: what it counts, what it remembers, and that remembering takes no more memory with time."""

import asyncio
import gc
import time
import tracemalloc
from copy import copy

import pytest

from subjects.load import OperationFailed, Record
from tools.load.choosers import key_name
from tools.load.client import Client
from tools.load.driver import Driver
from tools.load.recorder import Recorder
from tools.load.workloads import WORKLOADS, Kind, Operation, Operations
from tools.load.written import Written


class MemoryDriver:
    """A database in a dict. `failure` fails what comes; `hang` never answers."""

    def __init__(self) -> None:
        self.rows: dict[str, Record] = {}
        self.failure: OperationFailed | None = None
        self.hang = False
        self._revision = 0

    async def connect(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def read(self, key: str, deadline: float) -> Record | None:
        await self._misbehave()
        return self.rows.get(key)

    async def update(self, key: str, value: bytes, deadline: float) -> int:
        await self._misbehave()
        self._revision += 1
        self.rows[key] = Record(value, self._revision)
        return self._revision

    async def insert(self, key: str, value: bytes, deadline: float) -> int:
        return await self.update(key, value, deadline)

    async def scan(self, start: str, count: int, deadline: float) -> int:
        await self._misbehave()
        return min(count, len(self.rows))

    def take_failures(self) -> dict[str, int]:
        return {}

    async def _misbehave(self) -> None:
        if self.hang:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise copy(self.failure)


class Bench:
    def __init__(self) -> None:
        self.driver = MemoryDriver()
        self.written = Written()
        self.recorder = Recorder(time.monotonic())
        driver: Driver = self.driver
        self.client = Client(driver, self.written, self.recorder)

    async def do(self, kind: Kind, number: int = 0) -> None:
        now = time.monotonic()
        await self.client.perform(Operation(kind, number, 5), now, now + 1)

    def revision(self, number: int) -> int:
        found = self.driver.rows[key_name(number)].revision
        assert found is not None
        return found


@pytest.fixture
async def workbench() -> Bench:
    made = Bench()
    await made.client.load(10, timeout_s=60)
    return made


@pytest.mark.parametrize("kind", list(Kind))
async def test_each_kind_is_counted_under_its_own_name(workbench: Bench, kind: Kind) -> None:
    await workbench.do(kind, 3)
    window = workbench.recorder.close_window(time.monotonic() + 1, {})

    assert window.by_kind[kind.value].operations == window.operations == 1


async def test_read_modify_write_reads_and_then_writes(workbench: Bench) -> None:
    before = workbench.revision(3)
    await workbench.do(Kind.READ_MODIFY_WRITE, 3)

    assert workbench.revision(3) > before
    assert workbench.written.acknowledged == 11


@pytest.mark.parametrize(
    ("failure", "errors", "timeouts", "doubts"),
    [
        (OperationFailed("refused", unsent=True), 1, 0, 0),
        (OperationFailed("broken", indeterminate=True), 1, 0, 1),
        (OperationFailed("late", timed_out=True, indeterminate=True), 0, 1, 1),
    ],
)
async def test_errors_timeouts_and_writes_in_doubt_are_counted_apart(
    workbench: Bench, failure: OperationFailed, errors: int, timeouts: int, doubts: int
) -> None:
    workbench.driver.failure = failure
    await workbench.do(Kind.UPDATE)
    window = workbench.recorder.close_window(time.monotonic() + 1, {})

    assert (window.operations, window.errors, window.timeouts) == (0, errors, timeouts)
    assert workbench.written.indeterminate == doubts
    assert workbench.written.acknowledged == 10


async def test_a_write_that_is_cut_off_is_in_doubt(workbench: Bench) -> None:
    workbench.driver.hang = True
    writing = asyncio.create_task(workbench.do(Kind.UPDATE))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert workbench.written.indeterminate == 1


async def test_a_read_that_finds_nothing_is_an_error_only_if_it_was_acknowledged(workbench: Bench) -> None:
    del workbench.driver.rows[key_name(3)]
    await workbench.do(Kind.READ, 3)
    await workbench.do(Kind.READ, 777)
    window = workbench.recorder.close_window(time.monotonic() + 1, {})

    assert (window.operations, window.errors) == (1, 1)
    assert "is not there" in window.last_error


async def test_hours_of_load_take_no_more_memory() -> None:
    workbench, operations = Bench(), Operations(WORKLOADS["A"], 3, seed=1)
    await workbench.client.load(3, timeout_s=60)
    doubt = OperationFailed("late", timed_out=True, indeterminate=True)

    async def seconds(count: int) -> int:
        for second in range(count):
            workbench.driver.failure = doubt if second % 2 else None
            for _ in range(300):
                operation = operations.draw()
                now = time.monotonic()
                await workbench.client.perform(operation, now, now + 1)
            workbench.recorder.close_window(time.monotonic(), {})
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = await seconds(10)
        grown = await seconds(20) - before
    finally:
        tracemalloc.stop()

    # 6,000 operations, a quarter of them writes in doubt: kept, they would take 200 kB.
    assert workbench.written.indeterminate > 1500
    assert grown < 50_000
