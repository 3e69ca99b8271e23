"""What was kept of earlier runs, shown."""

from pathlib import Path

import pytest

from agent import records
from agent.setup import Setup
from subjects.errors import NotReady
from tests.unit.view.test_view_commands import Kept
from tools.incidents.store import IncidentStore


class TestWhichIncident:
    """An incident is named by its id, by how its id alone begins, or not at all: then it is the latest."""

    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            ("20260101-000001-aaaa", "first"),
            ("20260101-000001", "first"),
            ("20260101-000002", "second"),
            ("", "second"),
        ],
    )
    async def test_is_found(self, tmp_path: Path, said: str, shown: str) -> None:
        two(tmp_path)
        kept = Kept()

        result = await records.show_incident(Setup(state_dir=tmp_path), kept, said)

        assert result["incident"]["text"] == shown

    @pytest.mark.parametrize("said", ["2026", "nothing"])
    async def test_what_is_not_one_incident_is_said_to_be_none(self, tmp_path: Path, said: str) -> None:
        two(tmp_path)

        with pytest.raises(NotReady, match="operator incidents list"):
            await records.show_incident(Setup(state_dir=tmp_path), Kept(), said)

    async def test_where_there_is_none_yet_it_says_what_makes_one(self, tmp_path: Path) -> None:
        with pytest.raises(NotReady, match="no incident yet"):
            await records.show_incident(Setup(state_dir=tmp_path), Kept(), "")


def two(folder: Path) -> None:
    store = IncidentStore(folder / "operator.db")
    for n, text in enumerate(("first", "second"), start=1):
        store.open(cluster="c", text=text, nodes=("n",), wall=float(n), incident=f"20260101-00000{n}-aaaa")
    store.close()
