"""The chat in a real pseudo-terminal, over a scripted session, for each thing a person may do."""

import os
import re
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.standins.person import ALT_ENTER, BACKSPACE, CTRL_C, CTRL_D, CTRL_R, SHIFT_TAB, TAB, Person

Start = Callable[..., Person]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    people: list[Person] = []

    def open_window(*, ready: bool = True, **settings: Any) -> Person:
        person = Person(["-m", "tests.standins.scripted_session", str(tmp_path)], **settings)
        people.append(person)
        if ready:
            person.sees("session 20251122-scripted", "\u203a")
        return person

    yield open_window
    for person in people:
        person.close()


def prompts(person: Person) -> int:
    return sum(line.startswith("\u203a") for line in person.lines)


def reads(person: Person, text: str, count: int) -> Callable[[], bool]:
    """Whether the screen has the text so often."""
    return lambda: person.text.count(text) == count


class TestTyping:
    """What is entered reaches the session as it was meant."""

    def test_a_line_is_answered_and_the_prompt_comes_back(self, start: Start) -> None:
        person = start()
        person.enter("say # Title\\n\\nAn **answer** for you")
        person.sees("Title", "An answer for you")
        person.waits(lambda: prompts(person) == 2, "second prompt")

        assert "**" not in person.text.split("Title")[-1]
        assert "\x1b[?1049h" not in person.raw, "no alternate screen"
        assert "\x1b[?47h" not in person.raw

    def test_a_backslash_at_the_end_and_alt_enter_make_a_new_line(self, start: Start) -> None:
        person = start()
        person.enter("first\\")
        person.enter("second")
        person.sees("You said: first second")
        person.type("third" + ALT_ENTER)
        person.enter("fourth")

        person.sees("You said: third fourth")

    def test_a_paste_of_many_lines_is_one_request(self, start: Start) -> None:
        person = start()
        person.type("\x1b[200~say pasted\nline two\n\nline three\x1b[201~")
        person.sees("line three")
        assert prompts(person) == 1
        person.enter("")

        person.sees("pasted line two")
        person.waits(lambda: prompts(person) == 2, "second prompt")

    def test_a_paste_of_ten_thousand_lines_is_one_request_too(self, start: Start) -> None:
        person = start()
        pasted = "\n".join(f"line {n}" for n in range(10_000))
        person.type(f"\x1b[200~say pasted\n{pasted}\nlast of all\x1b[201~")
        person.sees("last of all")
        person.enter("")

        person.sees("line 9999 last of all")

    def test_what_was_entered_is_found_again_the_next_day(self, start: Start, tmp_path: Path) -> None:
        person = start()
        person.enter("an unusual request")
        person.sees("You said: an unusual request")
        person.type(CTRL_D)
        assert person.leaves() == 0

        person = start()
        person.type(CTRL_R + "unusual")
        person.sees("an unusual request")
        person.enter("")
        person.enter("")
        person.sees("You said: an unusual request")

        assert stat.S_IMODE((tmp_path / "history").stat().st_mode) == 0o600

    def test_lines_entered_before_the_session_is_open_wait_for_it(self, start: Start) -> None:
        person = start(ready=False, environ={"TALK_OPENS_IN": "1.5"})
        person.sees("\u203a", "starting")
        person.enter("patient")

        person.sees("You said: patient")

    def test_wide_characters(self, start: Start) -> None:
        person = start(columns=40)
        person.enter("日本語のお願い、とても長い行が折り返されるところまで続く文章です")

        person.sees("You said:")
        person.waits(lambda: prompts(person) == 2, "second prompt")

    def test_no_key_is_lost_however_fast_they_come(self, start: Start) -> None:
        person = start()
        person.type("".join(f"say number {n}\r" for n in range(20)) + "/quit\r")

        assert person.leaves() == 0
        assert (
            len(set(re.findall(r"(?:queued: say|^say|\u203a say|^) ?(number \d+)$", person.text, re.M))) == 20
        )


class TestCompletion:
    """Tab completes commands, their arguments and the names of nodes."""

    def test_commands_evidence_and_nodes(self, start: Start) -> None:
        person = start()
        person.type("/sho")
        person.sees("/show", "Show one piece of evidence whole")
        person.type(TAB)
        person.enter(" E1")
        person.sees("raft: stopped", "line two")
        person.type("/show ")
        person.waits(lambda: any(line.strip() == "E1" for line in person.lines), "offered id")
        person.type(TAB)
        person.waits(lambda: person.text.count("/show E1") == 2, "completed line")
        person.type(CTRL_C)
        person.waits(lambda: person.text.count("/show E1") == 1, "cleared line")
        person.type("kill etcd-")
        person.type(TAB)

        person.sees("etcd-1", "etcd-2", "etcd-3")


