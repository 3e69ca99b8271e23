"""One client of the database: does operations, counts them, and remembers what was acknowledged."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from subjects.load import OperationFailed
from tools.load.choosers import key_name
from tools.load.driver import Driver
from tools.load.recorder import Recorder
from tools.load.workloads import Kind, Operation
from tools.load.written import Verdict, Written
from tools.observe.figures import WriteCheck

PARALLEL = 16
"""Requests under way at once while records are loaded or read back."""

ATTEMPT_S = 2.0
"""The deadline of one of these requests."""

PAUSE_S = 0.1
"""Between attempts at the same record."""

PATIENCE_S = 5.0
"""How long one record of the load phase is attempted: an election of etcd takes less than two seconds."""


class Client:
    """Does what the schedule asks for, through a driver."""

    def __init__(self, driver: Driver, written: Written, recorder: Recorder) -> None:
        self._driver = driver
        self._written = written
        self._recorder = recorder

    async def perform(self, operation: Operation, due: float, deadline: float) -> None:
        """Do one operation and count it. Latency is from when it was due, service from now."""
        sent = time.monotonic()
        try:
            await self._do(operation, deadline)
        except OperationFailed as error:
            self._recorder.failed(operation.kind, str(error), timed_out=error.timed_out)
        else:
            self._recorder.succeeded(operation.kind, due, sent, time.monotonic())

    def miss(self, operation: Operation) -> None:
        """Count an operation that was never sent, since those before it took all the room."""
        self._recorder.failed(operation.kind, "not sent in time: too many are under way", timed_out=True)

    async def load(self, records: int, timeout_s: float) -> None:
        """Write records 0 to `records` - 1, each once acknowledged; OperationFailed if it can't be done."""
        until = time.monotonic() + timeout_s
        await _for_each(range(records), lambda number: self._insist(number, until))

    async def read_back(self, timeout_s: float) -> WriteCheck:
        """Read every record with an acknowledged write, linearizably, and compare."""
        until = time.monotonic() + timeout_s
        verdicts: Counter[Verdict | None] = Counter()

        async def check(number: int) -> None:
            verdicts[await self._judge(number, until)] += 1

        await _for_each(self._written.numbers(), check)
        return WriteCheck(
            acknowledged=self._written.acknowledged,
            keys=self._written.keys,
            lost=verdicts[Verdict.LOST],
            changed=verdicts[Verdict.CHANGED],
            indeterminate=self._written.indeterminate,
            unreadable=verdicts[None],
        )

    async def _do(self, operation: Operation, deadline: float) -> None:
        key = key_name(operation.number)
        match operation.kind:
            case Kind.READ:
                await self._read(operation.number, key, deadline)
            case Kind.SCAN:
                await self._driver.scan(key, operation.count, deadline)
            case Kind.READ_MODIFY_WRITE:
                await self._read(operation.number, key, deadline)
                await self._write(operation.number, key, deadline)
            case Kind.UPDATE:
                await self._write(operation.number, key, deadline)
            case Kind.INSERT:
                await self._write(operation.number, key, deadline, new=True)

    async def _read(self, number: int, key: str, deadline: float) -> None:
        must_be_there = self._written.has(number)
        if await self._driver.read(key, deadline) is None and must_be_there:
            raise OperationFailed(f"{key} was acknowledged and is not there")

    async def _write(self, number: int, key: str, deadline: float, *, new: bool = False) -> None:
        write, value = self._written.begin(number)
        send = self._driver.insert if new else self._driver.update
        try:
            revision = await send(key, value, deadline)
        except OperationFailed as error:
            if error.indeterminate:
                self._written.doubt(number, write)
            raise
        except asyncio.CancelledError:
            self._written.doubt(number, write)
            raise
        self._written.acknowledge(number, write, revision)

    async def _insist(self, number: int, until: float) -> None:
        until = min(until, time.monotonic() + PATIENCE_S)
        while True:
            try:
                await self._write(
                    number, key_name(number), min(until, time.monotonic() + ATTEMPT_S), new=True
                )
            except OperationFailed:
                if time.monotonic() + PAUSE_S >= until:
                    raise
                await asyncio.sleep(PAUSE_S)
            else:
                return

    async def _judge(self, number: int, until: float) -> Verdict | None:
        while time.monotonic() < until:
            try:
                record = await self._driver.read(key_name(number), min(until, time.monotonic() + ATTEMPT_S))
            except OperationFailed:
                await asyncio.sleep(min(PAUSE_S, max(0.0, until - time.monotonic())))
            else:
                return self._written.judge(number, record)
        return None


async def _for_each(numbers: Iterable[int], work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Do the work for each number, PARALLEL at once."""
    left = iter(numbers)

    async def some() -> None:
        for number in left:
            await work(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(PARALLEL):
            group.create_task(some())
