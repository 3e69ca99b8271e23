"""Work that must not be left half done."""

import asyncio

import pytest

from tools.tasks import uncancelled


async def test_is_done_to_its_end_however_often_it_is_cancelled_and_only_then_is_it_told() -> None:
    done: list[str] = []
    going_on = asyncio.Event()

    async def work() -> None:
        await going_on.wait()
        done.append("all of it")

    task = asyncio.ensure_future(uncancelled(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    before = task.done(), list(done)
    going_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert before == (False, [])
    assert done == ["all of it"]


async def test_what_it_returns_or_raises_is_handed_on() -> None:
    async def work(*, well: bool) -> int:
        await asyncio.sleep(0)
        if not well:
            raise OSError("a full disk")
        return 7

    assert await uncancelled(work(well=True)) == 7
    with pytest.raises(OSError, match="a full disk"):
        await uncancelled(work(well=False))
