"""A session that was compacted or cleared comes back from its file as it was left."""

import time
from pathlib import Path

import pytest

from agent.compaction import Compactor
from agent.history import History
from agent.models.claude import ClaudeModel
from agent.sessions.earlier import earlier
from agent.transcript.file import Transcript
from agent.transcript.reading import Header
from tests.standins.conversation import Room, Speaker, replies, room
from tests.standins.messages_api import MessagesApi
from tests.standins.messages_rules import Server
from tests.standins.messages_script import Body, Step, call, came_since_question, note, says, text

OPEN = "open fault f-12 on etcd-2"


def answer(body: Body) -> Step:
    """Looks and acts once for each question; gives a summary where one is asked for."""
    if "Write a summary" in str(body["messages"][-1]["content"]):
        return says(text("A summary in words."))
    if came_since_question(body):
        return says(note("I have seen it."), text("All is well."))
    return says(note("A look."), call("look", name="etcd-1"), call("act", name="etcd-2"))


def brought_back(here: Room, folder: Path) -> History:
    """The history as `--resume` reads it from the session's file."""
    transcript = Transcript.create(folder, Header("20260101-a", time.time(), "0", "claude", "m"))
    for entry in here.notes.entries:
        transcript.record(entry)
    transcript.close()
    return History(earlier(transcript.path).messages)


@pytest.mark.parametrize("compat", [False, True], ids=["server", "model"])
async def test_a_compacted_session_is_resumed_and_goes_on_without_a_refusal(
    compat: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    compactor = Compactor(lambda: OPEN)
    async with MessagesApi(answer, server=Server(compat=compat)) as api:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.base_url)
        here = room(ClaudeModel("claude-opus-5-5", compat=compat), compactor=compactor)
        await here.talk.ask("First?")
        assert await here.talk.compact()
        await here.talk.ask("Second?")
        await here.talk.model.aclose()

        history = brought_back(here, tmp_path)
        assert history.messages == here.talk.history.messages

        history.note("The session is resumed after 2 hours.")
        later = room(ClaudeModel("claude-opus-5-5", compat=compat), history=history, compactor=compactor)
        end = await later.talk.ask("Third?")
        assert await later.talk.compact()
        again = await later.talk.ask("Fourth?")
        await later.talk.model.aclose()
        api.raise_errors()

    assert (end.text, again.text) == ("All is well.", "All is well.")
    assert api.refusals == []
    assert "First?" not in str(api.bodies[-1])
    assert OPEN in str(api.bodies[-1]["messages"][:2])


async def test_a_call_that_was_under_way_after_a_compaction_is_answered_when_it_is_resumed(
    tmp_path: Path,
) -> None:
    asks = replies(call("act", name="etcd-1"))
    here = room(Speaker(replies(text("One.")), replies(text("Sum.")), asks), compactor=Compactor(str))
    await here.talk.ask("First?")
    await here.talk.compact()
    with pytest.raises(IndexError):  # the speaker has no more to say: the program ends here, as if killed
        await here.talk.ask("Second?")
    here.notes.entries = [entry for entry in here.notes.entries if entry["type"] != "outcome"]

    *_, last = brought_back(here, tmp_path).messages
    (result,) = last.content
    assert (result["tool_use_id"], result["is_error"]) == (asks.calls[0].id, True)
    assert "unknown" in result["content"]


async def test_what_was_cleared_does_not_come_back(tmp_path: Path) -> None:
    here = room(Speaker(replies(text("One.")), replies(text("Two."))))
    await here.talk.ask("First?")
    here.talk.clear()
    await here.talk.ask("Second?")

    assert "First?" not in str(brought_back(here, tmp_path).messages)
    assert here.talk.budget.context_tokens == 0
