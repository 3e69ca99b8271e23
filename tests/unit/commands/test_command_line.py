"""The command line: durations, completion, help, and what is no command."""

import json
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from agent.commands.parameters import DURATION
from agent.commands.root import cli
from tools.faults.catalogue import CATALOGUE
from tools.incidents.store import IncidentStore


class TestDurations:
    """A number is seconds; units are as people write them."""

    @pytest.mark.parametrize(
        ("said", "seconds"),
        [("30", 30), ("0.5", 0.5), ("30s", 30), ("2m", 120), ("1h30m", 5400), ("500ms", 0.5), ("1d", 86400)],
    )
    def test_are_seconds(self, said: str, seconds: float) -> None:
        assert DURATION.convert(said, None, None) == seconds

    @pytest.mark.parametrize("said", ["", "0", "0s", "-5", "5x", "m", "2m 3", "nan", "inf", "1e3"])
    def test_what_is_none_is_wrong_usage(self, said: str) -> None:
        with pytest.raises(click.BadParameter, match=r"duration|longer than 0"):
            DURATION.convert(said, None, None)


class TestCompletion:
    """A shell completes names from the state folder; a folder that is not there completes nothing."""

    def test_faults(self, tmp_path: Path) -> None:
        assert completed(tmp_path, ["fault", "inject"], "pa") == ["pause", "partition"]
        assert completed(tmp_path, ["demo", "chaos", "--fault"], "") == list(CATALOGUE)

    def test_nodes_and_roles(self, tmp_path: Path) -> None:
        folder = tmp_path / "clusters" / "etcd-process"
        folder.mkdir(parents=True)
        layout = {"nodes": [{"name": "etcd-1"}, {"name": "etcd-2"}]}
        (folder / "cluster.json").write_text(json.dumps(layout))

        assert completed(tmp_path, ["logs"], "") == ["etcd-1", "etcd-2"]
        assert completed(tmp_path, ["fault", "inject", "kill"], "") == [
            *("random", "leader", "follower", "region-leader"),
            *("etcd-1", "etcd-2"),
        ]

    def test_incidents_and_sessions(self, tmp_path: Path) -> None:
        store = IncidentStore(tmp_path / "operator.db")
        store.open(cluster="c", text="etcd-1 died", nodes=("n",), wall=1.0, incident="20260101-000001-aaaa")
        store.close()
        (tmp_path / "sessions").mkdir()
        (tmp_path / "sessions" / "20260102-000001-bbbb.jsonl").write_text("")

        assert completed(tmp_path, ["incidents", "show"], "2026") == ["20260101-000001-aaaa"]
        assert completed(tmp_path, ["replay"], "") == ["20260102-000001-bbbb"]
        assert completed(tmp_path, ["--resume"], "2026") == ["20260102-000001-bbbb"]

    def test_nothing_where_nothing_can_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "operator.db").write_text("no database")

        assert completed(tmp_path, ["incidents", "show"], "") == []
        assert completed(tmp_path / "not-there", ["incidents", "show"], "") == []


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (["kill"], "operator fault inject kill"),
        (["status"], "operator deploy status"),
        (["chaos"], "operator demo chaos"),
        (["watsh"], "watch"),
    ],
)
def test_what_is_no_command_names_the_one_that_was_meant(said: list[str], meant: str) -> None:
    ran = CliRunner().invoke(cli, said)

    assert ran.exit_code == 2
    assert meant in ran.stderr


@pytest.mark.parametrize(
    "said",
    [
        ["demo", "chaos", "--fault", "melt"],
        ["fault", "inject", "melt"],
        ["drill", "--faults", "melt"],
        ["fault", "heal", "melt"],
    ],
)
def test_an_unknown_fault_is_wrong_usage_everywhere(tmp_path: Path, said: list[str]) -> None:
    ran = CliRunner().invoke(cli, [*said, "--state-dir", str(tmp_path)])

    assert ran.exit_code == 2
    assert "melt" in ran.stderr


def test_a_shared_option_is_taken_where_it_means_nothing_but_not_shown(tmp_path: Path) -> None:
    options = ["--model", "opus", "--offline", "--max-cost", "1", "--yes", "--state-dir", str(tmp_path)]
    ran = CliRunner().invoke(cli, ["incidents", "list", *options])
    shown = CliRunner().invoke(cli, ["incidents", "list", "--help"]).stdout

    assert ran.exit_code == 0
    assert [name for name in ("--model", "--max-cost", "--yes", "--offline") if name in shown] == []


def test_a_cluster_that_is_not_there_is_not_healthy(tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli, ["deploy", "status", "--output", "json", "--state-dir", str(tmp_path)])

    assert ran.exit_code == 3
    assert json.loads(ran.stdout)["cluster"] == "down"


class TestConfig:
    """`operator config` shows each setting with where it comes from."""

    def test_names_the_source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "config.toml").write_text('model = "sonnet"\ncolour = "blue"\n')
        monkeypatch.setenv("OPERATOR_CONFIG", str(tmp_path / "config.toml"))
        monkeypatch.delenv("OPERATOR_MODEL", raising=False)
        found = settings(tmp_path)
        monkeypatch.setenv("OPERATOR_MODEL", "haiku")

        assert found["model"][1] == "config file"
        assert "sonnet" in found["model"][0]
        assert found["state folder"] == (str(tmp_path), "option")
        assert settings(tmp_path)["model"][1] == "OPERATOR_MODEL"
        assert settings(tmp_path, "--model", "opus")["model"][1] == "option"

    def test_warns_of_a_key_that_is_no_setting(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "config.toml").write_text('colour = "blue"\n')
        monkeypatch.setenv("OPERATOR_CONFIG", str(tmp_path / "config.toml"))

        assert "'colour' is no setting" in CliRunner().invoke(cli, ["config"]).stderr


def settings(folder: Path, *more: str) -> dict[str, tuple[str, str]]:
    ran = CliRunner().invoke(cli, ["config", "--output", "json", "--state-dir", str(folder), *more])
    return {row["name"]: (row["value"], row["from"]) for row in json.loads(ran.stdout)["settings"]}


def completed(folder: Path, before: list[str], incomplete: str) -> list[str]:
    given = ["--state-dir", str(folder), *before]
    return [
        item.value
        for item in ShellComplete(cli, {}, "operator", "_OPERATOR_COMPLETE").get_completions(
            given, incomplete
        )
    ]
