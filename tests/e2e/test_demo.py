"""The chaos demo on a real etcd cluster, as a person and as a script run it."""

import asyncio
import re
from pathlib import Path

import pexpect
import pytest

from tests.e2e.programs import OPERATOR, operator, until_gone

DEMO = ("demo", "chaos", "--no-pause", "--offline", "--subject", "etcd")

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class TestHeadless:
    """`--output stream-json`: what a script relies on."""

    async def test_ends_in_the_result_of_the_contract(self, tmp_path: Path) -> None:
        ran = await operator(tmp_path, *DEMO, "--seed", "1", "--output", "stream-json")

        result = ran.result
        assert ran.code == 0, ran.err
        assert [stage["ok"] for stage in result["stages"]] == [True] * 7
        assert [stage["n"] for stage in result["stages"]] == list(range(1, 8))
        assert result["detection"]["detected"] is True
        assert result["diagnosis"]["verified"] is True
        assert result["diagnosis"]["node"] == result["fault"]["node"]
        assert result["diagnosis"]["kind"] == "crash"
        assert result["restored"] is True
        assert result["load"]["acknowledged_writes"] > 0
        assert result["load"]["acknowledged_writes_lost"] == 0
        assert result["fault"]["prediction_held"] is True
        times = result["times"]
        assert 0 == times["injected"] <= times["detected"] <= times["diagnosed"] <= times["healed"]
        assert result["driver"] == "playbook"
        assert result["model"] is None

    async def test_leaves_nothing_running_and_a_transcript(self, tmp_path: Path) -> None:
        ran = await operator(tmp_path, *DEMO, "--output", "json")

        assert ran.code == 0, ran.err
        assert len(ran.out.splitlines()) == 1
        assert await until_gone(tmp_path) == []
        assert len(list((tmp_path / "sessions").glob("*.jsonl"))) == 1

    async def test_leaves_a_cluster_up_that_was_up(self, tmp_path: Path) -> None:
        up = await operator(tmp_path, "deploy", "up", "--subject", "etcd", "--output", "json")
        demo = await operator(tmp_path, *DEMO, "--output", "json")
        status = await operator(tmp_path, "deploy", "status", "--output", "json")
        down = await operator(tmp_path, "deploy", "down", "--output", "json")
        again = await operator(tmp_path, "deploy", "down", "--output", "json")

        assert [run.code for run in (up, demo, status, down, again)] == [0] * 5
        assert status.result["cluster"] == "healthy"
        assert {node["state"] for node in status.result["nodes"]} == {"healthy"}
        assert down.result["cluster"] == "down"
        assert await until_gone(tmp_path) == []

    @pytest.mark.parametrize("fault", ["none", "restart"])
    async def test_counts_no_alarm_as_right_where_none_is_due(self, tmp_path: Path, fault: str) -> None:
        ran = await operator(tmp_path, *DEMO, "--fault", fault, "--output", "stream-json")

        assert ran.code == 0, ran.err
        assert [stage["ok"] for stage in ran.result["stages"]] == [True] * 7
        assert ran.result["detection"]["detected"] is False
        assert ran.result["detection"]["seconds"] is None
        assert ran.result["restored"] is True
        assert ran.result["diagnosis"]["kind"] in ran.result["fault"]["diagnoses_that_are_right"]


class TestAskedFor:
    """`-p "run the chaos demo"`: the result of the demo decides what the exit code is."""

    async def test_a_demo_that_is_done_is_in_the_result(self, tmp_path: Path) -> None:
        ran = await operator(
            tmp_path, "-p", "run the chaos demo", "--offline", "--subject", "etcd", "--output", "json"
        )

        assert ran.code == 0, ran.err
        assert ran.result["demo"]["restored"] is True

    async def test_a_load_that_no_machine_carries_breaks_nothing_and_exits_with_1(
        self, tmp_path: Path
    ) -> None:
        asked = "run the chaos demo with 20000 operations/s"
        ran = await operator(tmp_path, "-p", asked, "--offline", "--subject", "etcd", "--output", "json")

        assert ran.code == 1
        assert "I break nothing" in ran.result["text"]
        assert ran.result["demo"]["fault"] is None
        assert ran.result["demo"]["restored"] is False
        assert await until_gone(tmp_path) == []


class TestInterrupted:
    """Ctrl-C: one line, exit code 1, all restored, nothing left running."""

    @pytest.mark.slow
    async def test_at_every_stage(self, tmp_path: Path) -> None:
        at = asyncio.Semaphore(2)

        async def interrupt(n: int) -> None:
            state = tmp_path / str(n)
            async with at:
                stop = {"type": "stage", "n": n, "ok": None}
                ran = await operator(state, *DEMO, "--output", "stream-json", stop_at=stop)
            assert ran.code == 1, (n, ran.out[-500:], ran.err)
            assert ran.result["type"] == "result", n
            assert ran.result["ok"] is False, n
            assert ran.result["interrupted"] is True, n
            assert "Demo interrupted" in ran.out, n
            assert "Traceback" not in ran.err, n
            assert await until_gone(state) == [], n
            restored = await operator(state, "restore", "--output", "json")
            assert restored.code == 0, n
            assert restored.result["faults"] == [], n

        await asyncio.gather(*(interrupt(n) for n in range(1, 8)))


class TestInATerminal:
    """A real pseudo-terminal."""

    @pytest.mark.slow
    def test_waits_for_enter_between_stages_and_shows_all_of_them(self, tmp_path: Path) -> None:
        words = [
            *OPERATOR[1:],
            "demo",
            "chaos",
            "--offline",
            "--subject",
            "etcd",
            "--state-dir",
            str(tmp_path),
        ]
        child = pexpect.spawn(OPERATOR[0], words, dimensions=(40, 100), timeout=120, encoding="utf-8")
        seen = ""
        for n in range(2, 8):
            if n == 5:
                continue  # what was detected follows the waiting without a pause
            child.expect(f"Enter: on to stage {n}")
            seen += child.before or ""
            child.send("\r")
        child.expect(pexpect.EOF)
        seen += child.before or ""
        child.close()

        text = ESCAPES.sub("", seen)
        assert child.exitstatus == 0, text[-2000:]
        for n in range(1, 8):
            assert f"Stage {n}/7" in text
        for words_shown in ("a fixed script, not Claude", "Diagnosis", "Restored", "was stopped"):
            assert words_shown in text
