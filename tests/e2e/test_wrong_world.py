"""Wrong input and a wrong world: one clear line, the right exit code, no traceback."""

import asyncio
import contextlib
import os
import re
import shlex
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.running import run
from agent.setup import Setup
from agent.view.base import View
from tests.e2e.programs import OPERATOR, operator


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--subject", "oracle"), 2, "'oracle' is not one of"),
        (("demo", "chaos", "--fault", "meteor"), 2, "The faults are: kill, pause"),
        (("demo", "chaos", "--timeout", "0"), 2, "--timeout"),
        (("demo", "chaos", "--compose-file", "nowhere/compose.yaml"), 1, "nowhere/compose.yaml is not there"),
        (("-p", " "), 2, "The prompt is empty"),
        ((), 2, "This is no terminal"),
        (("-p", "status", "--model", "opus"), 1, "ANTHROPIC_API_KEY"),
        (("replay", "nowhere.jsonl"), 1, "nowhere.jsonl"),
        (("incidents", "show", "nothing"), 1, "There is no incident 'nothing'"),
        (("sessions", "show", "nothing"), 1, "nothing"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
async def test_is_told_in_a_line(tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    ran = await operator(tmp_path, *words)

    assert ran.code == code, ran.err
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--target", "etcd-9"), 2, "etcd-1, etcd-2, etcd-3, random, leader, follower."),
        (("--fault", "quorum_loss"), 1, "--allow-quorum-loss"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
async def test_a_demo_that_cannot_be_is_refused_before_a_cluster_is_started(
    tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = await operator(tmp_path, "demo", "chaos", "--no-pause", "--offline", "--subject", "etcd", *words)

    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert list((tmp_path / "clusters").iterdir()) == []


@pytest.mark.parametrize(
    ("shell", "code", "said"),
    [
        (r"printf 'how\0 is it \377\033[2J?' | {} --offline -p -", 0, ""),
        ("{} --offline -p - < /dev/zero", 2, "The prompt has more than 4,000,000 characters"),
        ("ulimit -n 24; {} deploy up", 1, "Too many files are open"),
        ("ulimit -n 64; {} --offline -p help", 0, ""),
    ],
    ids=["bytes that are no text", "text without an end", "24 files", "64 files"],
)
async def test_what_the_caller_left_is_told_or_done_without(
    tmp_path: Path, shell: str, code: int, said: str
) -> None:
    words = shell.format(shlex.join([*OPERATOR, "--state-dir", str(tmp_path)]))
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()

    assert process.returncode == code, err
    assert said.encode() in err
    assert b"Traceback" not in err
    assert b"\x1b" not in out + err


async def test_a_config_file_that_cannot_be_used_keeps_nothing_from_being_healed(tmp_path: Path) -> None:
    """A folder stands in its place."""
    ran = await operator(tmp_path, "restore", env={"OPERATOR_CONFIG": str(tmp_path)})

    assert ran.code == 0, ran.err
    assert "cannot be read: Is a directory" in ran.err


async def test_a_config_file_that_is_a_pipe_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ran = await operator(tmp_path / "state", "restore", env={"OPERATOR_CONFIG": str(tmp_path / "pipe")})

    assert ran.code == 0, ran.err
    assert "is a pipe: copy it to a file. Nothing in it applies." in ran.err


async def test_a_recording_that_is_a_pipe_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ran = await operator(tmp_path / "state", "replay", str(tmp_path / "pipe"))

    assert ran.code == 1
    assert "is a pipe: copy it to a file." in ran.err


async def test_a_recording_that_is_one_line_without_an_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path,
) -> None:
    ran = await operator(tmp_path, "replay", "/dev/zero")

    assert ran.code == 1
    assert "/dev/zero is no transcript of operator" in ran.err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_standard_streams_that_the_caller_closed_are_done_without(tmp_path: Path, closed: str) -> None:
    command = [*OPERATOR, "-p", "status", "--offline", "--subject", "etcd", "--state-dir", str(tmp_path)]
    shell = await asyncio.create_subprocess_shell(
        f"{shlex.join(command)} {closed}", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, err = await asyncio.wait_for(shell.communicate(), 60)

    assert shell.returncode == 0, err.decode()
    with contextlib.closing(sqlite3.connect(tmp_path / "operator.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("< <(printf 'was caf\\xe9 hurt?')", 0, "Not supported offline"),
        ("0> file", 2, "Standard input cannot be read: Bad file descriptor"),
    ],
)
async def test_a_prompt_that_is_no_text_or_cannot_be_read(
    tmp_path: Path, given: str, code: int, said: str
) -> None:
    command = [*OPERATOR, "-p", "-", "--offline", "--subject", "etcd", "--state-dir", str(tmp_path)]
    program = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f"{shlex.join(command)} {given.replace('file', str(tmp_path / 'file'))}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(Path.cwd())},
    )
    out, err = await asyncio.wait_for(program.communicate(), 60)

    assert program.returncode == code, err.decode()
    assert said in (out + err).decode()
    assert b"Traceback" not in err


async def test_ctrl_c_while_a_prompt_is_read_is_answered_in_a_line() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        INTERRUPTED_WHILE_READING,
        *("-p", "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await asyncio.wait_for(program.communicate(), 60)

    assert err == b"Interrupted\n"
    assert program.returncode == 130


INTERRUPTED_WHILE_READING = """
import io, os, signal, sys
class Pressed(io.StringIO):
    def read(self, most):
        os.kill(os.getpid(), signal.SIGINT)
sys.stdin = Pressed()
from agent.__main__ import main
main()
"""

INTERRUPTED_WHILE_LOADING = """
import builtins, os, signal
load = builtins.__import__
def loading(name, *more, **options):
    if name == "click":
        os.kill(os.getpid(), signal.SIGINT)
    return load(name, *more, **options)
builtins.__import__ = loading
from agent.__main__ import main
main()
"""


async def test_ctrl_c_before_the_command_line_is_loaded_is_answered_in_a_line() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        INTERRUPTED_WHILE_LOADING,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(program.communicate(), 60)

    assert (out, err) == (b"", b"Interrupted\n")
    assert program.returncode == 130


async def test_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    ran = await operator(tmp_path / "file" / "state", "deploy", "status")

    assert ran.code == 1
    assert "cannot be used" in ran.err
    assert "--state-dir" in ran.err


def test_memory_that_ran_out_is_told_in_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    async def body(_view: View) -> dict[str, Any]:
        raise MemoryError

    assert run(Setup("doctor"), body) == 1
    assert capfd.readouterr().err.startswith("There is not enough memory")


async def test_a_file_in_the_state_folder_s_place_is_said_to_be_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    ran = await operator(tmp_path / "file", "deploy", "status")

    assert ran.code == 1
    assert "cannot be used: it is not a folder." in ran.err


async def test_the_doctor_says_that_the_state_folder_is_unusable_beside_all_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    ran = await operator(tmp_path / "file", "doctor")

    assert ran.code == 1
    assert re.search(r"^state folder +unusable +.*it is not a folder", ran.out, re.MULTILINE)
    assert re.search(r"^etcd +ok", ran.out, re.MULTILINE)


async def test_a_link_to_nowhere_inside_the_state_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "sessions").symlink_to("nowhere")

    ran = await operator(tmp_path, "deploy", "status")

    assert ran.code == 1
    assert f"cannot be used: {tmp_path / 'sessions'} is not a folder." in ran.err


async def test_a_folder_with_spaces_other_scripts_and_a_locale_without_any(tmp_path: Path) -> None:
    state = tmp_path / "an état 日本 🦀"
    asked = ("-p", "is it healthy?", "--offline", "--subject", "etcd")
    ran = await operator(state, *asked, env={"LC_ALL": "C", "LANG": "C"})

    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err
    assert len(list((state / "sessions").glob("*.jsonl"))) == 1


async def test_a_state_folder_of_a_newer_version(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "operator.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()

    ran = await operator(tmp_path, "deploy", "status")

    assert ran.code == 1
    assert "version 99" in ran.err


async def test_every_failure_ends_in_a_result_for_programs(tmp_path: Path) -> None:
    ran = await operator(tmp_path, "incidents", "show", "nothing", "--output", "stream-json")

    assert ran.code == 1
    assert ran.result["type"] == "result"
    assert ran.result["ok"] is False
    assert "nothing" in ran.result["error"]
