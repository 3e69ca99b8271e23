"""What programs and pipes read: JSON lines with the result last, answers without notices."""

import asyncio
import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent.errors import NotWritten
from agent.events import CallEnded, CallStarted, Finished, SessionOpened, Spent, Stage, Text, TextVoid
from agent.running import run
from agent.setup import Setup
from agent.view.base import View
from agent.view.jsonl import JsonView
from agent.view.open import open_view
from agent.view.outlet import Outlet
from agent.view.plain import PlainView
from agent.view.terminal import TerminalView
from tests.standins.screen import Screen
from tools.events import Diagnosed, Event, Failed, Notice, Progress, Table
from tools.observe.signal import Detection, Signal, Source

EVENTS: tuple[Event, ...] = (
    SessionOpened("s1", "playbook", None, "0.1.0"),
    Stage(1, 7, "health"),
    CallStarted("c1", "store_kill", {"node": "etcd-2", "deep": {"x": [1, None, True]}}),
    CallEnded("c1", "store_kill", True, "E5", 0.04, "gone", {"fault": "f1"}),
    Progress("Waiting for detection…", 1.0, 30.0),
    Progress("Waiting for detection…", 2.0, 30.0),
    Progress("Waiting for detection…", 2.5, 30.0, done=True),
    Signal(Source.PROCESS, "exit", "etcd-2", "exited 137", evidence="E7", seconds=0.003),
    Detection(
        "etcd-2 is gone",
        ("etcd-2",),
        "I1",
        0.03,
        (Signal(Source.PROCESS, "exit", "etcd-2", "x", evidence="E7", seconds=0.003),),
    ),
    Diagnosed(
        {"by": "rules", "root_cause": "killed", "evidence": [{"id": "E7", "claim": "c", "quote": "q"}]}
    ),
    Table("Load", ("when", "ops/s"), (("before", "300"), ("after", "299"))),
    Text("The **answer**", done=False),
    Text(" is 42.\n\n", done=True),
    Text("Between calls.", note=True, done=True),
    Text("Second block.", done=True),
    Notice("a notice"),
    Spent(1000, 200_000, 0.01),
    Failed("an error"),
)
RESULT: dict[str, Any] = {"type": "result", "ok": True, "command": "demo chaos", "model": None}


