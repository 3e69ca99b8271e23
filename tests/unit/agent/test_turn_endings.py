"""Every way in which a reply can stop, and every budget: a turn always ends with something said."""

import pytest

from agent.budget import Limits
from agent.errors import ContextOverflow, ModelUnavailable
from agent.models.base import Request, Usage
from agent.models.catalog import ModelFacts
from tests.standins.conversation import Result, Speaker, failure, replies, room
from tests.standins.messages_script import call, note, text
from tools.events import Notice

PRICED = ModelFacts(context_limit=1_000_000, input_price=10.0, output_price=10.0)


def words(request: Request, place: int = -1) -> str:
    return "".join(
        str(block.get("text") or block.get("content")) for block in request.messages[place].content
    )


@pytest.mark.parametrize("stop", ["max_tokens", "stop_sequence", "end_turn", "something_new"])
async def test_calls_run_only_when_the_reply_stopped_for_them(stop: str) -> None:
    cut = replies(text("I will smash."), call("smash"), stop=stop)
    here = room(Speaker(cut, replies(text("Better not.")), replies(text("unused"))))
    await here.talk.ask("?")

    assert here.house.log == []
    assert not any(
        block["type"] == "tool_use" for message in here.talk.history.messages for block in message.content
    )


async def test_a_reply_cut_at_its_limit_is_asked_to_go_on_with_more_room() -> None:
    here = room(
        model := Speaker(
            replies(text("Half of"), call("smash"), stop="max_tokens"), replies(text("the whole answer."))
        ),
        facts=ModelFacts(max_output=128_000),
    )
    end = await here.talk.ask("?")

    assert (end.reason, end.text) == ("answered", "the whole answer.")
    assert [request.max_tokens for request in model.requests] == [None, 128_000]
    assert "cut off" in words(model.requests[1])


async def test_a_reply_that_stays_cut_ends_the_turn() -> None:
    here = room(Speaker(*[replies(text("Half of"), stop="max_tokens")] * 3))
    end = await here.talk.ask("?")

    assert (end.reason, end.text) == ("truncated", "Half of")
    assert any("stayed incomplete" in each.text for each in here.events if isinstance(each, Notice))


async def test_a_model_that_says_nothing_is_told_to_the_person() -> None:
    here = room(Speaker(*[replies()] * 3))
    end = await here.talk.ask("?")

    assert (end.reason, end.detail) == ("truncated", "The model said nothing, though it was asked 3 times.")
    assert [each.level for each in here.events if isinstance(each, Notice)] == ["warning"]


async def test_an_empty_answer_after_tools_is_asked_to_go_on() -> None:
    here = room(model := Speaker(replies(call("look")), replies(), replies(text("All well."))))
    end = await here.talk.ask("?")

    assert end.text == "All well."
    assert "was empty" in words(model.requests[2])
    assert [message.role for message in model.requests[2].messages] == ["user", "assistant", "user", "user"]


async def test_a_paused_reply_is_sent_back_as_it_is() -> None:
    here = room(model := Speaker(replies(text("Wait"), stop="pause_turn"), replies(text("Here."))))
    await here.talk.ask("?")

    assert [message.role for message in model.requests[1].messages] == ["user", "assistant"]


async def test_a_refusal_leaves_nothing_of_itself_and_says_so() -> None:
    here = room(Speaker(replies(text("I can't"), stop="refusal", detail="cyber"), replies(text("Sure."))))
    end = await here.talk.ask("Kill a store")

    assert end.reason == "refused"
    assert "cyber" in end.detail
    assert [message.role for message in here.talk.history.messages] == ["user"]

    assert (await here.talk.ask("Status?")).text == "Sure."


async def test_the_host_can_ask_for_what_is_still_open() -> None:
    here = room(model := Speaker(replies(text("Done!")), replies(text("Now it is healed."))))
    here.talk.unfinished = lambda: "[etcd-2 is still down.]" if len(model.requests) < 2 else ""
    end = await here.talk.ask("Run the demo")

    assert end.text == "Now it is healed."
    assert "etcd-2 is still down" in words(model.requests[1])


