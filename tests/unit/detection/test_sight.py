"""What is seen through an API server is held against a node only once that has answered."""

import asyncio

from subjects.base import SeenThrough
from subjects.runtimes.endpoints import EndpointNodes
from tools.detection.maintenance import LEAVE_S, Maintenance
from tools.detection.sight import Sight
from tools.events import Event, Notice
from tools.observe.kinds import signal
from tools.observe.signal import Signal

BOUND_S = 60.0


class Behind(EndpointNodes):
    """Nodes behind something that answers when the test lets it."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.stalled = ""

    async def in_sight(self) -> str:
        return await self.answer


class Taken:
    """A sight over such nodes, and what came of it."""

    def __init__(self) -> None:
        self.nodes = Behind()
        assert isinstance(self.nodes, SeenThrough)
        self.told: list[Event] = []
        self.delivered: list[Signal] = []
        self.sight = Sight(self.nodes, self.told.append)

    def take(self, kind: str) -> Signal:
        seen = signal(kind, "db-1", kind)
        self.sight.take(seen, self.delivered.append)
        return seen

    async def settled(self) -> None:
        async with asyncio.timeout(BOUND_S):
            while self.sight._asking is not None:
                await asyncio.sleep(0)


async def test_silence_waits_until_the_way_has_answered_and_what_follows_waits_behind_it() -> None:
    taken = Taken()
    silent, answers = taken.take("silent"), taken.take("answers")
    await asyncio.sleep(0)
    assert taken.delivered == []

    taken.nodes.answer.set_result("")
    await taken.settled()

    assert taken.delivered == [silent, answers]
    assert taken.told == []


async def test_a_way_that_stalls_is_told_once_and_no_node_is_blamed() -> None:
    taken = Taken()
    taken.take("silent")
    taken.take("refused")
    clear = taken.take("answers")
    taken.nodes.answer.set_result("The API server has not answered for 1 s")
    await taken.settled()

    assert taken.delivered == [clear]
    assert [type(event) for event in taken.told] == [Notice]


async def test_the_kernels_own_word_never_waits() -> None:
    taken = Taken()
    ended = taken.take("exit")

    assert taken.delivered == [ended]


async def test_nodes_that_nothing_stands_before_are_not_asked_about() -> None:
    delivered: list[Signal] = []
    seen = signal("silent", "db-1", "silent")

    Sight(EndpointNodes(), lambda _event: None).take(seen, delivered.append)

    assert delivered == [seen]


def test_a_node_taken_down_in_order_is_no_alarm_until_it_is_back() -> None:
    planned = Maintenance()
    planned.leave("db-1", "a drain")
    assert planned.covers(signal("exit", "db-1", "its pod ended"))
    assert planned.covers(signal("refused", "db-1", "nobody listens"))
    assert not planned.covers(signal("exit", "db-2", "another one ended"))

    planned.healthy("db-1")  # it answers for as long as it is not gone
    assert planned.covers(signal("exit", "db-1", "its pod ended"))

    planned.started("db-1")
    planned.healthy("db-1")
    assert not planned.covers(signal("exit", "db-1", "it ended anew"))


def test_a_node_that_does_not_come_back_is_an_alarm_after_a_while() -> None:
    planned = Maintenance()
    planned.leave("db-1", "a drain")
    seen = signal("exit", "db-1", "its pod ended")
    planned._down["db-1"] -= LEAVE_S + 1
    planned._leaving["db-1"].began -= LEAVE_S + 1

    assert not planned.covers(seen)
