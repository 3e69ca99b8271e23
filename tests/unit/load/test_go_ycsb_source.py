"""go-ycsb as a source of windows: whatever becomes of its start, nothing of it is left running."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from subjects.base import LoadTarget
from subjects.runtimes import identity
from subjects.runtimes.identity import wait_exit
from subjects.tikv.go_ycsb import DRIVER
from tests.waiting import until
from tools.load.go_ycsb import GoYcsb
from tools.load.settings import LoadSettings

PROGRAM = """
import os, sys, time
if sys.argv[2] == "load":
    print("INSERT - Takes(s): 1.0, Count: 10")
else:
    with open(sys.argv[1], "w") as file:
        print(os.getpid(), file=file)
    time.sleep(600)
"""


async def test_a_cancelled_start_leaves_none_of_it_running(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    argv = json.dumps([sys.executable, "-c", PROGRAM, str(file)])
    source = GoYcsb(LoadTarget(DRIVER, (), {"argv": argv}), LoadSettings())
    starting = asyncio.create_task(source.start())
    await until(lambda: file.exists() and file.read_text().endswith("\n"))
    running = identity.identify(int(file.read_text()))
    assert running is not None

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert await wait_exit(running, 0.0) or identity.identify(int(running.id)) is None
