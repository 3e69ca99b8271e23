"""`operator demo chaos --subject tikv` as a person runs it: with stand-ins, and where there is no Docker."""

from pathlib import Path

import pytest

from tests.conformance.clusters import CLUSTERS, Kind
from tests.conformance.conftest import NEEDED
from tests.e2e.programs import operator, until_gone

pytestmark = pytest.mark.xdist_group("demos")

DEMO = (
    "demo",
    "chaos",
    "--subject",
    "tikv",
    "--no-pause",
    "--offline",
    "--rate",
    "50",
    "--output",
    "stream-json",
)


@pytest.fixture(scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=str(kind), marks=[NEEDED[kind.runtime]] if kind.runtime in NEEDED else [])
        for kind in CLUSTERS
        if kind.subject == "tikv"
    ],
    indirect=True,
)
async def test_runs_all_stages_and_restores_and_says_whom_it_ran_on(prepared: Kind, tmp_path: Path) -> None:
    ran = await operator(tmp_path, *DEMO, "--runtime", prepared.runtime, env=prepared.environment)

    assert ran.code == 0, ran.err
    result = ran.result
    assert [stage["ok"] for stage in result["stages"]] == [True] * 7, result["stages"]
    assert (result["ok"], result["restored"], result["cluster"]) == (True, True, "healthy")
    assert (result["subject"], result["runtime"]) == ("tikv", prepared.runtime)
    assert result["detection"]["detected"]
    assert (result["diagnosis"]["kind"], result["diagnosis"]["node"]) == ("crash", result["fault"]["node"])
    assert "2 of 3 voters stay" in result["fault"]["prediction"]
    told = "\n".join(line for line in ran.out.splitlines() if '"notice"' in line)
    assert "Stand-ins answer here in the place of tikv" in told
    assert result["load"]["acknowledged_writes_lost"] == 0
    assert result["load"]["before"]["p99_ms"] is not None
    assert await until_gone(tmp_path) == []


async def test_without_an_engine_one_line_offers_etcd(tmp_path: Path) -> None:
    nowhere = {"DOCKER_HOST": "tcp://127.0.0.1:1"}

    ran = await operator(
        tmp_path, "demo", "chaos", "--subject", "tikv", "--no-pause", "--offline", env=nowhere
    )

    assert ran.code == 1
    told = [line for line in ran.err.splitlines() if "No Docker engine answers" in line]
    assert len(told) == 1, ran.err
    assert "--subject etcd" in told[0]
    assert "was stopped" not in ran.err


async def test_a_start_that_failed_stopped_nothing(tmp_path: Path) -> None:
    broken = {"OPERATOR_PD_SERVER": "false", "OPERATOR_TIKV_SERVER": "false"}

    ran = await operator(tmp_path, *DEMO, "--runtime", "process", env=broken)

    assert ran.code == 1
    # Which of them is noticed first, and how, is a matter of milliseconds.
    assert "ended as soon as it was started" in ran.out or "does not stay up" in ran.out
    assert "was stopped" not in ran.out + ran.err
    assert await until_gone(tmp_path) == []
