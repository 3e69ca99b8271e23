"""The command line: durations, completion, help, and what is no command."""

import json
import shlex
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from agent.commands.examples import EXAMPLES
from agent.commands.parameters import DURATION
from agent.commands.root import cli
from tests.reference import commands
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

    @pytest.mark.parametrize("said", ["", "0", "0s", "-5", "5x", "m", "2m 3", "nan", "inf", "1e3", "9" * 40])
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
            *("random", "leader", "follower"),
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

    def test_reads_a_file_that_an_editor_of_windows_wrote(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "config.toml").write_bytes(b'\xef\xbb\xbfmodel = "sonnet"\r\n')
        monkeypatch.setenv("OPERATOR_CONFIG", str(tmp_path / "config.toml"))
        monkeypatch.delenv("OPERATOR_MODEL", raising=False)

        assert settings(tmp_path)["model"][1] == "config file"

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


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("watch --fro 5s", "--for"),
        ("wathc", "watch"),
        ("incidents lst", "list"),
        ("kill", "operator fault inject kill"),
        ("logs", "NODE"),
        ("demo chaos --fault kil", "kill"),
        ("watch --for 5x", "30s"),
        ("--max-cost nan -p hi", "not a number"),
        ("replay --speed inf x", "not a number"),
        ("fault inject network_rate --value nan", "not a number"),
        ("deploy up --image =x", "NAME=IMAGE"),
        ("describe a b", "operator describe --help"),
        ("drill --trials 0", "1<=x<=1000"),
        ("-p", "-p"),
    ],
)
def test_wrong_usage_is_one_line_that_leads_on(line: str, meant: str) -> None:
    ended = CliRunner().invoke(cli, shlex.split(line), prog_name="operator")

    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert meant in ended.stderr
    assert "--help`." in ended.stderr


@pytest.mark.parametrize("pods", ["--statefulset etcd", "--tidbcluster basic", "--selector app=etcd"])
def test_a_cluster_is_named_in_one_way(tmp_path: Path, pods: str) -> None:
    line = f"watch --state-dir {shlex.quote(str(tmp_path))} --endpoints http://127.0.0.1:1 {pods}"
    ended = CliRunner().invoke(cli, shlex.split(line), prog_name="operator")

    assert ended.exit_code == 2
    assert f"--endpoints and {pods.split()[0]} are two ways to name a cluster: give one." in ended.output


@pytest.mark.parametrize("path", [path for path, _ in commands()])
def test_the_help_of_every_command_says_what_each_option_is_and_has_examples(path: str) -> None:
    command = dict(commands())[path]
    shown = CliRunner().invoke(cli, [*path.split()[1:], "--help"], terminal_width=80).stdout
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]

    assert [each.name for each in options if not each.help] == []
    assert EXAMPLES[path][0] in shown
    assert max(map(len, shown.splitlines())) <= 90
    assert EXAMPLES.keys() == {path for path, _ in commands()}


@pytest.mark.parametrize("group", ["", "fault", "incidents", "drill", "demo", "deploy", "sessions"])
def test_no_list_of_commands_cuts_a_sentence(group: str) -> None:
    shown = CliRunner().invoke(cli, [*group.split(), "--help"], terminal_width=80).stdout

    assert "..." not in shown.partition("Commands:")[2]


def test_each_option_of_watch_stands_in_the_environment_by_its_own_name() -> None:
    options = [option for option in cli.commands["watch"].params if isinstance(option, click.Option)]
    named = {
        max(option.opts, key=len): option.envvar or f"OPERATOR_WATCH_{option.name}".upper()
        for option in options
    }

    assert named == {flag: f"OPERATOR_WATCH_{flag[2:]}".replace("-", "_").upper() for flag in named}
