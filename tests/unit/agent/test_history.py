"""The history stays valid after anything, and a transcript gives the same one back."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.history import History, rebuild
from agent.models.base import Message, Request
from agent.models.catalog import facts_of
from agent.models.wire import Dialect, body
from agent.repair import keepable, text_block
from tests.standins.conversation import Notes, Room, Speaker, replies, room
from tests.standins.messages_rules import Refused, Server, check
from tests.standins.messages_script import Signer, call, note, text

MODEL = "claude-opus-5-5"


def refusal(messages: tuple[Message, ...]) -> str:
    """Why the API would refuse these messages with a question at their end; empty if it would not."""
    history = History(messages)
    history.user("And now?")
    sent = body(Request("s", (), history.messages), Dialect(MODEL, facts_of(MODEL)))
    betas = set(sent.pop("betas"))
    try:
        check(sent, betas, Signer(), Server())
    except Refused as refused:
        return str(refused)
    return ""


BLOCKS = st.lists(
    st.sampled_from([text("Words."), text("  "), call("look"), call("act", name="x"), call("smash")]),
    max_size=4,
)
STOPS = st.sampled_from(["tool_use", "end_turn", "max_tokens", "refusal", "stop_sequence", "unheard_of"])
TURNS = st.lists(st.tuples(BLOCKS, STOPS), min_size=1, max_size=6)


async def _play(turns: list[tuple[list[dict[str, Any]], str]]) -> Room:
    said = [replies(*blocks, stop=stop) for blocks, stop in turns]
    closing = [replies(text(f"Enough {number}.")) for number in range(9)]
    speaker = Speaker(*said, *closing)
    here = room(speaker)
    while len(speaker.replies) > 4:
        here.talk.note("Something changed.")
        await here.talk.ask("Go on?")
    return here


@settings(max_examples=40)
@given(TURNS, st.data())
def test_whatever_lines_of_a_transcript_are_lost_the_next_request_is_valid(
    turns: list[tuple[list[dict[str, Any]], str]], data: st.DataObject
) -> None:
    entries = asyncio.run(_play(turns)).notes.entries
    lost = data.draw(st.sets(st.integers(0, len(entries) - 1), min_size=1, max_size=3))

    left = [entry for n, entry in enumerate(entries) if n not in lost]
    assert refusal(tuple(rebuild(left).messages)) == ""


@settings(max_examples=80)
@given(TURNS)
def test_whatever_a_model_says_the_next_request_is_valid_and_the_transcript_tells_the_same(
    turns: list[tuple[list[dict[str, Any]], str]],
) -> None:
    here = asyncio.run(_play(turns))

    assert refusal(tuple(here.talk.history.messages)) == ""
    assert rebuild(here.notes.entries).messages == here.talk.history.messages


@settings(max_examples=60)
@given(TURNS, st.data())
def test_a_transcript_cut_at_any_entry_gives_a_valid_history(
    turns: list[tuple[list[dict[str, Any]], str]], data: st.DataObject
) -> None:
    here = asyncio.run(_play(turns))
    cut = data.draw(st.integers(0, len(here.notes.entries)))

    assert refusal(tuple(rebuild(here.notes.entries[:cut]).messages)) == ""


def _killed(*entries: str) -> str:
    """What the model is told of a call when the program was killed after these entries."""
    all_entries: dict[str, dict[str, Any]] = {
        "user": {"type": "user", "text": "Kill one"},
        "assistant": {
            "type": "assistant",
            "stop_reason": "tool_use",
            "content": [{"type": "tool_use", "id": "c1", "name": "smash", "input": {}}],
        },
        "call": {"type": "call", "id": "c1", "tool": "smash", "arguments": {}, "effect": "destroy"},
        "outcome": {"type": "outcome", "id": "c1", "tool": "smash", "ok": True, "text": "[E1] gone"},
    }
    history = rebuild(all_entries[name] for name in entries)
    return str(history.messages[-1].content[0]["content"])


def test_a_call_that_never_began_is_told_as_such() -> None:
    assert "It did nothing" in _killed("user", "assistant")


def test_a_call_whose_end_nobody_wrote_down_is_unknown_and_not_to_be_repeated_blindly() -> None:
    told = _killed("user", "assistant", "call")

    assert "outcome is unknown" in told
    assert "Check the status before acting" in told
    assert "retry" not in told


def test_a_call_that_finished_is_told_as_it_was() -> None:
    assert _killed("user", "assistant", "call", "outcome") == "[E1] gone"


def test_what_was_interrupted_keeps_whole_words_and_drops_calls_and_unsigned_thinking() -> None:
    cut = [note("hm"), text("Whole."), text(" \n"), call("smash")]

    assert keepable(cut, "interrupted") == (text_block("Whole."),)
    assert keepable(cut[:2], "interrupted") == (text_block("Whole."),), "thinking may be unsigned"
    assert keepable(cut, "refusal") == ()
    assert len(keepable(cut, "tool_use")) == 3


def test_notes_wait_until_they_follow_a_user_turn() -> None:
    history = History()
    history.note("Early.")
    assert history.settle() == ""

    history.user("Hello")
    assert history.settle() == "Early."
    assert [message.role for message in history.messages] == ["user", "system"]


def test_a_question_after_an_unanswered_note_does_not_follow_it_directly() -> None:
    history = History()
    history.user("Hello")
    history.note("Changed.")
    history.settle()
    history.user("Still there?")

    assert [message.role for message in history.messages] == ["user", "system", "assistant", "user"]
    assert refusal(tuple(history.messages)) == ""


def test_an_interrupted_streams_whole_block_is_in_the_transcript_too() -> None:
    notes = Notes()
    notes.record({"type": "user", "text": "Hi"})
    notes.record({"type": "assistant", "content": [text("Whole.")], "stop_reason": "interrupted"})

    assert [message.role for message in rebuild(notes.entries).messages] == ["user", "assistant"]
