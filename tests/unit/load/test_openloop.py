"""The schedule waits for nobody: slowness shows as latency, never as fewer operations."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.waiting import until
from tools.load.openloop import OpenLoop
from tools.load.recorder import Recorder
from tools.load.workloads import Kind, Operation

READ = Operation(Kind.READ, 0)


class Counted:
    """Performs operations through `act`, and counts what became of each."""

    def __init__(self, act: Callable[[], Awaitable[None]]) -> None:
        self.act = act
        self.drawn = 0
        self.missed = 0
        self.done = 0
        self.under_way = 0
        self.most = 0
        self.recorder = Recorder(time.monotonic())

    def draw(self) -> Operation:
        self.drawn += 1
        return READ

    def miss(self, operation: Operation) -> None:
        self.missed += 1

    async def perform(self, operation: Operation, due: float, deadline: float) -> None:
        sent = time.monotonic()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            async with asyncio.timeout_at(deadline):
                await self.act()
        except TimeoutError:
            self.missed += 1
        else:
            self.done += 1
            self.recorder.succeeded("read", due, sent, time.monotonic())
        finally:
            self.under_way -= 1


@asynccontextmanager
async def running(
    counted: Counted, rate: float, *, deadline_s: float = 2.0, room: int = 64
) -> AsyncIterator[OpenLoop]:
    schedule = OpenLoop(
        counted.draw,
        counted.perform,
        counted.miss,
        rate=rate,
        deadline_s=deadline_s,
        max_in_flight=room,
    )
    schedule.start()
    try:
        yield schedule
    finally:
        await schedule.close()


async def test_operations_come_no_faster_than_was_asked_for() -> None:
    async def at_once() -> None:
        pass

    counted, began = Counted(at_once), time.monotonic()
    async with running(counted, rate=400):
        await until(lambda: counted.drawn >= 200)

    assert time.monotonic() - began >= 0.49


async def test_a_stall_is_felt_by_all_that_were_due_meanwhile_not_by_one() -> None:
    calls = Counter[str]()

    async def stall_once() -> None:
        calls["all"] += 1
        if calls["all"] == 20:
            await asyncio.sleep(0.4)

    counted = Counted(stall_once)
    async with running(counted, rate=200, room=1):
        await until(lambda: counted.done >= 160)
    window = counted.recorder.close_window(time.monotonic(), {})
    felt = window.by_kind["read"]

    # One of 160 operations took long: a closed loop's p99 would not show it. 80 were due in that time.
    assert felt.service_p50_ms is not None
    assert felt.p95_ms is not None
    assert felt.p95_ms > 200 > 10 * felt.service_p50_ms


async def test_what_cannot_be_sent_in_time_is_counted_and_does_not_pile_up() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    counted = Counted(never)
    async with running(counted, rate=500, deadline_s=0.1, room=5) as schedule:
        await until(lambda: counted.missed >= 200)
        waiting = len(schedule._waiting)

    assert counted.most == 5
    assert waiting <= 500 * 0.1 * 3
    assert counted.done == 0


async def test_asking_too_much_gets_what_there_is_not_nothing() -> None:
    async def slowly() -> None:
        await asyncio.sleep(0.04)

    # Four at a time, 40 ms each: a hundred a second. Whoever sends what is about to be too late gets none.
    counted = Counted(slowly)
    async with running(counted, rate=300, deadline_s=0.4, room=4):
        await until(lambda: counted.drawn >= 300)
        counted.done = 0
        await until(lambda: counted.drawn >= 600)

    assert counted.done > 50


async def test_a_pause_ends_all_that_was_due_and_begins_nothing() -> None:
    async def briefly() -> None:
        await asyncio.sleep(0.05)

    counted = Counted(briefly)
    async with running(counted, rate=300, room=4) as schedule:
        await until(lambda: counted.drawn >= 60)
        await schedule.pause()
        drawn = counted.drawn

        assert counted.done + counted.missed == drawn
        assert counted.under_way == 0

        schedule.start()
        await until(lambda: counted.drawn > drawn)


async def test_after_a_pause_there_is_no_backlog_of_the_time_that_passed() -> None:
    async def at_once() -> None:
        pass

    counted = Counted(at_once)
    async with running(counted, rate=1000) as schedule:
        await until(lambda: counted.drawn >= 10)
        await schedule.pause()
        drawn = counted.drawn
        await asyncio.sleep(0.3)
        schedule.start()
        await until(lambda: counted.drawn > drawn)

        assert counted.drawn - drawn < 100


async def test_closing_leaves_no_task_behind() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    counted = Counted(never)
    before = len(asyncio.all_tasks())
    async with running(counted, rate=500):
        await until(lambda: counted.under_way > 5)

    assert len(asyncio.all_tasks()) == before