class TestLeaving:
    """Ctrl-D leaves; Ctrl-C clears the line, then warns, then leaves. The terminal is left as it was."""

    def test_ctrl_c_clears_then_warns_then_leaves(self, start: Start) -> None:
        person = start()
        person.type("half a line")
        person.sees("half a line")
        person.type(CTRL_C)
        person.waits(lambda: "half a line" not in person.text, "cleared line")
        person.type(CTRL_C)
        person.sees("Ctrl-C again")
        person.type(CTRL_C)

        assert person.leaves() == 0

    def test_typing_after_the_warning_stays(self, start: Start) -> None:
        person = start()
        person.type(CTRL_C)
        person.sees("Ctrl-C again")
        person.type("x" + BACKSPACE)
        person.waits(lambda: "Ctrl-C again" not in person.text, "warning gone")
        person.type(CTRL_C)
        person.sees("Ctrl-C again")
        person.enter("still here")

        person.sees("You said: still here")

    def test_ctrl_d_while_a_turn_runs_leaves_at_its_end(self, start: Start) -> None:
        person = start()
        person.enter("tool")
        person.sees("● wait_for_detection")
        person.type(CTRL_D)
        person.sees("queued: /quit")
        person.type(CTRL_C)

        assert person.leaves() == 0

    @pytest.mark.parametrize("typed", ["/exit", "exit", "quit"])
    def test_the_command(self, start: Start, typed: str) -> None:
        person = start()
        person.enter(typed)

        assert person.leaves() == 0

    def test_the_terminal_echoes_again_while_a_shell_has_it(self, start: Start) -> None:
        person = start()
        person.enter("say hello")
        person.sees("\nhello")
        person.type(CTRL_D)
        person.sees("left with 0")

        assert person.echoes


class TestInterrupting:
    """Ctrl-C at every state; the prompt comes back, and what was done is told."""

    def test_while_text_streams(self, start: Start) -> None:
        person = start()
        person.enter("slow")
        person.sees("word10")
        person.type(CTRL_C)

        person.sees("heard []", "Interrupted.")
        # Nothing came of it: the request is given back.
        person.waits(lambda: person.lines.count("\u203a slow") == 2, "request")
        assert prompts(person) == 2

    def test_while_a_call_runs_the_first_asks_it_to_stop(self, start: Start) -> None:
        person = start()
        person.enter("tool")
        person.sees("● wait_for_detection")
        person.type(CTRL_C)

        person.sees("stopped after 1", "Interrupted.")
        person.waits(lambda: prompts(person) == 2, "second prompt")
        assert "● wait_for_detection" not in person.text

    def test_the_second_abandons_it_and_the_person_is_told_of_it(self, start: Start) -> None:
        person = start()
        person.enter("hang")
        person.sees("● wait_for_detection")
        person.type(CTRL_C)
        person.sees("Ctrl-C again abandons what runs")
        person.type(CTRL_C)

        person.sees("stopped after 2")

    def test_nothing_can_keep_the_prompt_away(self, start: Start) -> None:
        person = start()
        person.enter("deaf")
        person.sees("● wait_for_detection")
        for _ in range(3):
            person.type(CTRL_C)
        person.sees("Abandoned. Check the state with /status before acting.")
        person.enter("say I am back")

        person.sees("\nI am back")
        assert "● wait_for_detection" not in person.text

    def test_a_signal_from_outside_is_the_same(self, start: Start) -> None:
        person = start()
        person.enter("tool")
        person.sees("● wait_for_detection")
        os.kill(person.pid, signal.SIGINT)

        person.sees("stopped after 1")

    def test_while_the_session_opens(self, start: Start) -> None:
        person = start(ready=False, environ={"TALK_OPENS_IN": "60"})
        person.sees("\u203a")
        person.enter("patient")
        person.waits(lambda: "starting" not in person.text, "turn")
        person.type(CTRL_C)
        person.sees("Abandoned")
        person.type(CTRL_D)

        assert person.leaves() == 0


