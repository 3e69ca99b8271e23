"""A tape notices when a run goes another way than the recording, and nothing can swallow that."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.errors import BadTranscript
from agent.models.offline import OfflineModel
from agent.transcript.reading import read
from tests.replay.play import Played, play, recorded_messages, run, shape
from tests.replay.tape import Tape, TapeMismatch, TapeModel
from tests.replay.tape_runner import TapeRunner
from tools.registry import load_tools
from tools.tool import Effect, Outcome, Params, Tool


class WrittenRunner:
    """Tools whose results are written here; the recording is made with them."""

    def effect(self, name: str) -> Effect:
        return Effect.READ

    async def run(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> Outcome:
        data = {"ok": True, "incidents": []}
        return Outcome(call_id, name, True, f"[E1] {json.dumps(data)}", data, "E1", 0.0)


REQUESTS = ("list the incidents", "why did it fail?", "help")


@pytest.fixture
async def recording(tmp_path: Path) -> Path:
    folder = tmp_path / "recorded"
    folder.mkdir()
    return (await run(folder, OfflineModel(), WrittenRunner(), REQUESTS)).path


@pytest.fixture
def played_into(tmp_path: Path) -> Path:
    folder = tmp_path / "played"
    folder.mkdir()
    return folder


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change entries of a recording, as an edit of code or tools would have changed the run."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        change(line)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def line_of(path: Path, kind: str) -> int:
    return next(entry.line for entry in read(path) if entry.type == kind)


def same(recording: Path, played: Played) -> bool:
    return shape(recording) == shape(played.path) and recorded_messages(recording) == played.messages


async def test_a_recording_plays_to_the_same_end(recording: Path, played_into: Path) -> None:
    assert same(recording, await play(recording, played_into))


async def test_the_same_script_still_makes_the_recorded_calls(recording: Path, played_into: Path) -> None:
    assert same(recording, await play(recording, played_into, OfflineModel()))


async def test_another_call_than_the_recorded_one_is_told_with_the_line(
    recording: Path, played_into: Path
) -> None:
    def other_tool(entry: dict[str, Any]) -> None:
        if entry["type"] == "call":
            entry["tool"] = "cluster_status"

    edit(recording, other_tool)

    with pytest.raises(TapeMismatch, match=f"line {line_of(recording, 'call')}: recorded is cluster_status"):
        await play(recording, played_into)


async def test_another_input_than_the_recorded_one_is_told(recording: Path, played_into: Path) -> None:
    def other_input(entry: dict[str, Any]) -> None:
        if entry["type"] == "call":
            entry["arguments"] = {"limit": 3}

    edit(recording, other_input)

    with pytest.raises(TapeMismatch, match="limit"):
        await play(recording, played_into)


async def test_the_same_number_written_differently_is_the_same_input(
    recording: Path, played_into: Path
) -> None:
    def as_text(entry: dict[str, Any]) -> None:
        if entry["type"] == "call" and entry["arguments"].get("limit"):
            entry["arguments"] = {"limit": str(entry["arguments"]["limit"])}

    edit(recording, as_text)

    await play(recording, played_into)


async def test_an_input_that_no_longer_fits_its_schema_is_told(recording: Path, played_into: Path) -> None:
    tape = Tape(recording)

    class Nothing(Params):
        wanted: int

    tools = load_tools()
    old = tools["incident_list"]
    tools["incident_list"] = Tool(old.name, Nothing, old.effect, old.run, old.folder)

    with pytest.raises(TapeMismatch, match="no longer fits its schema"):
        await run(played_into, TapeModel(tape), TapeRunner(tape, tools), tape.requests)


async def test_a_result_of_another_kind_is_told(recording: Path, played_into: Path) -> None:
    tape = Tape(recording)

    class Failing(WrittenRunner):
        async def run(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> Outcome:
            return Outcome(call_id, name, False, "no", {}, None, 0.0)

    with pytest.raises(TapeMismatch, match="was recorded as ok"):
        await run(played_into, TapeModel(tape), Failing(), tape.requests)


async def test_a_run_that_stops_early_has_not_played_everything(recording: Path, played_into: Path) -> None:
    tape = Tape(recording)
    await run(played_into, TapeModel(tape), TapeRunner(tape, load_tools()), tape.requests[:-1])

    with pytest.raises(TapeMismatch, match="never asked for"):
        tape.assert_all_played()


async def test_a_run_that_goes_on_too_long_is_told(recording: Path, played_into: Path) -> None:
    tape = Tape(recording)

    with pytest.raises(TapeMismatch, match="the recording ends here"):
        await run(played_into, TapeModel(tape), TapeRunner(tape, load_tools()), [*tape.requests, "more"])


async def test_a_mismatch_that_somebody_swallowed_is_raised_again(recording: Path) -> None:
    tape = Tape(recording)
    runner = TapeRunner(tape, load_tools())
    with pytest.raises(TapeMismatch):
        await runner.run("c1", "cluster_stop", {})

    # a retry with what was recorded would fit, but the run has gone another way already
    with pytest.raises(TapeMismatch, match="cluster_stop"):
        await runner.run("c1", "incident_list", {})
    with pytest.raises(TapeMismatch, match="cluster_stop"):
        tape.assert_all_played()


async def test_prose_may_change(recording: Path, played_into: Path) -> None:
    def reworded(entry: dict[str, Any]) -> None:
        for block in entry.get("content", ()):
            if block["type"] == "text":
                block["text"] = "In other words."

    edit(recording, reworded)

    await play(recording, played_into, OfflineModel())


async def test_an_interrupted_session_is_no_tape(recording: Path) -> None:
    def interrupted(entry: dict[str, Any]) -> None:
        if entry["type"] == "assistant":
            entry["stop_reason"] = "interrupted"

    edit(recording, interrupted)

    with pytest.raises(BadTranscript, match="interrupted"):
        Tape(recording)
