"""The watch as a service: settings from a file and the environment, and a state folder that stays small."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.commands.root import cli
from agent.watch.watching import prune_now_and_then
from tools.incidents.store import IncidentStore
from tools.observe.kinds import signal

DAY_S = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IncidentStore]:
    made = IncidentStore(tmp_path / "operator.db")
    yield made
    made.close()


def opened(store: IncidentStore, wall: float, *, recovered: bool = True, text: str = "a node died") -> str:
    incident = store.open(cluster="etcd", text=text, nodes=("n1",), wall=wall)
    if recovered:
        store.recover(incident, wall + 9.0)
    return incident


def watch(tmp_path: Path, config: str, **environ: str) -> Result:
    path = tmp_path / "config.toml"
    path.write_text(config)
    return CliRunner().invoke(cli, ["watch"], env={"OPERATOR_CONFIG": str(path), **environ})


def test_options_stand_in_the_config_file(tmp_path: Path) -> None:
    ran = watch(tmp_path, '[watch]\nendpoints = ["http://127.0.0.1:1", "http://127.0.0.1:2"]\nfor = "5s"\n')

    assert ran.exit_code == 1
    assert "http://127.0.0.1:1" in ran.output
    assert "http://127.0.0.1:2" in ran.output


def test_the_environment_is_before_the_file(tmp_path: Path) -> None:
    ran = watch(
        tmp_path, '[watch]\nendpoints = "http://127.0.0.1:1"\n', OPERATOR_WATCH_ENDPOINTS="http://127.0.0.1:2"
    )

    assert "http://127.0.0.1:2" in ran.output
    assert "http://127.0.0.1:1" not in ran.output


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("[watch]\nfro = '5s'\n", "[watch] has no setting 'fro'"),
        ("watch = 3\n", "watch must be a table"),
        ("[watch]\nfor = 'soon'\n", "is not a duration"),
        ("[watch\n", "is not valid TOML"),
        (f"watch = {'[' * 5000}", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, config: str, complaint: str) -> None:
    ran = watch(tmp_path, config)

    assert ran.exit_code in {1, 2}
    assert complaint in ran.output
    assert "Traceback" not in ran.output


class TestRetention:
    """What is over and old goes; what is open stays."""

    def test_old_incidents_go_and_open_ones_stay(self, store: IncidentStore) -> None:
        opened(store, 1 * DAY_S)
        still = opened(store, 2 * DAY_S, recovered=False)
        fresh = opened(store, 100 * DAY_S)

        assert store.prune(before=50 * DAY_S, max_bytes=10**9) == 1
        assert [each.id for each in store.list()] == [fresh, still]

    def test_the_oldest_go_until_the_rest_fits(self, store: IncidentStore) -> None:
        for n in range(200):
            incident = opened(store, n * DAY_S)
            for _ in range(10):
                store.add(incident, signal("refused", "n1", "x" * 1000))

        store.prune(before=0.0, max_bytes=1_000_000)

        left = [each.opened for each in store.list(500)]
        assert 0 < len(left) < 200
        assert max(left) == 199 * DAY_S

    async def test_a_watch_prunes_at_its_start(self, store: IncidentStore) -> None:
        opened(store, 1 * DAY_S)
        pruning = asyncio.create_task(prune_now_and_then(store, keep_s=DAY_S))
        async with asyncio.timeout(60):
            while store.list():
                await asyncio.sleep(0.01)
        pruning.cancel()

        assert store.list() == []