class TestTypingAhead:
    """What is typed while a turn runs is seen, kept and delivered."""

    def test_a_line_reaches_the_model_at_its_next_safe_point(self, start: Start) -> None:
        person = start()
        person.enter("slow")
        person.sees("word5")
        person.type("look at etcd-1")
        person.sees("\u203a look at etcd-1")
        person.enter("")
        person.sees("queued: look at etcd-1")
        person.type(CTRL_C)

        person.sees("heard ['look at etcd-1']")

    def test_an_unfinished_line_is_at_the_next_prompt(self, start: Start) -> None:
        person = start()
        person.enter("tool")
        person.sees("● wait_for_detection")
        person.type("say unfinishex" + BACKSPACE + "d")
        person.sees("\u203a say unfinished")
        person.type(CTRL_C)
        person.sees("Interrupted.", "\u203a say unfinished", "· ask ·")
        person.enter("")

        person.sees("\nunfinished")

    def test_what_came_too_late_is_the_next_request(self, start: Start) -> None:
        person = start()
        person.enter("late")
        person.waits(lambda: " · ask" not in person.text, "turn")
        person.enter("say never lost")

        person.sees("\u203a say never lost", "\nnever lost")

    def test_who_interrupts_gets_back_what_was_not_heard_yet(self, start: Start) -> None:
        person = start()
        person.enter("tool")
        person.sees("● wait_for_detection")
        person.enter("say something else")
        person.sees("queued: say something else")
        person.type(CTRL_C)

        person.sees("Interrupted.", "\u203a say something else", "· ask ·")

    def test_a_command_waits_for_the_end_of_the_turn(self, start: Start) -> None:
        person = start()
        person.enter("tool")
        person.sees("● wait_for_detection")
        person.enter("/mode")
        person.sees("queued: /mode")
        person.type(CTRL_C)

        person.sees("Mode: ask")

    def test_a_paste_of_many_lines_is_one_message(self, start: Start) -> None:
        person = start()
        person.enter("slow")
        person.sees("word5")
        person.type("\x1b[200~one\ntwo\x1b[201~")
        person.enter("")
        person.type(CTRL_C)

        person.sees(r"heard ['one\ntwo']")


class TestPermission:
    """What acts asks: once, for the session, or no and why."""

    QUESTION = "store_kill etcd-2 (disrupts) – run it?"

    def test_yes_runs_it_once_and_asks_again(self, start: Start) -> None:
        person = start(columns=120)
        for count in (1, 2):
            person.enter("kill etcd-2")
            person.waits(reads(person, self.QUESTION, count), "question")
            person.enter("y")
            person.waits(reads(person, "✓ store_kill etcd-2", count), "call")

    def test_always_asks_no_more(self, start: Start) -> None:
        person = start(columns=120)
        person.enter("kill etcd-2")
        person.sees(self.QUESTION)
        person.enter("a")
        person.sees("✓ store_kill etcd-2")
        person.enter("kill etcd-2")
        person.waits(lambda: person.text.count("✓ store_kill etcd-2") == 2, "second call")

        assert person.text.count(self.QUESTION) == 1

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ("no, the load is on", "the person said no: the load is on"),
            ("use etcd-3 instead", "the person said no: use etcd-3 instead"),
        ],
    )
    def test_no_and_why(self, start: Start, answer: str, told: str) -> None:
        person = start(columns=120)
        person.enter("kill etcd-2")
        person.sees(self.QUESTION)
        person.enter(answer)

        person.sees(f"Not run: {told}")
        assert "✓ store_kill" not in person.text

    def test_what_was_typed_before_the_question_is_no_answer_to_it(self, start: Start) -> None:
        person = start(columns=120)
        person.type("kill etcd-2\ry\r")
        person.sees(self.QUESTION)
        person.enter("no, the load is on")

        person.sees("Not run: the person said no: the load is on")
        assert "✓ store_kill" not in person.text

    def test_node_prediction_and_undo_come_before_the_question(self, start: Start) -> None:
        person = start(columns=120)
        person.enter("kill etcd-2")
        person.sees(self.QUESTION)

        before, _, _ = person.text.partition(self.QUESTION)
        assert "kill of etcd-2" in before
        assert "Predicted: 2 of 3 voters stay." in before
        assert "Undo: start it again" in before

    def test_a_command_is_no_answer(self, start: Start) -> None:
        person = start(columns=120)
        person.enter("kill etcd-2")
        person.sees(self.QUESTION)
        person.enter("/status")
        person.waits(lambda: person.text.count(self.QUESTION) == 2, "second question")
        person.enter("n")

        person.sees("Not run: the person said no")
        assert "said no: /status" not in person.text

    def test_leaving_the_question_is_a_no(self, start: Start) -> None:
        person = start(columns=120)
        for count, key in enumerate((CTRL_C, CTRL_D), start=1):
            person.enter("kill etcd-2")
            person.waits(reads(person, self.QUESTION, count), "question")
            person.type(key)
            person.waits(reads(person, "Not run: the person said no", count), "no")

    def test_an_empty_answer_asks_again(self, start: Start) -> None:
        person = start(columns=120)
        person.enter("kill etcd-2")
        person.sees(self.QUESTION)
        person.enter("")
        person.waits(lambda: person.text.count(self.QUESTION) == 2, "second question")
        person.enter("y")

        person.sees("✓ store_kill etcd-2")

    def test_at_forty_columns(self, start: Start) -> None:
        person = start(columns=40)
        person.enter("kill etcd-2")
        person.waits(lambda: "[n]o, and why" in person.text.replace("\n", ""), "question")
        person.enter("y")

        person.sees("✓ store_kill etcd-2")


