"""What the kernel or the engine says of a node that fell silent, when it is asked."""

import asyncio

import pytest

from subjects.base import ProcessState, ProcessView
from tests.standins.scripted_cluster import ScriptedRuntime
from tools.detection.kernel import KernelView
from tools.observe.signal import Signal

EXITED = ProcessState.EXITED


class OneView(ScriptedRuntime):
    """Says the same of every node."""

    def __init__(self, view: ProcessView) -> None:
        super().__init__()
        self.view = view

    async def inspect(self, node: str) -> ProcessView:
        return self.view


@pytest.mark.parametrize(
    ("view", "word"),
    [
        (ProcessView(EXITED, exit_code=137, oom_killed=True), "oom"),
        (ProcessView(EXITED, exit_code=137, oom_killed=False), "killed"),
        (ProcessView(EXITED, exit_code=1), "failed"),
        (ProcessView(EXITED, exit_code=143), "ended"),
        (ProcessView(EXITED, exit_code=137, evicted=True), "evicted"),
        (ProcessView(EXITED, blocked="ImagePullBackOff"), "blocked"),
        (ProcessView(ProcessState.PAUSED), "stopped"),
    ],
)
async def test_it_is_told_by_what_a_process_ended_as_events_tell_it(view: ProcessView, word: str) -> None:
    taken: asyncio.Queue[Signal] = asyncio.Queue()
    kernel = KernelView(OneView(view), taken.put_nowait, lambda _: None)
    kernel.ask("n2")
    async with asyncio.timeout(60):
        seen = await taken.get()
    await kernel.aclose()

    assert (seen.node, seen.word) == ("n2", word)


@pytest.mark.parametrize("state", [ProcessState.RUNNING, ProcessState.UNKNOWN])
async def test_that_it_runs_or_is_not_seen_is_no_second_witness(state: ProcessState) -> None:
    taken: asyncio.Queue[Signal] = asyncio.Queue()
    kernel = KernelView(OneView(ProcessView(state)), taken.put_nowait, lambda _: None)
    kernel.ask("n2")
    while kernel._asking:
        await asyncio.sleep(0.001)

    assert taken.empty()
