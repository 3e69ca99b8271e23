"""docs/reference.md says what the program does."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.commands.root import cli
from agent.drill.plan import DrillSettings
from agent.drill.score import Scored, summary
from agent.exit_codes import ExitCode
from tests.reference import FILE, differences, exit_codes, regenerated
from tools.incidents.store import IncidentStore

DOCUMENT = FILE.read_text(encoding="utf-8")
TRANSCRIPTS = Path(__file__).parents[2] / "replay" / "transcripts"


def test_commands_options_and_faults_are_those_of_the_program() -> None:
    assert regenerated(DOCUMENT) == DOCUMENT, "write it again: python -m tests.reference"


def test_exit_codes_are_those_of_the_program() -> None:
    assert exit_codes(DOCUMENT).keys() == {int(code) for code in ExitCode}


@pytest.mark.parametrize(
    "words",
    [
        ["deploy", "status"],
        ["deploy", "down"],
        ["restore"],
        ["fault", "heal"],
        ["incidents", "list"],
        ["incidents", "show"],
        ["incidents", "report"],
        ["sessions", "list"],
        ["config"],
        ["doctor"],
    ],
)
def test_results_have_the_fields_that_are_documented(tmp_path: Path, words: list[str]) -> None:
    store = IncidentStore(tmp_path / "operator.db")
    store.open(cluster="c", text="etcd-1 died", nodes=("etcd-1",), wall=1.0, incident="20260101-000001-aaaa")
    store.close()

    assert differences(" ".join(words), run(tmp_path, *words), DOCUMENT) == []


def test_a_recorded_demo_has_the_fields_that_are_documented(tmp_path: Path) -> None:
    result = run(tmp_path, "replay", str(TRANSCRIPTS / "demo-kill-leader.jsonl"), "--speed", "0")

    assert differences("replay", result, DOCUMENT) == []
    assert differences("demo chaos", result["recorded"], DOCUMENT) == []


def test_drills_and_comparisons_have_the_fields_that_are_documented(tmp_path: Path) -> None:
    measured = {"detect_s": 0.1, "diagnose_s": 1.0, "heal_s": 2.0, "detected": True, "restored": True}
    found = {"diagnosed_kind": "crash", "diagnosed_nodes": ("n",), "confidence": "high", "verified": True}
    right = {"by": "rules", "node_right": True, "kind_right": True}
    planned = {
        "n": 1,
        "fault": "kill",
        "kind": "kill",
        "nodes": ("n",),
        "control": False,
    }
    trial = Scored(**planned, **measured, **found, **right)  # type: ignore[arg-type]
    drill = {
        **summary([trial, trial], DrillSettings(2), "rules"),
        "seconds": 1.0,
        "cluster": "etcd × process",
        "load": None,
        "files": [],
    }
    (tmp_path / "a.json").write_text(json.dumps(drill))
    compared = run(tmp_path, "drill", "compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"))

    assert differences("drill", drill, DOCUMENT) == []
    assert differences("drill compare", compared, DOCUMENT) == []


def test_an_undocumented_or_missing_field_is_found() -> None:
    assert differences("restore", {"ok": True, "command": "restore", "nodes": []}, DOCUMENT) == [
        "undocumented field nodes",
        "faults is documented and not there",
    ]


def run(folder: Path, *words: str) -> dict[str, Any]:
    ran = CliRunner().invoke(cli, [*words, "--output", "json", "--state-dir", str(folder)])
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return result
