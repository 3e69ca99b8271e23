"""incident_list: short for many, whole for one, bounded always."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tools.incidents.store import IncidentStore, UnknownIncident
from tools.incidents.tools import MAX_ENTRIES, ListParams, incident_list
from tools.observe.incident import FirstSeen
from tools.observe.signal import Signal, Source
from tools.workbench import Workbench


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    with closing(IncidentStore(tmp_path / "operator.db")) as store:
        yield cast(Workbench, SimpleNamespace(incidents=store))


async def test_nothing_ever_seen_is_said(workbench: Workbench) -> None:
    result = await incident_list(ListParams(), workbench)

    assert result.ok
    assert result.data == {"incidents": []}


async def test_one_incident_is_told_whole_in_seconds_after_its_first_signal(workbench: Workbench) -> None:
    store = workbench.incidents
    incident = store.open(cluster="c", text="n2 is dead", nodes=["n2"], wall=1000.0)
    store.add(incident, Signal(Source.PROCESS, "exit", "n2", "exit", wall=1000.5, evidence="E1"))
    store.knew(incident, FirstSeen("kernel", 0.0, 1000.0, "exit"))
    store.recover(incident, wall=1004.0)
    result = await incident_list(ListParams(incident=incident), workbench)
    told = result.data["incident"]

    assert told["seconds_open"] == 4.0
    assert told["timeline"][0] == {
        "seconds": 0.5,
        "source": "process",
        "kind": "exit",
        "node": "n2",
        "text": "exit",
        "evidence": "E1",
    }
    assert told["who_knew_when"][0]["who"] == "kernel"
    json.dumps(result.data)


async def test_a_long_timeline_is_cut_and_says_so(workbench: Workbench) -> None:
    incident = workbench.incidents.open(cluster="c", text="n2 flaps", nodes=["n2"], wall=1000.0)
    with workbench.incidents.transaction():
        for n in range(MAX_ENTRIES + 7):
            workbench.incidents.add(incident, Signal(Source.PROCESS, "exit", "n2", "x", wall=1000.0 + n))
    told = (await incident_list(ListParams(incident=incident), workbench)).data["incident"]

    assert (len(told["timeline"]), told["timeline_cut"]) == (MAX_ENTRIES, 7)


async def test_an_unknown_id_is_an_expected_failure(workbench: Workbench) -> None:
    with pytest.raises(UnknownIncident):
        await incident_list(ListParams(incident="nope"), workbench)


async def test_an_alert_finds_the_incident_that_was_under_way(tmp_path: Path) -> None:
    store = IncidentStore(tmp_path / "alerts.db")
    opened = datetime(2026, 4, 12, 15, 0, tzinfo=UTC).timestamp()
    over = store.open(cluster="c", text="etcd-2 is down", nodes=("etcd-2",), wall=opened)
    store.recover(over, opened + 30.0)
    later = store.open(cluster="c", text="etcd-3 is down", nodes=("etcd-3",), wall=opened + 7200.0)

    async def under_way(seconds: float) -> list[str]:
        at = datetime.fromtimestamp(opened + seconds, UTC)
        observed = SimpleNamespace(incidents=store)
        found = await incident_list(ListParams(at=at), observed)
        return [each["id"] for each in found.data["incidents"]]

    # 20 minutes after: what etcd's own rule for a dead member waits before it fires
    answers = [await under_way(seconds) for seconds in (1.0, 1230.0, 3600.0, 7300.0)]
    store.close()
    assert answers == [[over], [over], [], [later]]
