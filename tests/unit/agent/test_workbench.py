"""A run's workbench: nothing of it stays open, whatever fails while it is closed."""

import sqlite3
from pathlib import Path
from typing import cast

import pytest

from agent.setup import Setup
from agent.workbench import close_workbench, make_workbench
from subjects.base import Cluster
from subjects.errors import Unreachable
from subjects.state import open_state
from tools.events import Event


class Stuck:
    """A cluster that can't be closed."""

    async def aclose(self) -> None:
        raise Unreachable("the engine went away")


async def test_a_cluster_that_cannot_be_closed_leaves_no_database_open(tmp_path: Path) -> None:
    workbench = make_workbench(open_state(tmp_path), Setup(state_dir=tmp_path), list[Event]().append)
    workbench.cluster = cast("Cluster", Stuck())

    with pytest.raises(Unreachable):
        await close_workbench(workbench)

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        workbench.incidents.list()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        workbench.faults.journal.open_faults()
