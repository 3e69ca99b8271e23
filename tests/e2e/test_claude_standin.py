"""The program as a person with a key runs it, against the stand-in of the Messages API."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import DEMO
from tests.standins.messages_api import MessagesApi, Script, changed_prefixes
from tests.standins.messages_script import Answer, came_since_question, fails, says, text
from tests.standins.scripts.chaos_demo import answer

pytestmark = pytest.mark.xdist_group("demos")

WITH_CLAUDE = tuple(word for word in DEMO if word != "--offline")
BOUND_S = 200
"""Far above the half minute that the demo takes: two cores may be shared by many."""


async def operator(api: MessagesApi, *arguments: str, key: str = "test-key") -> tuple[int, list[Any], str]:
    """Run the program to its end: its exit code, the lines of its JSON, and its standard error."""
    environment = {**os.environ, "ANTHROPIC_BASE_URL": api.base_url, "ANTHROPIC_API_KEY": key}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", *arguments, "--output", "stream-json",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment, limit=2**24,
    )  # fmt: skip
    try:
        async with asyncio.timeout(BOUND_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()  # it takes its cluster down with it
            try:
                await asyncio.wait_for(process.wait(), 60)
            except TimeoutError:
                process.kill()
                await process.wait()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_claude_drives_the_demo_and_diagnoses_blind_without_one_refused_request() -> None:
    async with MessagesApi(answer) as api:
        code, lines, err = await operator(api, *WITH_CLAUDE, "--runtime", "process", "--seed", "7")
        api.raise_errors()

    result = lines[-1]
    assert (code, result["type"], result["ok"]) == (0, "result", True), err
    assert (result["driver"], result["model"]) == ("claude", "claude-opus-5-5")
    assert [stage["ok"] for stage in result["stages"]] == [True] * 7
    assert result["restored"] is True
    assert result["diagnosis"]["by"] == "claude"
    assert result["diagnosis"]["node"] == result["fault"]["node"]
    assert result["diagnosis"]["verified"] is True
    assert api.refusals == []
    blind = [body for body in api.bodies if _is_blind(body)]
    session = [body for body in api.bodies if not _is_blind(body)]
    assert len(blind) >= 2
    assert changed_prefixes(blind) == []
    assert changed_prefixes(session) == []
    told = json.dumps([body["messages"] for body in blind])
    assert [word for word in ("store_kill", "fault_inject", "prediction") if word in told] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_model_that_fails_under_the_fault_leaves_a_healed_cluster_and_a_whole_result() -> None:
    def failing(body: Any) -> Any:
        broken = any(came.tool == "store_kill" and came.ok for came in came_since_question(body))
        return fails(400) if broken else answer(body)

    async with MessagesApi(failing) as api:
        code, lines, err = await operator(api, *WITH_CLAUDE)

    result = lines[-1]
    assert (code, result["type"], result["ok"]) == (1, "result", False), err
    assert result["error"]
    assert result["restored"] is True
    assert result["fault"]["kind"] == "kill"
    assert result["load"]["acknowledged_writes_lost"] == 0
    assert result["session"]
    assert any(line.get("title") == "Restored" for line in lines)


def _is_blind(body: Any) -> bool:
    return "submit_diagnosis" in {tool["name"] for tool in body.get("tools", ())}


async def test_one_request_is_answered_and_its_transcript_holds_no_key() -> None:
    async with MessagesApi(Script([says(text("All is "), text("well."))])) as api:
        code, lines, err = await operator(api, "-p", "How are you?", key="sk-ant-secret-0123456789")
        api.raise_errors()

    assert code == 0, err
    assert "".join(line["text"] for line in lines if line["type"] == "text") == "All is well."
    (written,) = Path(os.environ["OPERATOR_STATE_DIR"]).glob("sessions/*.jsonl")
    assert "All is" in written.read_text(encoding="utf-8")
    assert "sk-ant-secret" not in written.read_text(encoding="utf-8")


async def _fails(script: Answer, key: str = "test-key") -> tuple[int, list[Any], str]:
    async with MessagesApi(script) as api:
        code, lines, err = await operator(api, "-p", "How are you?", key=key)
    assert "Traceback" not in err
    assert (lines[-1]["type"], lines[-1]["ok"]) == ("result", False)
    return code, lines, err


async def test_an_overloaded_service_is_exit_code_75() -> None:
    busy = fails(529, retry_after="7200")
    code, lines, _ = await _fails(Script([busy], endless=True))

    assert code == 75
    assert any("overloaded" in line.get("text", "") for line in lines if line["type"] == "error")


async def test_a_refused_key_is_exit_code_1_and_says_what_to_do() -> None:
    code, lines, _ = await _fails(Script([says(text("never"))], endless=True), key="bad-key")

    assert code == 1
    assert any("ANTHROPIC_API_KEY" in line.get("text", "") for line in lines if line["type"] == "error")