async def test_when_calls_are_spent_the_model_says_what_is_known() -> None:
    here = room(
        model := Speaker(
            replies(call("look", name="1"), call("look", name="2"), call("look", name="3")),
            replies(text("I saw two of three.")),
        ),
        limits=Limits(calls_per_request=2),
    )
    end = await here.talk.ask("?")

    assert (end.reason, end.text) == ("budget", "I saw two of three.")
    assert "2 calls for one request" in end.detail
    assert len([line for line in here.house.log if line.startswith("begin")]) == 2
    assert "No more tools will be run" in words(model.requests[1])


async def test_a_model_that_will_not_stop_calling_is_ended_by_the_host() -> None:
    here = room(
        Speaker(replies(call("look", name="1")), replies(call("look", name="2"))),
        limits=Limits(calls_per_request=1),
    )
    end = await here.talk.ask("?")

    assert end.reason == "budget"
    assert "written by operator" in end.text
    assert "look E1 (ok)" in end.text
    assert here.house.log == ["begin look 1", "end look 1"]


async def test_the_same_call_with_the_same_result_is_warned_of_then_not_run_then_ended() -> None:
    same = [replies(call("look", name="x")) for _ in range(4)]
    here = room(model := Speaker(*same, replies(text("It stays as it is."))))
    here.house.answers["look"] = lambda _params: failure("There is no node 'x'.")
    end = await here.talk.ask("?")

    assert (end.reason, end.text) == ("budget", "It stays as it is.")
    assert len([line for line in here.house.log if line.startswith("begin")]) == 3
    assert "same result 3 times" in words(model.requests[3])


async def test_watching_figures_settle_is_no_loop_until_much_later() -> None:
    figures = iter(range(100))
    here = room(Speaker(*[replies(call("look")) for _ in range(5)], replies(text("Settled."))))
    here.house.answers["look"] = lambda _params: Result({"ops_per_s": next(figures)})

    assert (await here.talk.ask("?")).reason == "answered"


async def test_after_an_act_the_same_read_is_news() -> None:
    turns = [replies(call("look")), replies(call("act"))] * 4
    here = room(Speaker(*turns, replies(text("Done."))))
    acts = iter(range(100))
    here.house.answers["act"] = lambda _params: Result({"step": f"step {next(acts)}"})

    assert (await here.talk.ask("?")).reason == "answered"


async def test_when_money_is_nearly_spent_one_last_answer_is_left() -> None:
    here = room(
        model := Speaker(
            replies(call("look"), usage=Usage(input_tokens=40_000)),
            replies(call("peek"), usage=Usage(input_tokens=40_000)),
            replies(text("That is what I know."), usage=Usage(input_tokens=10_000)),
        ),
        limits=Limits(cost_usd=1.0),
        facts=PRICED,
    )
    end = await here.talk.ask("?")

    assert (end.reason, end.text) == ("budget", "That is what I know.")
    assert here.talk.budget.cost_usd == pytest.approx(0.9)
    assert "$1 is spent" in words(model.requests[2])

    here.talk.budget.spend(Usage(input_tokens=10_000))
    after = await here.talk.ask("More?")
    assert after.reason == "budget"
    assert "Nothing was run" in after.text


async def test_a_spent_budget_of_tokens_ends_the_same_way() -> None:
    here = room(
        Speaker(replies(text("Yes."), usage=Usage(input_tokens=500, cache_read_tokens=600))),
        limits=Limits(tokens=1_000),
    )
    assert (await here.talk.ask("?")).reason == "answered"

    end = await here.talk.ask("More?")
    assert (end.reason, "1,000 tokens" in end.detail) == ("budget", True)


async def test_after_an_error_of_the_service_the_conversation_goes_on() -> None:
    here = room(
        model := Speaker(replies(call("act")), ModelUnavailable("overloaded"), replies(text("Back.")))
    )
    with pytest.raises(ModelUnavailable):
        await here.talk.ask("?")
    end = await here.talk.ask("Again?")

    assert end.text == "Back."
    assert [message.role for message in model.requests[2].messages] == ["user", "assistant", "user", "user"]


async def test_notes_alone_are_no_answer() -> None:
    here = room(Speaker(replies(note("hm")), replies(text("Here."))))

    assert (await here.talk.ask("?")).text == "Here."


async def test_without_a_compactor_a_conversation_too_long_is_told_as_such() -> None:
    here = room(Speaker(ContextOverflow("too long")))
    with pytest.raises(ContextOverflow):
        await here.talk.ask("?")
