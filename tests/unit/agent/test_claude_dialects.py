"""What is said to whom: the newest where it is understood, and plainer where it is not."""

from typing import Any

import pytest

from agent.models.assembly import Assembly
from agent.models.base import HandedOver, Message, Request, Usage
from agent.models.catalog import ModelFacts, facts_of
from agent.models.claude import ClaudeModel
from agent.models.features import FALLBACK_BETA, Feature, refused_features
from agent.models.wire import Dialect, body
from agent.repair import keepable, text_block
from tests.standins.conversation import room
from tests.standins.messages_api import MessagesApi
from tests.standins.messages_script import note, says, text

MODEL = "claude-opus-5-5"
ASKED = (Message("user", (text_block("?"),)),)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")


async def test_a_base_url_that_ends_in_v1_as_others_want_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    async with MessagesApi(lambda _: says(note("Hm."), text("Yes."))) as api:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{api.base_url}/v1/")
        here = room(ClaudeModel(MODEL))
        assert (await here.talk.ask("?")).text == "Yes."
        await here.talk.model.aclose()


def test_the_prompt_is_kept_for_an_hour_where_a_person_sits_and_that_is_priced() -> None:
    asked = Request("system", (), ASKED)
    short = body(asked, Dialect(MODEL, facts_of(MODEL)))
    long = body(asked, Dialect(MODEL, facts_of(MODEL), cached_for="1h"))

    assert short["cache_control"] == {"type": "ephemeral"}
    assert long["cache_control"] == long["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    facts = ModelFacts(input_price=4, output_price=20)
    assert facts.cost(Usage(cache_write_tokens=1_000_000)) == 5
    assert facts.cost(Usage(cache_write_tokens=1_000_000, cache_write_1h_tokens=1_000_000)) == 8


def test_another_model_may_answer_where_one_declines_at_anthropics_own_api_alone() -> None:
    own, other = Dialect(MODEL, facts_of(MODEL), first_party=True), Dialect(MODEL, facts_of(MODEL))
    sent = body(Request("", (), ASKED), own)

    assert (sent["fallbacks"], FALLBACK_BETA in sent["betas"]) == ("default", True)
    assert "fallbacks" not in body(Request("", (), ASKED), other)
    assert "fallbacks" not in body(Request("", (), ASKED, compact="Sum up."), own)


def start(index: int, **block: object) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


HANDOVER = {"from": {"model": MODEL}, "to": {"model": "claude-opus-4-8"},
            "trigger": {"type": "refusal", "category": "cyber"}}  # fmt: skip


def test_of_a_model_that_declined_half_way_only_its_text_is_kept_and_nothing_of_it_runs() -> None:
    assembly = Assembly()
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        start(0, type="thinking", thinking="", signature="s"),
        start(1, type="text", text="I kill"),
        start(2, type="tool_use", id="a", name="store_kill", input={}),
        start(3, type="fallback", **HANDOVER),
        start(4, type="text", text="I look first."),
        start(5, type="tool_use", id="b", name="cluster_status", input={}),
        *({"type": "content_block_stop", "index": index} for index in range(6)),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {
                "output_tokens": 9,
                "iterations": [
                    {"type": "message", "input_tokens": 100, "output_tokens": 3},
                    {"type": "fallback_message", "input_tokens": 100, "output_tokens": 9},
                ],
            },
        },
        {"type": "message_stop"},
    ]
    drawn = [each for event in events for each in assembly.take(event)]
    reply = assembly.reply()

    assert HandedOver(MODEL, "claude-opus-4-8", "cyber") in drawn
    assert reply is not None
    assert [block["type"] for block in reply.content] == ["text", "fallback", "text", "tool_use"]
    assert [asked.name for asked in reply.calls] == ["cluster_status"]
    assert reply.usage == Usage(input_tokens=200, output_tokens=12)


def test_a_handover_is_sent_back_where_it_stood_but_not_to_other_providers() -> None:
    said = ({"type": "fallback", **HANDOVER}, text_block("Yes."))
    messages = (*ASKED, Message("assistant", keepable(said, "end_turn")), *ASKED)

    own = body(Request("", (), messages), Dialect(MODEL, facts_of(MODEL), first_party=True))
    other = body(Request("", (), messages), Dialect(MODEL, facts_of(MODEL)))
    assert own["messages"][1]["content"] == list(said)
    assert other["messages"][1]["content"] == [text_block("Yes.")]
    assert keepable(said[:1], "end_turn") == ()


def test_a_gateway_s_name_for_thinking_is_known_once_effort_is_gone() -> None:
    """LiteLLM makes `reasoning.effort` of both, and goes on refusing it."""
    refusal = "litellm.UnsupportedParamsError: gpt-4o doesn't support `reasoning.effort`"
    both = {Feature.THINKING, Feature.EFFORT}

    assert refused_features(refusal, both) == [Feature.EFFORT]
    assert refused_features(refusal.replace(".effort", ""), {Feature.THINKING}) == [Feature.THINKING]
    assert refused_features(refusal, {Feature.THINKING}) == [Feature.THINKING]
