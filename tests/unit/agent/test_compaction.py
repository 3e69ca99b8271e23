"""A long session stays usable: the history is summed up, and what is open survives."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from agent.compaction import Compactor
from agent.errors import ContextOverflow, ModelError, ModelRefused, ModelUnavailable
from agent.models.base import ModelEvent, Reply, Request, TextDelta, Usage
from agent.models.catalog import ModelFacts
from agent.models.claude import ClaudeModel
from agent.models.offline import OfflineModel
from tests.standins.clock import Clock
from tests.standins.conversation import Speaker, replies, room
from tests.standins.messages_api import MessagesApi
from tests.standins.messages_rules import Server
from tests.standins.messages_script import Body, Step, call, came_of_calls, note, says, text
from tools.events import Notice

OPEN = "open fault f-12 on etcd-2; incident i-3; evidence E1 to E9"


def compactor(**more: object) -> Compactor:
    return Compactor(lambda: OPEN, **more)  # type: ignore[arg-type]


def everything(request: Request) -> str:
    return str([block for message in request.messages for block in message.content])


async def test_the_person_can_compact_and_what_is_open_survives() -> None:
    model = Speaker(replies(text("One.")), replies(text("They asked about etcd-2.")), replies(text("Two.")))
    here = room(model, compactor=compactor())
    await here.talk.ask("First")
    assert await here.talk.compact()
    await here.talk.ask("Second")

    sent = everything(model.requests[2])
    assert "They asked about etcd-2." in sent
    assert OPEN in sent
    assert "First" not in sent
    assert here.notes.of("system")[0]["kind"] == "compaction"


async def test_it_happens_by_itself_before_a_turn_and_never_within_a_round() -> None:
    big = Usage(input_tokens=160_000)
    model = Speaker(
        replies(call("look"), usage=big),
        replies(text("Seen."), usage=big),
        replies(text("The summary.")),
        replies(text("Next.")),
    )
    here = room(model, compactor=compactor(), facts=ModelFacts(context_limit=1_000_000))
    await here.talk.ask("First")
    assert len(model.requests) == 2
    await here.talk.ask("Second")

    assert [len(request.messages) for request in model.requests] == [1, 3, 5, 2]


async def test_a_small_window_is_compacted_early() -> None:
    model = Speaker(
        replies(text("One."), usage=Usage(input_tokens=6_000)), replies(text("Sum.")), replies(text("Two."))
    )
    here = room(model, compactor=compactor(), facts=ModelFacts(context_limit=8_000))
    await here.talk.ask("First")
    await here.talk.ask("Second")

    assert len(model.requests) == 3


async def test_a_conversation_too_long_even_to_sum_up_goes_on_from_its_newest_words() -> None:
    model = Speaker(
        replies(call("look")),
        ContextOverflow("too long"),
        ContextOverflow("too long"),
        replies(text("Went on.")),
    )
    here = room(model, compactor=compactor())
    end = await here.talk.ask("What of etcd-2?")

    assert end.text == "Went on."
    sent = everything(model.requests[3])
    assert "What of etcd-2?" in sent
    assert OPEN in sent


class Held(Speaker):
    """Says one whole block in place of its last reply, and no more until it is cut."""

    def __init__(self, *replies: Reply | ModelError) -> None:
        super().__init__(*replies)
        self.begun = asyncio.Event()

    async def respond(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        if self.replies:
            async for event in super().respond(request):
                yield event
            return
        yield TextDelta("The leader moved.", done=True)
        self.begun.set()
        await asyncio.Event().wait()


async def test_what_was_said_after_a_compaction_is_kept_when_it_is_interrupted() -> None:
    model = Held(replies(call("look")), ContextOverflow("too long"), replies(text("A summary.")))
    here = room(model, compactor=compactor())
    turn = asyncio.create_task(here.talk.ask("What of etcd-2?"))
    async with asyncio.timeout(30):
        await model.begun.wait()
    here.talk.interrupt()
    end = await turn

    assert (end.reason, end.nothing_shown) == ("interrupted", False)
    assert [message.role for message in here.talk.history.messages][-1] == "assistant"
    assert "The leader moved." in str(here.talk.history.messages[-1].content)


async def test_a_failed_compaction_leaves_everything_as_it_was() -> None:
    model = Speaker(replies(text("One.")), ModelUnavailable("overloaded"), replies(text("Two.")))
    here = room(model, compactor=compactor())
    await here.talk.ask("First")
    assert not await here.talk.compact()
    await here.talk.ask("Second")

    assert "First" in everything(model.requests[2])


async def test_a_service_that_cannot_compact_is_asked_for_a_summary() -> None:
    refused = ModelRefused("compaction: unknown")
    model = Speaker(replies(text("One.")), refused, replies(text("The summary.")), compaction="server")
    here = room(model, compactor=compactor())
    await here.talk.ask("First")

    assert await here.talk.compact()
    assert "The summary." in str(here.talk.history.messages)


async def test_what_a_script_said_is_left_as_it_is() -> None:
    here = room(OfflineModel(), compactor=compactor())
    await here.talk.ask("help")
    before = list(here.talk.history.messages)

    assert not await here.talk.compact()
    assert list(here.talk.history.messages) == before
    assert here.seen(Notice) == []


async def test_another_model_compacts_in_its_own_way_from_then_on() -> None:
    here = room(OfflineModel(), compactor=compactor())
    await here.talk.ask("help")
    here.talk.switch(Speaker(replies(text("They asked for help."))), ModelFacts())

    assert await here.talk.compact()
    assert "They asked for help." in str(here.talk.history.messages)


async def test_a_summary_is_asked_for_after_an_answer_also_where_the_last_request_failed() -> None:
    model = Speaker(ModelUnavailable("overloaded"), replies(text("They asked about etcd-2.")))
    here = room(model, compactor=compactor())
    here.talk.note("The mode changed.")
    with pytest.raises(ModelUnavailable):
        await here.talk.ask("What of etcd-2?")

    assert await here.talk.compact()
    assert [message.role for message in model.requests[1].messages] == ["user", "system", "assistant", "user"]


@pytest.mark.parametrize(("compat", "turns"), [(False, 60), (True, 100)], ids=["server", "model"])
async def test_many_turns_stay_usable(compat: bool, turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(body: Body) -> Step:
        last = body["messages"][-1]["content"]
        if any(block["type"] == "tool_result" for block in last):
            return says(text(f"Turn with {len(came_of_calls(body))} calls. " + "Words. " * 40))
        if "Write a summary" in last[-1].get("text", ""):
            return says(text("A summary."))
        return says(note("A look."), call("look", name="etcd-1"))

    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    async with MessagesApi(answer, server=Server(compat=compat)) as api:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.base_url)
        model = ClaudeModel("claude-opus-5-5", compat=compat, patience=Clock().patience())
        here = room(model, compactor=compactor(due_tokens=4_000))
        for turn in range(turns):
            end = await here.talk.ask(f"Turn {turn}?")
            assert end.reason == "answered", turn
        await model.aclose()
        api.raise_errors()

    assert api.refusals == []
    assert len(here.notes.of("assistant")) == 2 * turns
    compactions = [entry for entry in here.notes.of("system") if entry.get("kind") == "compaction"]
    assert 1 < len(compactions) < turns / 10
    assert max(len(body["messages"]) for body in api.bodies) < 200, (
        "the context must not grow with the session"
    )
    assert OPEN in str(api.bodies[-1]["messages"][:2])
