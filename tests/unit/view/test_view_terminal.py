"""What a person sees on a terminal: drawn once, in place where it goes on, and never forged."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from agent.drill.tables import FAULT_COLUMNS
from agent.events import (
    CallEnded,
    CallStarted,
    NodeRow,
    NodesSeen,
    SessionOpened,
    Stage,
    Text,
    TextVoid,
)
from agent.view.style import PROMPT
from agent.view.terminal import TerminalView
from tests.standins.person import Person
from tests.standins.screen import Screen
from tools.events import Diagnosed, Event, Failed, Notice, Progress, Table
from tools.observe.signal import Detection, Signal, Source

DIAGNOSIS: dict[str, Any] = {
    "by": "rules",
    "observation": "etcd-2 ended and its peers lost it.",
    "root_cause": "The process of etcd-2 was killed.",
    "kind": "crash",
    "node": "etcd-2",
    "confidence": "high",
    "evidence": [{"id": "E7", "quote": "exited with 137", "claim": "it died of SIGKILL"}],
    "ruled_out": [{"cause": "pause", "ruled_out_by": "the process is gone"}],
    "suggested_actions": ["Restart etcd-2"],
    "verified": True,
}

SIGNALS = (
    Signal(Source.CLIENT, "errors", "etcd-2", "12 of 300 failed", evidence="E9", seconds=0.8),
    Signal(Source.PROCESS, "exit", "etcd-2", "exited with 137", evidence="E7", seconds=0.003),
)

EVERYTHING: tuple[Event, ...] = (
    SessionOpened("s1", "claude", "claude-opus-5-5", "0.1.0"),
    Stage(1, 7, "Health"),
    CallStarted("a", "cluster_start", {"subject": "etcd"}),
    Progress("2 of 3 members healthy", 1.2),
    CallEnded("a", "cluster_start", True, "E1", 2.31, "3 members healthy, leader etcd-2"),
    Stage(1, 7, "Health", ok=True, elapsed_s=2.4),
    Text("The cluster is **healthy**.\n\n- one\n- two 日本語\n"),
    Text("", done=True),
    Text("I kill a store now.", note=True, done=True),
    CallEnded("b", "store_kill", False, "E6", 0.04, "There is no node 'etcd-9'."),
    Progress("Waiting for detection…", 5, 30),
    Progress("Waiting for detection…", 0.04, 30, done=True),
    Detection("etcd-2 is gone", ("etcd-2",), "I3", 0.031, SIGNALS),
    Diagnosed(DIAGNOSIS),
    Table("Load", ("when", "ops/s"), (("before", "300"), ("during", "241"))),
    Notice("The cluster stays up."),
    Failed("No key."),
    TextVoid("The reply was cut; it is asked for again."),
)


def drawn(screen: Screen, *events: Event, **settings: Any) -> TerminalView:
    view = TerminalView(screen, size=screen.size, **settings)
    for event in events:
        view.show(event)
    return view


async def seen(*events: Event, columns: int = 80, lines: int = 24, **settings: Any) -> list[str]:
    screen = Screen(columns, lines)
    await drawn(screen, *events, **settings).aclose()
    return screen.text


class TestLook:
    """Each thing in its place, at any width."""

    async def test_a_call_is_one_line_with_its_time_and_evidence(self) -> None:
        calls = (
            CallStarted("b", "store_kill", {"node": "etcd-2"}),
            CallEnded("b", "store_kill", True, "E5", 0.04, "etcd-2 is gone, " + "and so on " * 40),
        )

        (line,) = await seen(*calls)

        assert line.startswith("✓ store_kill etcd-2 · etcd-2 is gone")
        assert line.endswith("… · 0.04 s · E5")

    async def test_a_failed_call_says_why_in_full(self) -> None:
        why = "There is no node 'etcd-9'. The nodes are: etcd-1, etcd-2, etcd-3."

        lines = await seen(CallEnded("b", "store_kill", False, "E6", 0.04, why), columns=40)

        assert lines[0] == "✗ store_kill · 0.04 s · E6"
        assert " ".join(line.strip() for line in lines[1:]) == why

    async def test_who_knew_when_is_in_order(self) -> None:
        lines = await seen(Detection("etcd-2 is gone", ("etcd-2",), "I3", 0.031, SIGNALS), columns=100)

        assert lines[0] == "● etcd-2 is gone · 0.03 s · incident I3"
        assert lines[2].split()[:4] == ["0.003", "s", "process", "exit"]
        assert lines[3].split()[:4] == ["0.800", "s", "client", "errors"]

    async def test_the_panel_tells_all_of_a_diagnosis(self) -> None:
        for columns in (40, 100):
            text = " ".join(
                " ".join(await seen(Diagnosed(DIAGNOSIS), columns=columns)).replace("│", "").split()
            )
            for words in (
                "etcd-2 ended and",
                "was killed",
                "crash",
                "high",
                "E7",
                "exited with 137",
                "pause",
            ):
                assert words in text
            assert "citations checked" in text

    async def test_a_diagnosis_that_did_not_hold_says_so(self) -> None:
        text = "\n".join(
            await seen(Diagnosed({**DIAGNOSIS, "verified": False, "problems": ["E9 does not exist"]}))
        )

        assert "not verified" in text
        assert "E9 does not exist" in text

    async def test_a_diagnosis_of_any_shape_is_drawn(self) -> None:
        shapes: list[dict[str, Any]] = [
            {},
            {"evidence": [{}], "ruled_out": [{}], "node": None, "verified": None},
        ]
        for found in shapes:
            lines = await seen(Diagnosed(found))

            assert lines[0].startswith("╭")
            assert lines[-1].startswith("╰")

    @pytest.mark.parametrize("columns", [20, 40, 80, 200])
    async def test_no_line_is_wider_than_the_terminal(self, columns: int) -> None:
        screen = Screen(columns, 24)
        await drawn(screen, *EVERYTHING).aclose()

        assert screen.text
        # A line that is too wide would have been wrapped by the terminal, right through a box.
        boxed = [line for line in screen.text if line.startswith(("│", "╭", "╰"))]
        assert {len(line) for line in boxed} == {min(columns, 100)}

    async def test_signals_are_drawn_one_by_one_only_where_asked_for(self) -> None:
        assert await seen(*SIGNALS) == []
        assert len(await seen(*SIGNALS, signals=True)) == 2

    async def test_wide_characters_keep_the_line_within_the_terminal(self) -> None:
        calls = CallEnded("b", "read_logs", True, "E5", 0.04, "日本語のログ" * 30)

        (line,) = await seen(calls, columns=60)

        assert line.endswith("· 0.04 s · E5")


class TestInPlace:
    """What goes on is drawn in place and leaves nothing behind."""

    def test_the_countdown_stays_on_its_line_and_becomes_the_finished_one(self) -> None:
        screen, now = Screen(80, 10), [0.0]
        view = TerminalView(screen, size=screen.size, clock=lambda: now[0])
        for second in range(12):
            now[0] += 1
            view.show(Progress("Waiting for detection…", second, 30))
            assert screen.text == [screen.text[0]]
            assert f"Waiting for detection… {second}s / 30s" in screen.text[0]
        view.show(Progress("Waiting for detection…", 11.2, 30, done=True))

        assert screen.text == ["✓ Waiting for detection… · 11 s"]

    def test_a_running_call_is_replaced_by_its_end(self) -> None:
        screen = Screen()
        view = drawn(screen, CallStarted("a", "diagnose", {}))
        assert screen.text == ["● diagnose"]

        view.show(CallEnded("a", "diagnose", True, "E4", 3.0, ""))

        assert screen.text == ["✓ diagnose · 3.00 s · E4"]

    @pytest.mark.parametrize("lines", [4, 10, 24])
    def test_a_long_stream_leaves_no_stray_line_in_the_scrollback(self, lines: int) -> None:
        screen, now = Screen(60, lines), [0.0]
        view = TerminalView(screen, size=screen.size, clock=lambda: now[0])
        view.show(CallStarted("a", "diagnose", {}))
        view.show(CallEnded("a", "diagnose", True, "E4", 3.0, ""))
        for n in range(60):
            for word in f"Paragraph {n} has more than a few words, so that it wraps at least once.\n\n".split(
                " "
            ):
                now[0] += 0.1
                view.show(Text(f"{word} "))
        view.show(Text("", done=True))

        text = screen.text
        assert [line for line in text if "Paragraph" in line] == [
            line for n in range(60) for line in text if line.startswith(f"Paragraph {n} has")
        ]
        assert len(text) == 1 + 60 * 3

    def test_what_happens_during_a_text_stands_above_it(self) -> None:
        screen = Screen()
        view = drawn(
            screen, Text("First block.\n\nSecond bl"), Detection("etcd-1 is gone", ("etcd-1",), "I1")
        )
        view.show(Text("ock.", done=True))

        assert screen.text == ["First block.", "", "● etcd-1 is gone · incident I1", "", "Second block."]

    def test_a_table_without_room_is_read_from_above_to_below(self) -> None:
        event = Table("nodes", ("", ""), (("etcd-1", "healthy"),) * 2)
        wide = Table(
            "nodes", ("name", "role", "words"), (("etcd-1", "leader", "unreachable-by-anybody"),) * 2
        )
        roomy, narrow = Screen(60, 10), Screen(30, 12)
        drawn(roomy, wide)
        drawn(narrow, wide)

        assert roomy.text[1].split() == ["name", "role", "words"]
        assert [line.split() for line in narrow.text if line] == [
            ["nodes"],
            *[["name", "etcd-1"], ["role", "leader"], ["words", "unreachable-by-anybody"]] * 2,
        ]
        drawn(pairs := Screen(40, 8), event)
        assert pairs.text == ["nodes", "etcd-1  healthy", "etcd-1  healthy"]

    @pytest.mark.parametrize("width", [40, 80, 200])
    def test_of_a_drill_nothing_is_cut(self, width: int) -> None:
        row = ("cpu_starvation", "1", "control: silent", "1/1", "1/1", "0.804 s", "0.172 s")
        screen = Screen(width, 40)
        told = "Trial 2 of 3: cpu_starvation on etcd-3: detected after 0.804 s; diagnosed overload: right"
        drawn(screen, Progress(told, 13.0, done=True), Table("Drill, seed 5", FAULT_COLUMNS, (row,) * 4))

        shown = " ".join(" ".join(screen.text).split())
        assert f"{told} · 13 s" in shown
        assert shown.count("0.172 s") == 4
        assert all(word in shown for column in FAULT_COLUMNS for word in column.split())

    def test_what_a_call_did_is_told_once(self) -> None:
        screen = Screen()
        started, ended = (
            CallStarted("a", "load_start", {}),
            CallEnded("a", "load_start", True, "E1", 2.0, "300/s"),
        )
        drawn(screen, started, Progress("The baseline is measured", done=True), ended)

        assert screen.text == ["✓ load_start · 300/s · 2.00 s · E1"]

    def test_when_it_was_known_is_left_out_where_nobody_knows(self) -> None:
        screen = Screen()
        seen = Signal(Source.PROCESS, "exit", "etcd-2", "exited with 137", evidence="E7")
        drawn(screen, Detection("etcd-2 is gone", ("etcd-2",), "I3", None, (seen,)))

        assert screen.text[1].split() == ["who", "knew", "what", "node", "in", "its", "own", "words"]

    def test_a_void_text_is_taken_back(self) -> None:
        screen = Screen()
        drawn(screen, Text("Half a sen"), TextVoid("The stream was cut."), Text("Whole.", done=True))

        assert screen.text == ["The stream was cut.", "", "Whole."]

    def test_a_narrower_window_leaves_no_stray_line_where_lines_are_cut(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XTERM_VERSION", "XTerm(390)")  # pyte cuts lines, as xterm does
        screen, now = Screen(80, 10), [0.0]
        view = TerminalView(screen, size=screen.size, clock=lambda: now[0])
        view.show(Progress("Waiting for detection…", 1, 30))
        screen.resize(50, 10)
        now[0] += 1
        view.show(Progress("Waiting for detection…", 2, 30))
        view.show(Progress("Waiting for detection…", 2, 30, done=True))

        assert screen.text == ["✓ Waiting for detection… · 2.00 s"]

    def test_what_is_typed_ahead_is_drawn_last_and_its_end_is_seen(self) -> None:
        screen, now = Screen(40, 10), [0.0]
        view = drawn(screen, Progress("Waiting", 1, 30), clock=lambda: now[0])
        now[0] += 1
        view.typing("x" * 60 + " the end")

        assert screen.text[-1].startswith(f"{PROMPT} x")
        assert screen.text[-1].endswith(" the end")

    async def test_the_last_frame_is_drawn_though_no_event_comes_any_more(self) -> None:
        screen = Screen()
        view = drawn(screen, Text("one "))
        view.show(Text("two"))

        async with asyncio.timeout(60):
            while screen.text != ["one two"]:
                await asyncio.sleep(0.01)
        await view.aclose()


class TestAside:
    """While somebody else has the terminal, nothing is drawn; afterwards all of it is."""

    async def test_nothing_stands_in_place_and_events_wait(self) -> None:
        screen, told = Screen(), []
        view = drawn(screen, Progress("Waiting", 1, 30))
        view.on_held = lambda: told.append(1)

        with view.aside():
            assert screen.text == []
            view.show(Detection("etcd-1 is gone", ("etcd-1",), "I1"))
            view.show(CallStarted("a", "diagnose", {}))
            assert screen.text == []
        assert len(told) == 2
        async with asyncio.timeout(60):
            while len(shown := [line for line in screen.text if line]) < 2:
                await asyncio.sleep(0.01)
        await view.aclose()
        alarm, call = shown
        assert alarm == "● etcd-1 is gone · incident I1"
        assert call.startswith("● diagnose")

    def test_what_waits_can_be_drawn_above_the_prompt(self) -> None:
        screen = Screen()
        view = TerminalView(screen, size=screen.size)
        with view.aside():
            view.show(Notice("heard"))
            view.draw_held()
            assert screen.text[-1] == "heard"
            view.show(Notice("later"))
            assert screen.text[-1] == "heard"

    def test_a_call_whose_end_nobody_told_is_not_drawn_in_the_next_turn(self) -> None:
        screen = Screen()
        view = drawn(screen, CallStarted("a", "diagnose", {}), Progress("Waiting", 1, 30))
        view.settle()

        assert screen.text == []


HOSTILE = [
    "\x1b[2J\x1b[1;1Hforged",
    "\x1b]52;c;ZXZpbA==\x07forged",
    "\x1b]8;;http://evil\x1b\\forged\x1b]8;;\x1b\\",
    "\x9b2J\x9b1;1Hforged",
    "\rforged",
    "a\x08\x08\x08forged",
    "\u202egnp.forged",
    "[bold red]forged[/bold red] [link=http://evil]x[/link]",
    "forged\n✓ store_kill etcd-1 · 0.01 s · E99",
    "forged\u2028✓ store_kill etcd-1 · 0.01 s · E99",
    "forged\x0b\x0c\x85✓ line",
    "forged " + "x" * 100_000,
    "forged \ud800 surrogate",
    "\x1b[31mforged\x1b[?1049h\x1b[?25l\x1bc\x1b[6n",
]


@pytest.mark.parametrize("text", HOSTILE)
class TestHostile:
    """Nothing that a log, a node's name or the model says moves the cursor or forges a line."""

    def events(self, text: str) -> list[Event]:
        return [
            SessionOpened(text, "claude", text, "0.1.0"),
            CallStarted("a", "read_logs", {"node": text, text: text}),
            CallEnded("a", "read_logs", True, "E1", 0.1, text),
            Progress(text, 1, 30),
            Progress(text, 1, 30, done=True),
            Signal(Source.SELF, text, text, text, evidence=text, seconds=0.1),
            Table("t", ("a", "b"), ((text, text),)),
        ]

    async def test_a_line_stays_one_line(self, text: str) -> None:
        for event in self.events(text)[2:3]:
            lines = await seen(event, columns=100)
            assert len(lines) == 1
            assert lines[0].startswith("✓ read_logs")
            assert lines[0].endswith("· 0.10 s · E1")

    async def test_only_our_own_sequences_reach_the_terminal(self, text: str) -> None:
        screen = Screen(80, 24)
        kinds = [*self.events(text), Notice(text), Failed(text), Detection(text, (text,), text, 0.1, SIGNALS)]
        kinds += [Diagnosed({**DIAGNOSIS, "observation": text, "node": text}), Text(text, done=True)]
        await drawn(screen, *kinds, signals=True).aclose()

        written = screen.written
        for sequence in (
            "\x1b]",
            "\x1b[1;1H",
            "\x1b[2J",
            "\x9b",
            "\x1bc",
            "\x1b[?1049h",
            "\x1b[6n",
            "\x08",
            "\u202e",
        ):
            assert sequence not in written
        assert "forged" in "".join(screen.text)

    async def test_markup_is_shown_not_obeyed(self, text: str) -> None:
        if text.startswith("[bold"):
            assert "[bold red]forged[/bold red]" in "\n".join(await seen(Notice(text), columns=100))


