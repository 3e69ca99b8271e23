"""The chaos demo on a real etcd cluster, as a person and as a script run it."""

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from subjects.state import StateFolder
from tests.e2e.programs import DEMO, OPERATOR, operator, until_gone
from tests.standins.embedded import bring_up, take_down

pytestmark = pytest.mark.xdist_group("demos")

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFolder]:
    """A cluster that was up before; a demo leaves it so, healthy, however it ends."""
    made = bring_up(tmp_path_factory.mktemp("running"))
    yield made
    take_down(made)


async def members(state: StateFolder) -> list[str]:
    """What `deploy status` shows of each member; fails unless the cluster is healthy."""
    status = await operator(state.root, "deploy", "status", "--output", "json")
    assert (status.code, status.result["cluster"]) == (0, "healthy"), status.out
    return [f"{node['name']} {node['state']}" for node in status.result["nodes"]]


class TestHeadless:
    """`--output stream-json`: what a script relies on."""

    async def test_ends_in_the_result_of_the_contract_and_leaves_nothing_but_its_record(
        self, tmp_path: Path
    ) -> None:
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
        compared = result["fault"]["compared"]
        assert [each["what"] for each in compared] == ["leader", "errors", "stall", "writes"]
        assert result["fault"]["prediction_held"] is all(each["held"] for each in compared)
        times = result["times"]
        assert 0 == times["injected"] <= times["detected"] <= times["diagnosed"] <= times["healed"]
        assert result["driver"] == "playbook"
        assert result["model"] is None
        assert await until_gone(tmp_path) == []
        assert len(list((tmp_path / "sessions").glob("*.jsonl"))) == 1

    async def test_asked_for_in_words_counts_no_alarm_as_right_where_none_is_due_and_leaves_the_cluster_up(
        self, running: StateFolder
    ) -> None:
        before = await members(running)
        asked = "run the chaos demo with fault restart with 50 operations/s"
        ran = await operator(running.root, "-p", asked, "--offline", "--subject", "etcd", "--output", "json")

        assert ran.code == 0, ran.err
        assert len(ran.out.splitlines()) == 1
        demo = ran.result["demo"]
        assert [stage["ok"] for stage in demo["stages"]] == [True] * 7
        assert demo["detection"]["detected"] is False
        assert demo["detection"]["seconds"] is None
        assert demo["restored"] is True
        assert demo["diagnosis"]["kind"] in demo["fault"]["diagnoses_that_are_right"]
        assert await members(running) == before

    async def test_two_at_once_on_one_cluster_heal_what_they_did_and_call_no_write_lost(
        self, running: StateFolder
    ) -> None:
        """The later one is told that another operator has the load, or that a fault is still open."""
        words = (*DEMO, "--output", "stream-json")
        both = await asyncio.gather(*(operator(running.root, *words) for _ in range(2)))

        for ran in both:
            assert ran.result["restored"] or ran.result["fault"] is None, ran.result
            assert not (ran.result["load"] or {}).get("acknowledged_writes_lost"), ran.result
        assert await members(running) == ["etcd-1 healthy", "etcd-2 healthy", "etcd-3 healthy"]


class TestInterrupted:
    """Ctrl-C: one line, exit code 1, all restored, nothing left running but what ran before."""

    async def test_while_it_starts_a_cluster(self, tmp_path: Path) -> None:
        await self.interrupt(tmp_path, 1)

        assert await until_gone(tmp_path) == []

    async def test_under_the_fault(self, running: StateFolder) -> None:
        await self.interrupt(running.root, 4)

        assert len(await members(running)) == 3
        assert await until_gone(running.root, exclude=running.clusters) == []

    async def interrupt(self, state: Path, stage: int) -> None:
        stop = {"type": "stage", "n": stage, "ok": None}
        ran = await operator(state, *DEMO, "--output", "stream-json", stop_at=stop)
        assert ran.code == 1, (ran.out[-500:], ran.err)
        assert (ran.result["type"], ran.result["ok"], ran.result["interrupted"]) == ("result", False, True)
        assert "Demo interrupted" in ran.out
        assert "Traceback" not in ran.err
        restored = await operator(state, "restore", "--output", "json")
        assert (restored.code, restored.result["faults"]) == (0, [])


class TestInATerminal:
    """A real pseudo-terminal."""

    @pytest.mark.slow
    def test_waits_for_enter_between_stages_and_shows_all_of_them(self, tmp_path: Path) -> None:
        """Though it is stopped and goes on (Ctrl-Z, fg), and its window shrinks to 3×2 and grows again."""
        words = [
            *OPERATOR[1:],
            *(word for word in DEMO if word != "--no-pause"),
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
            if n == 3:
                stopped_and_continued(child.pid)
            if n == 6:
                child.setwinsize(2, 3)
            child.send("\r")
            if n == 6:
                child.expect(r"\S")
                child.setwinsize(40, 100)
        child.expect(pexpect.EOF)
        seen += child.before or ""
        child.close()

        text = ESCAPES.sub("", seen)
        assert child.exitstatus == 0, text[-2000:]
        for n in range(1, 8):
            assert f"Stage {n}/7" in text
        for words_shown in ("Offline mode", "Diagnosis", "Restored", "was stopped"):
            assert words_shown in text


def stopped_and_continued(pid: int) -> None:
    """Do as a shell does; SIGTSTP itself would be dropped, there being no shell."""
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    os.kill(pid, signal.SIGCONT)
