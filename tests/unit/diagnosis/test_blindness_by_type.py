"""A type checker refuses to give a diagnostician, or a tool that reads, anything that acts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

WRONG = """
from typing import Literal

from tools.diagnosis.examination import Diagnostician, Examination
from tools.diagnosis.schema import Diagnosis
from tools.observe.observed import Observed
from tools.tool import Effect, Result
from tools.workbench import Workbench


class Peeking:
    by: Literal["rules"] = "rules"

    async def diagnose(self, examination: Workbench) -> Diagnosis:
        raise NotImplementedError


def take(_diagnostician: Diagnostician) -> None: ...


async def use(who: Diagnostician, workbench: Workbench, seen: Examination) -> None:
    take(Peeking())  # wrong: a diagnostician that asks for a workbench
    await who.diagnose(workbench)  # wrong: a workbench in place of an examination
    seen.faults  # wrong: an examination that knows the faults
    seen.require_cluster().control  # wrong: a control by way of what is observed
    await who.diagnose(seen)
"""


@pytest.mark.slow
def test_each_wrong_line_and_no_other_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(WRONG)
    ran = subprocess.run(
        [*(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"),
         *("--cache-dir", str(tmp_path), str(program))],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip

    found = {int(line) for line in re.findall(r"wrong\.py:(\d+): error", ran.stdout)}
    wrong = {n for n, line in enumerate(WRONG.splitlines(), 1) if "# wrong:" in line}
    assert found == wrong, ran.stdout + ran.stderr