async def test_an_escape_cut_between_two_pieces_of_a_stream_is_harmless() -> None:
    screen = Screen()
    await drawn(
        screen, *(Text(piece) for piece in "a\x1b]52;c;ZXZpbA==\x07 \x1b[2Jb"), Text("", done=True)
    ).aclose()

    assert "\x1b]" not in screen.written
    assert "\x1b[2J" not in screen.written


class TestWithoutEscapes:
    """Where the terminal is dumb or nobody wants colours, nothing but text is written."""

    async def test_not_one_escape_sequence(self) -> None:
        screen = Screen(80, 24)
        await drawn(screen, *EVERYTHING, animated=False).aclose()

        assert "\x1b" not in screen.written
        assert "\r" not in screen.written
        assert "Waiting for detection" in screen.written

    async def test_a_countdown_is_told_once_and_at_its_end(self) -> None:
        ticks = [Progress("Waiting for detection…", n, 30) for n in range(10)]

        lines = await seen(*ticks, Progress("Waiting for detection…", 9.5, 30, done=True), animated=False)

        assert lines == ["Waiting for detection…", "✓ Waiting for detection… · 9.50 s"]


async def test_the_table_of_a_watch_stands_at_its_end_and_the_prompt_comes_on_a_line_of_its_own() -> None:
    screen = Screen(80, 24)
    rows = tuple(NodeRow(f"etcd-{n}", "up", "follower", 0, None) for n in (1, 2))
    await drawn(screen, NodesSeen("etcd", "degraded", rows), Notice("Watched etcd for 5 s.")).aclose()

    assert screen.written.removesuffix("\x1b[?2026l").endswith("\n")
    assert [line.split()[0] for line in screen.text if line.startswith("etcd-")] == ["etcd-1", "etcd-2"]


