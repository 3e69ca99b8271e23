"""A replay shows what was recorded at the recorded pace, says that it is one, and runs nothing."""

import time
from pathlib import Path
from typing import Any

import pytest

from agent.errors import BadTranscript
from agent.events import CallEnded, CallStarted, Finished, SessionOpened, Stage, Text
from agent.transcript.event_entries import recording
from agent.transcript.file import Transcript
from agent.transcript.reading import Header
from agent.transcript.replay import LONGEST_IDLE_S, replay
from tools.events import Event, Notice, Progress

HEADER = Header("s1", 1_790_000_000.0, "0.1.0", "playbook", None, "demo chaos")


def write(folder: Path, *entries: dict[str, Any]) -> Path:
    transcript = Transcript.create(folder, HEADER)
    for entry in entries:
        transcript.record(entry)
    transcript.close()
    return transcript.path


def tick(t: float, elapsed: float, *, done: bool = False) -> dict[str, Any]:
    event = {"text": "Waiting for detection", "elapsed_s": elapsed, "of_s": 30.0, "done": done}
    return {"type": "event", "t": t, "name": "Progress", "event": event}


def demo(folder: Path) -> Path:
    return write(
        folder,
        {"type": "user", "t": 0.0, "text": "run the chaos demo", "by": "person"},
        {
            "type": "assistant",
            "t": 0.1,
            "content": [
                {"type": "text", "text": "Now I wait."},
                {"type": "tool_use", "id": "c1", "name": "w", "input": {}},
            ],
            "stop_reason": "tool_use",
        },
        {"type": "call", "t": 0.2, "id": "c1", "tool": "wait_for_detection", "arguments": {"timeout_s": 30}},
        tick(0.5, 0.3),
        tick(1.0, 0.8),
        tick(1.2, 1.0, done=True),
        {
            "type": "outcome",
            "t": 1.2,
            "id": "c1",
            "tool": "wait_for_detection",
            "ok": True,
            "text": "[E1] {}",
            "data": {"detected": True, "cluster": "etcd × process"},
            "evidence": "E1",
            "seconds": 1.0,
        },
        {"type": "end", "t": 1.3, "reason": "answered", "detail": ""},
    )


class Watching:
    """A clock that stands still, and who watches."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.events: list[Event] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def test_it_says_that_it_is_a_recording_when_it_was_made_and_of_what(tmp_path: Path) -> None:
    watching = Watching()

    await replay(demo(tmp_path), watching.events.append, 0, watching.sleep)

    assert watching.events[0] == SessionOpened("s1", "playbook", None, "0.1.0")
    said = watching.of(Notice)[0].text
    for told in (
        "This is a recording",
        "demo chaos",
        "2026-09-21",
        "etcd × process",
        "offline mode",
        "Nothing is run",
    ):
        assert told in said


async def test_what_was_drawn_is_drawn_again_in_order(tmp_path: Path) -> None:
    watching = Watching()

    await replay(demo(tmp_path), watching.events.append, 0, watching.sleep)

    kinds = [type(event) for event in watching.events[2:]]
    assert kinds == [
        Notice, Text, Text, CallStarted, Progress, Progress, Progress, CallEnded, Finished,
    ]  # fmt: skip
    assert watching.of(CallEnded)[0].data["detected"] is True
    assert watching.of(Progress)[-1].done


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 1.3), (4.0, 0.325), (0.5, 2.6)])
async def test_the_pace_is_the_recorded_one_or_a_multiple(
    tmp_path: Path, speed: float, seconds: float
) -> None:
    watching = Watching()

    await replay(demo(tmp_path), watching.events.append, speed, watching.sleep)

    assert sum(watching.slept) == pytest.approx(seconds)


async def test_speed_zero_plays_at_once(tmp_path: Path) -> None:
    watching = Watching()

    await replay(demo(tmp_path), watching.events.append, 0, watching.sleep)

    assert watching.slept == []


async def test_a_negative_speed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 plays at once"):
        await replay(demo(tmp_path), lambda event: None, -1)


async def test_a_night_between_two_requests_is_played_short(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"type": "user", "t": 1.0, "text": "a"},
        {"type": "resumed", "t": 60_000.0},
        {"type": "user", "t": 60_001.0, "text": "b"},
    )
    watching = Watching()

    await replay(path, watching.events.append, 1, watching.sleep)

    assert watching.slept == [1.0, LONGEST_IDLE_S, 1.0]


async def test_a_cut_recording_says_that_it_stops(tmp_path: Path) -> None:
    path = demo(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    watching = Watching()

    await replay(path, watching.events.append, 0, watching.sleep)

    assert "did not come to its end" in watching.of(Notice)[-1].text
    assert isinstance(watching.events[-1], Finished)


@pytest.mark.parametrize("entry", [{"type": "outcome", "seconds": "long"}, {"type": "call", "id": 7}])
async def test_a_damaged_entry_is_left_out_and_reported_with_its_line(
    tmp_path: Path, entry: dict[str, object]
) -> None:
    path = write(tmp_path, {"type": "outcome", "id": "c", **entry}, {"type": "user", "text": "And now?"})
    watching = Watching()
    await replay(path, watching.events.append, 0)

    said = [event.text for event in watching.of(Notice)]
    assert "> And now?" in said
    assert "1 damaged line (2) was left out." in said


async def test_what_is_no_transcript_draws_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello\n")
    watching = Watching()

    with pytest.raises(BadTranscript):
        await replay(path, watching.events.append, 0)
    assert watching.events == []


async def test_events_recorded_while_they_were_drawn_come_back_with_the_result(tmp_path: Path) -> None:
    drawn: list[Event] = []
    transcript = Transcript.create(tmp_path, Header("s2", time.time(), "0", "claude", "claude-opus-5-5"))
    emit = recording(transcript, drawn.append)
    emit(Stage(1, 7, "health"))
    emit(Text("not kept: the reply has an entry of its own"))
    emit(Finished({"ok": True, "command": "demo chaos"}))
    transcript.close()
    watching = Watching()

    await replay(transcript.path, watching.events.append, 0)

    assert len(drawn) == 3
    assert watching.of(Stage) == [Stage(1, 7, "health")]
    assert watching.of(Text) == []
    assert watching.of(Finished)[-1].result["recorded"] == {"ok": True, "command": "demo chaos"}
