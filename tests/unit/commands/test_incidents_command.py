"""`operator incidents`: earlier incidents, by the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.commands.root import cli
from tools.incidents.store import IncidentStore


def operator(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command with JSON output; returns its exit code and its result."""
    ran = CliRunner().invoke(cli, [*arguments, "--output", "json", "--state-dir", str(folder)])
    return ran.exit_code, json.loads(ran.stdout.splitlines()[-1])


class TestWhichIncident:
    """An incident is named by its id, by how its id alone begins, or not at all: then it is the latest."""

    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            (["20260101-000001-aaaa"], "first"),
            (["20260101-000001"], "first"),
            (["20260101-000002"], "second"),
            ([], "second"),
        ],
    )
    def test_is_found(self, tmp_path: Path, said: list[str], shown: str) -> None:
        two(tmp_path)

        code, result = operator(tmp_path, "incidents", "show", *said)

        assert (code, result["incident"]["text"]) == (0, shown)

    @pytest.mark.parametrize(
        ("said", "words"),
        [
            ("2026", "Ambiguous prefix '2026': 20260101-000002-aaaa, 20260101-000001-aaaa."),
            ("nothing", "There is no incident 'nothing': `operator incidents list`"),
        ],
    )
    def test_what_is_not_one_incident_is_exit_1(self, tmp_path: Path, said: str, words: str) -> None:
        two(tmp_path)

        code, result = operator(tmp_path, "incidents", "show", said)

        assert code == 1
        assert words in result["error"]

    def test_where_there_is_none_yet_it_says_what_makes_one(self, tmp_path: Path) -> None:
        code, result = operator(tmp_path, "incidents", "show")

        assert code == 1
        assert "no incident yet" in result["error"]

    def test_an_empty_list_says_what_makes_one_and_draws_no_table(self, tmp_path: Path) -> None:
        ran = CliRunner().invoke(cli, ["incidents", "list", "--state-dir", str(tmp_path)])

        assert (ran.exit_code, ran.stdout) == (0, "")
        assert "No incidents yet" in ran.stderr


def two(folder: Path) -> None:
    store = IncidentStore(folder / "operator.db")
    for n, text in enumerate(("first", "second"), start=1):
        store.open(cluster="c", text=text, nodes=("n",), wall=float(n), incident=f"20260101-00000{n}-aaaa")
    store.close()
