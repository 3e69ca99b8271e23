"""Recorded sessions of real clusters still play through the loop, the script and the tools' schemas."""

import re
from pathlib import Path

import pytest

from agent.models.offline import OfflineModel
from agent.transcript.event_entries import from_entry
from agent.transcript.reading import read, read_header
from agent.transcript.replay import replay
from subjects.scrub import scrub
from tests.replay.play import play, recorded_messages, shape
from tests.replay.record import FOLLOW_UPS, RECORDINGS, TRANSCRIPTS
from tools.events import Event, Notice

PATHS = sorted(TRANSCRIPTS.glob("*.jsonl"))


def named(path: Path) -> str:
    return path.stem


def test_there_is_a_transcript_for_each_recording_and_none_besides() -> None:
    assert {path.stem for path in PATHS} == set(RECORDINGS)


@pytest.mark.parametrize("path", PATHS, ids=named)
async def test_it_plays_through_the_loop_to_the_same_end(path: Path, tmp_path: Path) -> None:
    played = await play(path, tmp_path)

    assert shape(played.path) == shape(path)
    assert played.messages == recorded_messages(path)


@pytest.mark.parametrize("path", PATHS, ids=named)
async def test_the_script_still_makes_the_same_calls_from_the_same_results(
    path: Path, tmp_path: Path
) -> None:
    if read_header(path).driver != "playbook":
        pytest.skip("a model answered; only the script's calls are bound to be the same")

    played = await play(path, tmp_path, OfflineModel())

    assert shape(played.path) == shape(path)


@pytest.mark.parametrize("path", PATHS, ids=named)
async def test_it_can_be_shown_again(path: Path) -> None:
    events: list[Event] = []

    await replay(path, events.append, 0)

    shown = [from_entry(entry.data) for entry in read(path) if entry.type == "event"]
    assert None not in shown
    assert isinstance(events[1], Notice)
    assert "This is a recording" in events[1].text
    if any(entry.data.get("tool") == "cluster_start" and entry.data.get("ok") for entry in read(path)):
        assert "etcd × process" in events[1].text
    assert len(events) >= len(shown)


@pytest.mark.parametrize("path", PATHS, ids=named)
def test_it_holds_no_key_and_no_path_of_the_machine_that_made_it(path: Path) -> None:
    entries = [entry.data for entry in read(path)]

    assert scrub(entries) == entries
    assert re.findall(r"/(?:tmp|home|root|Users|var/folders|work)/", path.read_text(encoding="utf-8")) == []


def answers(name: str) -> dict[str, str]:
    """Return each request of a recording with the answer that ended it."""
    found: dict[str, str] = {}
    request = ""
    for entry in read(TRANSCRIPTS / f"{name}.jsonl"):
        if entry.type == "user":
            request = entry.data["text"]
        elif entry.type == "assistant" and entry.data["stop_reason"] == "end_turn":
            found[request] = "".join(block["text"] for block in entry.data["content"])
    return found


def test_each_follow_up_question_was_answered_from_the_record_of_a_real_failure() -> None:
    answered = answers("follow-ups")

    assert set(FOLLOW_UPS) <= set(answered)
    for question in FOLLOW_UPS:
        assert "Not supported offline" not in answered[question]
        assert re.search(r"\bE\d+\b", answered[question]), question
    assert "No acknowledged write was lost" in answered["was anything lost?"]
