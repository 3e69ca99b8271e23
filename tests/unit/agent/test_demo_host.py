"""What the demo's host sees to, whatever the model leaves out or is in a hurry for."""

from types import SimpleNamespace
from typing import Any, Literal, cast

from agent.demo.director import Demo, Wish
from agent.demo.facts import Facts
from agent.models.base import ToolCall
from agent.sessions.session import Door, Session
from tests.standins.conversation import Room, Speaker, replies, room
from tests.standins.messages_script import text
from tools.load.figures import Window
from tools.load.spans import between, summed
from tools.tool import Effect, Outcome

DONE = replies(text("All done."))


class ClaudeSpeaker(Speaker):
    """A driver that passes for Claude."""

    driver: Literal["claude"] = "claude"  # type: ignore[assignment]


def demo_of(here: Room, *, injected: bool = True, open_faults: int = 1) -> Demo:
    """A demo in the middle: something was injected, nothing diagnosed, nothing healed."""
    faults = SimpleNamespace(journal=SimpleNamespace(open_faults=lambda: [object()] * open_faults))
    session = SimpleNamespace(
        conversation=here.talk,
        door=Door(cast(Any, None)),
        workbench=SimpleNamespace(faults=faults, emit=lambda _event: None),
    )
    demo = Demo(cast(Session, session), Wish())
    if injected:
        demo.facts.injection = cast(Any, object())
    return demo


def outcome(tool: str, **data: Any) -> Outcome:
    return cast(Outcome, SimpleNamespace(tool=tool, ok=True, data=data))


def told(model: Speaker) -> list[str]:
    """What the host said in the person's place, in the last request."""
    return [
        block["text"]
        for message in model.requests[-1].messages[1:]
        if message.role == "user"
        for block in message.content
    ]


async def test_it_is_told_of_the_diagnosis_and_the_open_fault_and_asked_twice_at_most() -> None:
    here = room(model := ClaudeSpeaker(DONE, DONE, DONE))
    end = await demo_of(here).within("Run it.")

    assert (end.reason, len(model.requests)) == ("truncated", 3)
    assert "nothing has been diagnosed" in told(model)[0]
    assert "still open" in told(model)[0]


async def test_a_demo_that_is_diagnosed_and_healed_ends_with_the_answer() -> None:
    here = room(model := ClaudeSpeaker(DONE))
    demo = demo_of(here, open_faults=0)
    demo.facts.diagnosis = {"kind": "crash"}

    assert (await demo.within("Run it.")).reason == "answered"
    assert len(model.requests) == 1


async def test_before_anything_was_broken_or_when_the_person_stopped_it_nothing_is_asked() -> None:
    here = room(ClaudeSpeaker(DONE, DONE))

    assert (await demo_of(here, injected=False).within("Run it.")).reason == "answered"
    stopped = demo_of(here)
    stopped.stopped = True
    assert (await stopped.within("Run it.")).reason == "answered"


async def test_the_next_request_is_no_demo_any_more() -> None:
    here = room(model := ClaudeSpeaker(DONE, DONE, DONE, DONE))
    await demo_of(here).within("Run it.")

    assert (await here.talk.ask("Thanks")).reason == "answered"
    assert len(model.requests) == 4


async def test_the_script_is_not_told_since_it_forgets_nothing() -> None:
    here = room(model := Speaker(DONE))

    assert (await demo_of(here).within("Run it.")).reason == "answered"
    assert len(model.requests) == 1


async def test_nothing_is_broken_on_a_baseline_that_is_not_steady() -> None:
    demo = demo_of(room(Speaker()), injected=False)
    start, stop = ToolCall("a", "load_start", {}), ToolCall("b", "load_stop", {})
    kill = ToolCall("c", "store_kill", {})

    await demo.after(start, outcome("load_start", steady=False))
    refused = await demo.before(kill, Effect.ACT)
    await demo.after(stop, outcome("load_stop"))
    await demo.after(start, outcome("load_start", steady=True))
    allowed = await demo.before(kill, Effect.ACT)

    assert not refused.allowed
    assert "half the rate" in refused.reason
    assert allowed.allowed
    assert demo.facts.stages[2]["ok"]


async def test_the_load_stays_on_once_something_is_broken() -> None:
    demo = demo_of(room(Speaker()))
    await demo.before(ToolCall("a", "wait_for_detection", {}), Effect.READ)

    assert not (await demo.before(ToolCall("b", "load_stop", {}), Effect.ACT)).allowed


def test_what_clients_felt_begins_with_the_second_in_which_it_was_broken() -> None:
    """Most of what fails does so at once: that second is part of the figures."""
    windows = [
        Window(n, wall=100.5 + n, at=0.0, seconds=1.0, operations=300, errors=errors, timeouts=0, by_kind={})
        for n, errors in enumerate((0, 0, 4, 0, 0))
    ]
    load = SimpleNamespace(
        windows=windows, figures=lambda since, until: summed(between(windows, since, until))
    )
    facts = Facts(injection=cast(Any, SimpleNamespace(record=SimpleNamespace(injected=102.0))))
    facts.heal_began = 104.0

    facts.take_load(cast(Any, load))

    assert facts.during is not None
    assert facts.under is not None
    assert (facts.during.errors, facts.under.errors) == (4, 0)
