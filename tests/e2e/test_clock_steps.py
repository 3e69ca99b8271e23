"""A wall clock set by an hour in the middle of a demo changes dates, and no duration and no outcome."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

DEMO = ("demo", "chaos", "--no-pause", "--offline", "--subject", "etcd", "--output", "stream-json")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_a_step_under_the_fault(tmp_path: Path, seconds: int) -> None:
    stepped = tmp_path / "stepped"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.standins.stepped_clock", str(stepped), str(seconds), *DEMO),
        env={**os.environ, "OPERATOR_STATE_DIR": str(tmp_path / "state")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 22,
    )
    assert process.stdout is not None
    last: dict[str, Any] = {}
    async with asyncio.timeout(150):
        while raw := await process.stdout.readline():
            last = json.loads(raw)
            if last["type"] == "tool_result" and last["tool"] == "store_kill":
                stepped.touch()
        code = await process.wait()

    assert stepped.exists()
    assert (code, last["restored"], last["detection"]["detected"]) == (0, True, True)
    times = last["times"]
    assert 0 < times["detected"] < times["diagnosed"] < times["healed"] < 120
    assert 0 < times["recovered"] < 120
    assert last["load"]["during"]["ops_per_s"] is not None