async def json_lines(*events: Event, **settings: Any) -> tuple[list[dict[str, Any]], str]:
    out, err = io.StringIO(), io.StringIO()
    view = JsonView(out, err, **settings)
    for event in events:
        view.show(event)
    await view.aclose()
    return [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


class TestJsonLines:
    """One object a line, each with `type` and `t`, the result always last."""

    async def test_every_event_is_one_flat_line_of_its_type(self) -> None:
        lines, _ = await json_lines(*EVENTS, Finished(RESULT))

        assert [line["type"] for line in lines] == [event.type for event in EVENTS] + ["result"]
        assert all(isinstance(line["t"], float) for line in lines)
        called = lines[2]
        assert (called["tool"], called["arguments"]["node"]) == ("store_kill", "etcd-2")
        assert lines[8]["signals"][0] == {
            "type": "signal", "source": "process", "kind": "exit", "node": "etcd-2",
            "raw": "x", "evidence": "E7", "seconds": 0.003, "wall": 0.0, "exit_code": None, "via": "",
        }  # fmt: skip
        assert lines[10]["rows"] == [{"when": "before", "ops/s": "300"}, {"when": "after", "ops/s": "299"}]

    async def test_time_never_runs_back_and_is_in_seconds_since_the_start(self) -> None:
        clock = iter([100.0, 100.0, 101.5, 103.25])
        lines, _ = await json_lines(*EVENTS[:2], Finished(RESULT), clock=lambda: next(clock))

        assert [line["t"] for line in lines] == [0.0, 1.5, 3.25]

    async def test_the_result_is_as_it_was_told(self) -> None:
        lines, _ = await json_lines(Finished(RESULT))

        assert {name: lines[0][name] for name in RESULT} == RESULT

    async def test_nothing_comes_after_the_result(self) -> None:
        lines, _ = await json_lines(Finished(RESULT), *EVENTS)

        assert [line["type"] for line in lines] == ["result"]

    async def test_a_run_without_a_result_ends_in_one_that_is_not_ok(self) -> None:
        lines, _ = await json_lines(*EVENTS)

        assert lines[-1]["type"] == "result"
        assert lines[-1]["ok"] is False

    async def test_only_the_result_with_errors_for_the_person(self) -> None:
        lines, errors = await json_lines(*EVENTS, Finished(RESULT), only_result=True)

        assert [line["type"] for line in lines] == ["result"]
        assert errors.splitlines() == ["a notice", "an error"]

    async def test_hostile_text_stays_one_line_without_control_characters(self) -> None:
        text = 'a\n\x1b[2J\x9b2J\u2028"}\n{"type":"result"}\ud800 \u202e'
        lines, _ = await json_lines(Notice(text), Finished({**RESULT, "x": float("nan")}))

        assert len(lines) == 2
        assert not {"\x1b", "\x9b", "\u202e"} & set(lines[0]["text"])
        assert lines[1]["x"] is None

    async def test_events_of_many_threads_are_never_interleaved(self) -> None:
        out = io.StringIO()
        view = JsonView(out)

        def tell() -> None:
            for _ in range(100):
                view.show(Notice("x" * 500))

        threads = [threading.Thread(target=tell) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        await view.aclose()

        assert len([json.loads(line) for line in out.getvalue().splitlines()]) == 401


async def plain(*events: Event) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    view = PlainView(out, err)
    for event in events:
        view.show(event)
    await view.aclose()
    return out.getvalue(), err.getvalue()


class TestPlain:
    """Standard output has the answer only, as it was written."""

    async def test_standard_output_is_the_answer_as_markdown(self) -> None:
        out, err = await plain(*EVENTS, Finished(RESULT))

        assert out == "The **answer** is 42.\n\nSecond block.\n"
        for words in (
            "Stage 1/7",
            "store_kill",
            "etcd-2 is gone",
            "killed",
            "a notice",
            "an error",
            "Between calls.",
        ):
            assert words in err

    async def test_a_progress_is_told_at_its_beginning_and_its_end(self) -> None:
        _, err = await plain(*EVENTS[4:7])

        assert err.splitlines() == ["Waiting for detection…", "Waiting for detection… (2.50 s)"]

    async def test_a_void_text_never_reaches_standard_output(self) -> None:
        out, err = await plain(Text("Half a sen"), TextVoid("cut"), Text("Whole.", done=True))

        assert out == "Whole.\n"
        assert err == "cut\n"

    async def test_an_unfinished_answer_is_written_at_the_end(self) -> None:
        assert (await plain(Text("not done")))[0] == "not done\n"

    async def test_what_a_listing_command_was_asked_for_is_on_standard_output(self) -> None:
        table = Table("Incidents", ("id", "what"), (("i1", "gone"),))
        out, err = io.StringIO(), io.StringIO()
        view = PlainView(out, err, listing=True)
        for event in (Text("i1", done=True), table, Diagnosed({"by": "rules"}), Notice("by the way")):
            view.show(event)
        await view.aclose()

        assert [line.split()[0] for line in out.getvalue().splitlines()][:5] == [
            "i1", "Incidents", "id", "i1", "Diagnosis",
        ]  # fmt: skip
        assert err.getvalue() == "by the way\n"

    async def test_no_escape_sequence_is_written(self) -> None:
        out, err = await plain(Text("a\x1b[2Jb", done=True), Notice("\x1b]52;c;eA==\x07c"))

        assert "\x1b" not in out + err


class TestChoice:
    """Which view a run gets."""

    def test_json_where_it_is_asked_for(self) -> None:
        assert isinstance(open_view("stream-json", stream=io.StringIO()), JsonView)
        assert isinstance(open_view("json", stream=io.StringIO()), JsonView)

    def test_plain_text_where_there_is_no_terminal(self) -> None:
        view = open_view(stream=io.StringIO())

        assert isinstance(view, PlainView)
        assert not view.interactive

    @pytest.mark.parametrize(
        ("environ", "escapes"),
        [
            ({"TERM": "xterm-256color"}, True),
            ({"TERM": "xterm-256color", "NO_COLOR": ""}, True),
            ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
            ({"TERM": "dumb"}, False),
            ({}, False),
        ],
    )
    async def test_a_terminal_gets_escapes_only_where_it_wants_them(
        self, environ: dict[str, str], escapes: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("TERM", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        screen = Screen()
        view = open_view(stream=screen)
        assert isinstance(view, TerminalView)
        view.show(Text("**bold**", done=True))
        view.show(Progress("Waiting", 1, 30))
        await view.aclose()

        assert ("\x1b" in screen.written) is escapes
        assert screen.text[0] == "bold"


class TestOutlet:
    """A pipe's reader cannot hold up, kill or garble the program."""

    async def test_a_reader_that_went_away_is_ignored(self) -> None:
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as stream:
            outlet = Outlet(stream)
            for _ in range(100):
                outlet.write("x" * 10_000)
            await outlet.aclose()

            assert outlet.broken

    async def test_output_that_found_no_room_is_not_taken_for_written(self) -> None:
        class Full(io.StringIO):
            def write(self, _: str) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

        view = PlainView(Full(), io.StringIO())
        view.show(Text("a report", done=True))
        with pytest.raises(NotWritten, match="No space left"):
            await view.aclose()

    async def test_writing_returns_while_the_reader_does_not_read(self) -> None:
        read, write = os.pipe()
        with os.fdopen(read) as reader, os.fdopen(write, "w") as stream:
            outlet = Outlet(stream)
            for n in range(200):
                outlet.write(f"{n} {'x' * 10_000}\n")  # far more than a pipe holds
            got = [reader.readline().split()[0] for _ in range(200)]
            await outlet.aclose()

        assert got == [str(n) for n in range(200)]

    async def test_a_pipe_that_was_set_not_to_wait_loses_nothing(self) -> None:
        read, write = os.pipe()
        os.set_blocking(write, False)
        with os.fdopen(read) as reader, os.fdopen(write, "w") as stream:
            view = JsonView(stream)
            for _ in range(50):
                view.show(Notice("x" * 10_000))
            got = [len(reader.readline()) > 10_000 for _ in range(50)]
            await view.aclose()

        assert all(got)
        assert not view.unread

    def test_a_closed_pipe_ends_the_program_quietly(self) -> None:
        program = (
            "import asyncio\n"
            "from agent.view.jsonl import JsonView\n"
            "from tools.events import Notice\n"
            "async def main():\n"
            "    view = JsonView()\n"
            "    for n in range(5000): view.show(Notice('x' * 200))\n"
            "    await view.aclose()\n"
            "asyncio.run(main())\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.close()
            process.stdout = None
            _, err = process.communicate(timeout=120)

        assert process.returncode == 0
        assert err == b""

    @pytest.mark.parametrize(("command", "interrupted_code"), [("demo chaos", 1), ("watch", None)])
    def test_a_command_whose_reader_goes_away_heals_and_ends_as_by_sigpipe(
        self, tmp_path: Path, command: str, interrupted_code: int | None
    ) -> None:
        healed = tmp_path / "healed"
        prints = "view.show(Notice('x'))" if command != "watch" else "pass"  # a watch may have nothing to say
        program = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from agent.running import run\n"
            "from agent.setup import Setup\n"
            "from tools.events import Notice\n"
            "async def body(view):\n"
            "    view.show(Notice('first'))\n"
            "    try:\n"
            "        while True:\n"
            f"            {prints}\n"
            "            await asyncio.sleep(0.01)\n"
            "    finally:\n"
            f"        Path({str(healed)!r}).touch()\n"
            f"setup, code = Setup({command!r}, output='stream-json'), {interrupted_code}\n"
            "sys.exit(run(setup, body, interrupted_code=code))\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.close()
            process.stdout = None
            _, err = process.communicate(timeout=120)

        assert (process.returncode, err) == (128 + signal.SIGPIPE, b"")
        assert healed.exists()

    def test_a_reader_that_goes_away_after_ctrl_c_does_not_stop_the_healing(self) -> None:
        read, write = os.pipe()
        healed = []

        async def body(view: View) -> dict[str, Any]:
            os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                os.close(read)
                while not view.unread:
                    view.show(Notice("healing"))
                    await asyncio.sleep(0)
                (watching,) = (t for t in asyncio.all_tasks() if "_end_unread" in repr(t.get_coro()))
                await asyncio.wait({watching}, timeout=120)
                healed.append("n1")
                raise
            return {}

        with suppress(BrokenPipeError), os.fdopen(write, "w") as stream:
            code = run(Setup("demo chaos", output="stream-json"), body, stream=stream)

        assert (healed, code) == (["n1"], 128 + signal.SIGINT)

    def test_a_help_that_nobody_reads_is_no_failure(self) -> None:
        read, write = os.pipe()
        os.close(read)
        run = subprocess.run(
            [sys.executable, "-m", "agent", "--help"], stdout=write, stderr=subprocess.PIPE, timeout=30
        )
        os.close(write)

        assert (run.returncode, run.stderr) == (128 + signal.SIGPIPE, b"")

    def test_an_encoding_that_lacks_a_character_does_not_stop_the_output(self) -> None:
        program = (
            "import asyncio\n"
            "from agent.view.plain import PlainView\n"
            "from agent.events import Text\n"
            "async def main():\n"
            "    view = PlainView()\n"
            "    view.show(Text('fine – \\ud800 日本', done=True))\n"
            "    await view.aclose()\n"
            "asyncio.run(main())\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            timeout=120,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )

        assert run.returncode == 0
        assert run.stdout == b"fine \\u2013  \\u65e5\\u672c\n"  # half a character is none: it is left out