async def test_a_terminal_that_went_away_is_written_to_no_more_and_stops_nobody() -> None:
    class Gone(Screen):
        tried = 0

        def write(self, text: str) -> int:
            self.tried += 1
            raise OSError(5, "Input/output error")

    screen = Gone()
    await drawn(screen, *EVERYTHING).aclose()

    assert screen.tried == 1


async def test_only_basic_colours_are_used() -> None:
    screen = Screen(100, 24)
    await drawn(screen, *EVERYTHING).aclose()

    codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", screen.written) for code in found.split(";")}
    assert codes <= {"0", "", "1", "2", "4", "9", *(str(n) for n in range(31, 37))}


def test_frames_are_erased_line_by_line() -> None:
    """tmux copies into its history what is erased from the first cell of the screen to its end."""
    screen = Screen()
    view = TerminalView(screen, size=screen.size)
    for n in range(3):
        view.show(Progress("Waiting", float(n), 30))
        view.show(Notice(f"notice {n}"))

    assert "\x1b[2K" in screen.written
    assert "\x1b[J" not in screen.written


COUNTING = """
import asyncio, itertools, sys
from pathlib import Path
from agent.running import run
from agent.setup import Setup
from tools.events import Progress
async def body(view):
    for n in itertools.count(1):
        view.show(Progress("Waiting for the detection", n / 10, 9_999.0))
        await asyncio.sleep(0.1)
        if Path(sys.argv[1]).exists():
            return {"ok": True}
run(Setup(), body)
input("Over")
"""


def test_what_is_typed_while_a_command_runs_leaves_no_stray_line(tmp_path: Path) -> None:
    person = Person(["-c", COUNTING, str(tmp_path / "enough")])
    try:
        person.sees("Waiting for the detection 1s")
        person.type("a\r\r\r")
        person.sees("Waiting for the detection 3s")

        assert person.text.count("Waiting") == 1
        assert person.lines == [line for line in person.lines if line.startswith("Waiting")]
        (tmp_path / "enough").touch()
        person.sees("Over")
        assert person.echoes
    finally:
        person.close()
