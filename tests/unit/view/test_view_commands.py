"""Slash commands work without the model; what is entered and answered is read as it was meant."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from agent.chat import slash_commands
from agent.chat.asking import read_answer
from agent.chat.keyboard import Handlers, Keyboard
from agent.chat.prompt import kept_history, status_words
from agent.events import Text
from agent.mode import Mode
from agent.models.base import Message
from agent.sessions.export import as_markdown, fenced
from agent.sessions.session import Status
from agent.view.records import in_words, tables
from agent.view.words import seconds
from tests.standins.quiet_view import QuietView
from tests.standins.scripted_session import ScriptedSession
from tools.errors import NoCluster, ToolError
from tools.events import Failed, Notice, Table
from tools.observe.ledger import Ledger


class Kept(QuietView):
    """A view that keeps what it is shown."""

    @property
    def told(self) -> str:
        return "\n".join(str(event) for event in self.events)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def talk(kept: Kept, tmp_path: Path) -> ScriptedSession:
    async def nobody(*_: object) -> NoReturn:
        raise AssertionError("nobody is asked")

    return ScriptedSession(kept.show, nobody, tmp_path)


EXPECTED = {
    "help", "status", "tools", "mode", "model", "show", "evidence", "timeline", "incidents", "cost",
    "compact", "resume", "export", "clear", "restore", "quit",
}  # fmt: skip


class TestCommands:
    """Each does its part, and says what is wrong otherwise."""

    async def test_help_names_every_command_with_a_sentence(self, kept: Kept) -> None:
        await slash_commands.run("/help", None, kept)

        (table,) = kept.events
        assert isinstance(table, Table)
        listed = {row[0].removeprefix("/"): row[1] for row in table.rows if row[0].startswith("/")}
        assert set(listed) == EXPECTED
        assert all(about.endswith(".") for about in listed.values())

    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            ("/clear", "A new conversation"),
            ("/compact", "nothing to gain"),
            ("/cost", "12,300 of 200,000 tokens"),
            ("/evidence", "etcd-2"),
            ("/export {file}", "Written to"),
            ("/help", "/status"),
            ("/incidents", "no incident_list here"),
            ("/mode", "Mode: ask"),
            ("/model", "claude-opus-5-5"),
            ("/resume", "the last session"),
            ("/show E1", "raft: stopped"),
            ("/status", "state healthy"),
            ("/timeline", "no timeline here"),
            ("/tools", "Kills a store"),
        ],
    )
    async def test_each_shows_what_it_is_for(
        self, line: str, shown: str, talk: ScriptedSession, kept: Kept, tmp_path: Path
    ) -> None:
        await slash_commands.run(line.format(file=tmp_path / "x.md"), talk, kept)

        assert shown in kept.told

    async def test_quit(self, kept: Kept) -> None:
        with pytest.raises(slash_commands.Quit):
            await slash_commands.run("/quit", None, kept)

    async def test_what_cannot_be_restored_is_raised_with_its_reason(
        self, talk: ScriptedSession, kept: Kept
    ) -> None:
        with pytest.raises(NoCluster):
            await slash_commands.run("/restore", talk, kept)

    async def test_show_prints_the_evidence_whole_and_as_it_was(
        self, talk: ScriptedSession, kept: Kept
    ) -> None:
        long = "line with ``` and ~~~ and **stars**\n" * 2_000
        item = talk.ledger.add("read_logs", long)
        await slash_commands.run(f"/show {item.id.lower()}", talk, kept)

        shown = kept.events[-1]
        assert isinstance(shown, Text)
        assert item.text in shown.text
        assert shown.text.startswith("````\n")

    @pytest.mark.parametrize("line", ["/show", "/show E99", "/mode fast", "/nothing", "/timeline"])
    async def test_what_is_wrong_is_one_line(self, line: str, talk: ScriptedSession, kept: Kept) -> None:
        await slash_commands.run(line, talk, kept)

        (event,) = kept.events
        assert isinstance(event, Failed)

    async def test_mode_and_model_change_and_are_told(self, talk: ScriptedSession, kept: Kept) -> None:
        await slash_commands.run("/mode auto", talk, kept)
        await slash_commands.run("/model claude-haiku-5", talk, kept)

        assert talk.mode is Mode.AUTO
        assert talk.model == "claude-haiku-5"
        assert "Mode: auto" in kept.told

    async def test_without_a_session_a_command_says_so(self, kept: Kept) -> None:
        await slash_commands.run("/status", None, kept)

        assert "needs the session" in kept.told

    async def test_export_writes_once_and_never_over_a_file(
        self, talk: ScriptedSession, kept: Kept, tmp_path: Path
    ) -> None:
        path = tmp_path / "talk.md"
        await talk.ask("say **this**")
        await slash_commands.run(f"/export {path}", talk, kept)
        assert "say **this**" in path.read_text()

        with pytest.raises(ToolError, match="exists already"):
            await slash_commands.run(f"/export {path}", talk, kept)
        with pytest.raises(ToolError, match="cannot be written"):
            await slash_commands.run(f"/export {tmp_path / 'no' / 'x.md'}", talk, kept)

    def test_completion_offers_names_then_values(self, talk: ScriptedSession) -> None:
        names = [name for name, _ in slash_commands.completions("/", talk)]

        assert {f"/{name}" for name in EXPECTED} == set(names)
        assert [value for value, _ in slash_commands.completions("/show ", talk)] == ["E1"]
        assert [value for value, _ in slash_commands.completions("/mode a", talk)] == list(Mode)
        assert list(slash_commands.completions("/show ", None)) == []


class TestExport:
    """The conversation as Markdown, whole and closed."""

    def test_words_calls_and_results_are_in_order(self) -> None:
        ledger = Ledger()
        ledger.add("store_kill", "gone", node="etcd-2")
        messages = [
            Message("user", ({"type": "text", "text": "kill a store"},)),
            Message("assistant", (
                {"type": "thinking", "thinking": "A note\nof mine.", "signature": "s"},
                {"type": "text", "text": "I do."},
                {"type": "tool_use", "id": "1", "name": "store_kill", "input": {"node": "etcd-2"}},
            )),
            Message("user", ({"type": "tool_result", "tool_use_id": "1", "content": "[E1] ```\x1b[2J"},)),
            Message("system", ({"type": "text", "text": "host"},)),
        ]  # fmt: skip
        text = as_markdown("s1", messages, ledger)

        order = [
            "# operator, session s1",
            "## kill a store",
            "*A note of mine.*",
            "I do.",
            '`store_kill {"node": "etcd-2"}`',
            "[E1]",
        ]
        assert sorted(order, key=text.index) == order
        assert "hidden" not in text
        assert "\x1b" not in text
        assert "- **E1** store_kill (etcd-2)" in text

    def test_nothing_inside_closes_a_fence(self) -> None:
        text = fenced("a\n```\nb\n`````\nc")

        assert text.splitlines()[0] == text.splitlines()[-1] == "`" * 6


@pytest.mark.parametrize(
    ("said", "choice", "reason"),
    [
        ("y", "once", ""), ("YES", "once", ""), ("a", "session", ""), ("always", "session", ""),
        ("n", "no", ""), ("no, too risky", "no", "too risky"), ("n wait", "no", "wait"),
        ("yes but only etcd-3", "no", "yes but only etcd-3"), ("nothing doing", "no", "nothing doing"),
        ("look at the logs first", "no", "look at the logs first"),
    ],
)  # fmt: skip
def test_only_an_unmistakable_yes_is_one(said: str, choice: str, reason: str) -> None:
    answer = read_answer(said)

    assert (answer.choice, answer.reason) == (choice, reason)


class TestKeyboard:
    """Keys pressed while a turn runs."""

    def pressed(self, *keys: Keys | str) -> tuple[Keyboard, list[str]]:
        heard: list[str] = []
        keyboard = Keyboard(
            Handlers(lambda _: None, heard.append, lambda: heard.append("^C"), lambda: heard.append("mode"))
        )
        keyboard.take([KeyPress(key, key if isinstance(key, str) else "") for key in keys])
        return keyboard, heard

    def test_a_line_is_handed_over_with_enter_and_the_rest_kept(self) -> None:
        keyboard, heard = self.pressed(*"one", Keys.ControlM, *"two")

        assert (heard, keyboard.draft) == (["one"], "two")

    def test_editing(self) -> None:
        assert self.pressed(*"abx", Keys.Backspace)[0].draft == "ab"
        assert self.pressed(*"a b", Keys.ControlW)[0].draft == "a"
        assert self.pressed(*"a b", Keys.ControlU)[0].draft == ""

    def test_many_lines(self) -> None:
        assert self.pressed(*"a\\", Keys.ControlM, *"b", Keys.ControlM)[1] == ["a\nb"]
        assert self.pressed("a", Keys.Escape, Keys.ControlM, "b", Keys.ControlM)[1] == ["a\nb"]

    def test_keys_without_a_meaning_do_nothing(self) -> None:
        keyboard, heard = self.pressed(Keys.F5, Keys.Up, Keys.ControlL, Keys.ControlM, Keys.ControlM)

        assert (heard, keyboard.draft) == ([], "")

    def test_ctrl_c_shift_tab_and_ctrl_d(self) -> None:
        assert self.pressed(Keys.ControlC, Keys.BackTab, Keys.ControlD)[1] == ["^C", "mode", "/quit"]
        assert self.pressed("a", Keys.ControlD)[1] == []


class TestStatusLine:
    """What matters most is said at any width."""

    STATUS = Status("claude", "claude-opus-5-5", Mode.ASK, 12_300, 200_000, 45_600, 0.123, "etcd × process")

    def test_everything_where_there_is_room(self) -> None:
        assert status_words(self.STATUS, 100) == (
            " claude-opus-5-5 · ask · context 6 % · $0.12 · 45.6k tokens · etcd × process"
        )

    @pytest.mark.parametrize("columns", [5, 20, 40, 60])
    def test_it_is_never_wider_than_the_window(self, columns: int) -> None:
        assert len(status_words(self.STATUS, columns)) <= columns

    def test_who_answers_stays_longest(self) -> None:
        assert status_words(self.STATUS, 25) == " claude-opus-5-5 · ask"

    def test_an_open_fault_is_said_first(self) -> None:
        assert status_words(replace(self.STATUS, open_faults=2), 25) == " 2 faults open: /restore"

    def test_what_is_not_known_is_not_said(self) -> None:
        status = Status("playbook", None, Mode.READ_ONLY)

        assert status_words(status, 80) == " offline mode · read-only"


def test_any_result_becomes_a_notice_and_tables() -> None:
    data = {
        "ok": True, "state": "healthy", "leader": None, "problems": [], "took_s": 0.123456,
        "nodes": [{"name": "etcd-1", "lag": None, "up": True}, {"name": "etcd-2\n\x1b[2J", "lag": 3}],
    }  # fmt: skip

    notice, table = tables(data)

    assert notice == Notice("state healthy · took s 0.1235")
    assert isinstance(table, Table)
    assert table.columns == ("name", "up", "lag")
    assert table.rows == (("etcd-1", "yes", ""), ("etcd-2", "", "3"))


def test_what_peers_say_and_when_something_was_is_told_in_few_words() -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    peers = {"etcd-2": True, "etcd-3": True}
    (table,) = tables(
        {"nodes": [{"peers": peers, "at": now, "n": 0}, {"peers": {**peers, "etcd-3": False}}]}, ["n"]
    )

    assert isinstance(table, Table)
    assert table.columns == ("peers", "at")
    assert [row[0] for row in table.rows] == ["all", "not etcd-3"]
    assert re.fullmatch(r"\d\d:\d\d:\d\d|\d\d \w{3} \d\d:\d\d", table.rows[0][1])


def test_a_result_in_json_is_told_in_words_and_zero_has_no_sign() -> None:
    text = '{"state":"healthy","ok":true,"lag_ms":-0.0,"nodes":["a","b"]}'

    assert in_words(text) == "state healthy · lag ms 0 · nodes a, b"
    assert in_words('{"ok":true,"incident":{"id":"I1","state":"open","nodes":["a"],"t…') == (
        "incident id I1 · state open · nodes a · t…"
    )
    assert in_words("process 41 has ended") == "process 41 has ended"


def test_a_field_of_a_single_piece_of_evidence_is_shown_whole() -> None:
    (said,) = tables({"prediction": "one word after another, " * 20, "problems": []})

    assert isinstance(said, Notice)
    assert said.text == f"prediction {'one word after another, ' * 20}".strip()


def test_a_span_is_told_with_less_than_sixty_seconds_in_a_minute() -> None:
    assert [seconds(value) for value in (None, 5, 59.6, 179.6, 3_723)] == [
        "",
        "5.00 s",
        "60 s",
        "3 min 0 s",
        "62 min 3 s",
    ]


def test_a_history_that_cannot_be_kept_keeps_nobody_from_asking(tmp_path: Path) -> None:
    kept = kept_history(tmp_path / "history")
    (tmp_path / "history").unlink()
    (tmp_path / "history").mkdir()

    kept.append_string("What broke?")
    assert list(kept.load_history_strings()) == []
