"""However a reply is spoiled on its way, the loop goes on and its next request is never refused."""

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Any, Literal

import pytest

from agent.errors import ModelUnavailable
from agent.events import Text, TextVoid
from agent.models.claude import ClaudeModel
from agent.models.retry import Patience
from tests.standins.clock import Clock
from tests.standins.conversation import room
from tests.standins.messages_api import MessagesApi, Script, changed_prefixes
from tests.standins.messages_script import Says, Signer, Spoiled, call, events, fails, note, says, text
from tools.events import Notice


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    return monkeypatch


LONG_TURN = (
    note("I look at both sides first."),
    text("Looking at the cluster.\n"),
    call("look", name="etcd-1"),
    note("And the other one."),
    call("peek", name="etcd-2"),
    call("act", name="etcd-3"),
)
BODY = {"model": "claude-opus-5-5", "messages": [], "thinking": {"type": "adaptive", "display": "updates"}}
EVENTS = len(list(events(says(*LONG_TURN), BODY, Signer(), {})))


def spoiled(fault: Spoiled) -> Says:
    return says(*LONG_TURN, fault=fault)


@pytest.mark.parametrize(("how", "first"), [("reset", 0), ("cut", 1), ("eof", 0), ("error", 1)])
async def test_a_cut_at_every_event_is_retried_and_nothing_is_ever_refused(
    how: Literal["reset", "cut", "eof", "error"], first: int, key: pytest.MonkeyPatch
) -> None:
    """Every second event by one way, those between by another of its kind."""
    for cut in range(first, EVENTS, 2):
        clock = Clock()
        fault = Spoiled(how, after_events=cut)
        script = Script([spoiled(fault), says(*LONG_TURN), says(text("All is well."))])
        async with MessagesApi(script) as api:
            key.setenv("ANTHROPIC_BASE_URL", api.base_url)
            model = ClaudeModel("claude-opus-5-5", patience=clock.patience())
            here = room(model)
            end = await here.talk.ask("What is up?")
            await model.aclose()
            api.raise_errors()

        assert (end.reason, end.text) == ("answered", "All is well."), cut
        assert api.refusals == []
        assert len(api.bodies) == 3
        assert changed_prefixes(api.bodies) == []
        assert here.house.log.count("begin act etcd-3") == 1, "a call of a cut reply must not run"
        assert clock.slept == [1.0]
        assert [event for event in here.seen(Notice) if "trying again in 1 s" in event.text]
        drew_something = cut > 3
        assert bool(here.seen(TextVoid)) == drew_something, cut


async def test_an_interrupt_at_every_event_leaves_a_history_that_is_accepted(key: pytest.MonkeyPatch) -> None:
    for cut in range(EVENTS):
        script = Script([spoiled(Spoiled("silence", after_events=cut)), says(text("Gone on."))])
        async with MessagesApi(script) as api:
            key.setenv("ANTHROPIC_BASE_URL", api.base_url)
            model = ClaudeModel("claude-opus-5-5")
            here = room(model)
            asking = asyncio.create_task(here.talk.ask("What is up?"))
            await _drawn_all(api, here.events, cut)
            here.talk.interrupt()
            end = await asking
            again = await here.talk.ask("Go on.")
            await model.aclose()
            api.raise_errors()

        assert end.reason == "interrupted", cut
        assert again.text == "Gone on."
        assert api.refusals == []
        assert changed_prefixes(api.bodies) == []
        assert here.house.log == [], "no call of an interrupted reply may run"


async def _drawn_all(api: MessagesApi, seen: Sequence[object], cut: int) -> None:
    """Wait until the loop has drawn what the server sent before it fell silent."""
    plain = list(events(says(*LONG_TURN), BODY, Signer(), {}))[:cut]
    texts = [data["delta"]["text"] for _, data in plain if data.get("delta", {}).get("type") == "text_delta"]
    notes = [data["delta"] for _, data in plain if data.get("delta", {}).get("type") == "thinking_delta"]
    async with asyncio.timeout(60):
        while True:
            drawn = [event for event in seen if isinstance(event, Text) and event.text]
            if api.requests and len(drawn) == len(texts) + len(notes):
                return
            await asyncio.sleep(0.001)


async def test_waiting_ends_when_patience_is_out_and_says_to_try_later(key: pytest.MonkeyPatch) -> None:
    clock = Clock()
    script = Script([spoiled(Spoiled("cut", after_events=9))], endless=True)
    async with MessagesApi(script) as api:
        key.setenv("ANTHROPIC_BASE_URL", api.base_url)
        model = ClaudeModel("claude-opus-5-5", patience=clock.patience(total_s=120))
        here = room(model)
        with pytest.raises(ModelUnavailable, match="Try again later"):
            await here.talk.ask("What is up?")
        await model.aclose()

    assert clock.slept == [1, 2, 4, 8, 16, 32]
    assert here.house.log == []
    assert here.notes.of("end")[-1]["reason"] == "failed"


async def test_waiting_for_the_service_can_be_stopped(key: pytest.MonkeyPatch) -> None:
    waiting = asyncio.Event()

    async def forever(_seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    async with MessagesApi(Script([fails(529), says(text("Back."))])) as api:
        key.setenv("ANTHROPIC_BASE_URL", api.base_url)
        model = ClaudeModel("claude-opus-5-5", patience=Patience(sleep=forever))
        here = room(model)
        asking = asyncio.create_task(here.talk.ask("What is up?"))
        async with asyncio.timeout(60):
            await waiting.wait()
            here.talk.interrupt()
            end = await asking
        again = await here.talk.ask("And now?")
        await model.aclose()

    assert (end.reason, end.nothing_shown, again.text) == ("interrupted", True, "Back.")
    assert api.refusals == []


async def test_cuts_at_any_byte_of_every_request_of_a_long_turn_are_survived(key: pytest.MonkeyPatch) -> None:
    """Over a real socket: three rounds of calls, each cut several times before it comes whole."""
    chance = random.Random(20261122)
    size = sum(len(f"event: {kind}\ndata: {json.dumps(data)}\n\n") for kind, data in _plain())
    hows: tuple[Literal["reset", "cut", "eof"], ...] = ("reset", "cut", "eof")
    steps: list[Says] = []
    for _round in range(3):
        places = [chance.randrange(size) for _ in range(20)]
        steps += [spoiled(Spoiled(chance.choice(hows), after_bytes=place)) for place in places]
        steps.append(says(*LONG_TURN))
    clock = Clock()
    async with MessagesApi(Script([*steps, says(text("All is well."))])) as api:
        key.setenv("ANTHROPIC_BASE_URL", api.base_url)
        model = ClaudeModel("claude-opus-5-5", patience=clock.patience(total_s=1e9))
        here = room(model)
        end = await here.talk.ask("What is up?")
        again = len(api.bodies)
        await model.aclose()
        api.raise_errors()

    assert (end.reason, end.text) == ("answered", "All is well.")
    assert (again, len(clock.slept)) == (len(steps) + 1, 60)
    assert api.refusals == []
    assert changed_prefixes(api.bodies) == []
    assert here.house.log.count("begin act etcd-3") == 3, "no call of a cut reply may run"


def _plain() -> list[tuple[str, dict[str, Any]]]:
    return list(events(says(*LONG_TURN), BODY, Signer(), {}))