class TestModes:
    """Shift-Tab goes through the modes, at the prompt and while a turn runs."""

    def test_at_the_prompt(self, start: Start) -> None:
        person = start()
        person.sees("· ask ·")
        person.type(SHIFT_TAB)
        person.sees("· auto ·")
        person.type(SHIFT_TAB)
        person.sees("· read-only ·")
        person.enter("kill etcd-2")

        person.sees("the session is read-only")

    def test_while_a_turn_runs(self, start: Start) -> None:
        person = start()
        person.enter("tool")
        person.sees("● wait_for_detection")
        person.type(SHIFT_TAB)

        person.sees("Mode: auto")


class TestWhatHappensMeanwhile:
    """Alarms are drawn above the prompt, and errors end no conversation."""

    def test_an_alarm_is_drawn_above_the_prompt_and_the_line_is_kept(self, start: Start) -> None:
        person = start()
        person.enter("alarm")
        person.sees("You said: alarm")
        person.waits(lambda: prompts(person) == 2, "second prompt")
        person.type("say kept")
        person.sees("● etcd-3 is gone · incident I1")
        person.waits(
            lambda: person.lines.index("● etcd-3 is gone · incident I1") < _last_prompt(person), "order"
        )
        person.enter("")

        person.sees("\nkept")

    def test_an_error_is_one_line_and_the_chat_goes_on(self, start: Start) -> None:
        person = start(columns=120)
        for request, told in (
            ("bug", "A bug in operator: KeyError: 'nobody expected this'. The chat goes on."),
            ("down", "The service is overloaded; try later."),
            ("/restore", "No cluster is running. Start one with cluster_start."),
            ("/nonsense", "There is no command /nonsense."),
        ):
            person.enter(request)
            person.sees(told)
        person.enter("say going on")

        person.sees("\ngoing on")
        assert "Traceback" not in person.text

    def test_a_session_that_cannot_be_opened_is_told_and_tried_again(self, start: Start) -> None:
        person = start(ready=False, environ={"TALK_FAILS": "No key is set."})
        person.sees("no session")
        person.enter("hello")
        person.sees("No key is set.")
        person.enter("/help")
        person.sees("/evidence")
        person.enter("/status")
        person.sees("/status needs the session")
        person.type(CTRL_D)

        assert person.leaves() == 0


class TestTerminals:
    """Narrow, wide, dumb, colourless and resized terminals."""

    def test_a_narrow_one(self, start: Start) -> None:
        person = start(columns=40)
        person.enter("/help")
        person.sees("/evidence")
        person.enter("/status")
        person.sees("etcd-1", "etcd-3")

        assert max(len(line) for line in person.lines) <= 40

    def test_a_resize_while_a_call_runs_leaves_one_line_of_it(self, start: Start) -> None:
        # The screen in memory cuts lines that are too long, as xterm does.
        person = start(columns=100, environ={"XTERM_VERSION": "XTerm(390)"})
        person.enter("tool")
        person.sees("● wait_for_detection")
        person.resize(60, 24)
        person.type("x")
        person.sees("\u203a x")
        person.type(CTRL_C)

        person.sees("stopped after 1")
        assert person.text.count("● wait_for_detection") == 0

    def test_no_colour_where_none_is_wanted(self, start: Start) -> None:
        person = start(environ={"NO_COLOR": "1"})
        person.enter("say **bold** words")
        person.sees("bold words")

        assert not re.search(r"\x1b\[[\d;]*3[0-7]m", person.raw)

    @pytest.mark.parametrize("term", ["dumb", ""])
    def test_a_dumb_terminal_gets_no_escape_sequence(self, start: Start, term: str) -> None:
        person = start(ready=False, environ={"TERM": term})
        person.sees("\u203a")
        person.enter("say **bold** words")
        person.sees("\nbold words")
        person.enter("kill etcd-2")
        person.sees("run it?")
        person.enter("y")
        person.sees("✓ store_kill etcd-2")

        assert "\x1b" not in person.raw


def _last_prompt(person: Person) -> int:
    return max(n for n, line in enumerate(person.lines) if line.startswith("\u203a"))
