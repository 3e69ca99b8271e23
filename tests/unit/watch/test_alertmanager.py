"""Incidents reach a receiver behind a real Alertmanager: once, and resolved; a dead one costs nothing."""

import asyncio
import json
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent.watch import alertmanager
from agent.watch.receivers import Addresses
from agent.watch.watching import watch
from subjects.base import Cluster
from tests.standins.scripted_cluster import ScriptedRuntime, ScriptedSubject, scripted_cluster
from tests.standins.standin_http import serve
from tests.unit.watch.quiet import Quiet
from tests.waiting import until
from tools.incidents.store import IncidentStore

Scripted = tuple[Cluster, ScriptedSubject, ScriptedRuntime]


@dataclass
class Pager:
    """The receiver at the end: what Alertmanager notified it of."""

    got: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def answer(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        self.got.extend(json.loads(body)["alerts"])
        return 200, "{}"

    def told(self, status: str) -> list[dict[str, Any]]:
        return [each for each in self.got if each["status"] == status]


@pytest.fixture
async def pager() -> AsyncIterator[Pager]:
    made = Pager()
    server = await serve(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    yield made
    server.close()


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    made = await scripted_cluster()
    yield made
    await made[0].aclose()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IncidentStore]:
    made = IncidentStore(tmp_path / "operator.db")
    yield made
    made.close()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def running_alertmanager(folder: Path, port: int, pager: Pager) -> AsyncIterator[str]:
    """Run Debian's Alertmanager, which groups for 0.2 s, until the block ends."""
    folder.mkdir(exist_ok=True)
    config = folder / "alertmanager.yml"
    config.write_text(
        "route: {receiver: pager, group_by: ['...'], group_wait: 200ms, group_interval: 200ms}\n"
        f"receivers: [{{name: pager, webhook_configs: [{{url: '{pager.url}', send_resolved: true}}]}}]\n"
    )
    process = await asyncio.create_subprocess_exec(
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx2.AsyncClient() as http, asyncio.timeout(60):
            ready = False
            while not ready:
                with suppress(httpx2.HTTPError):
                    ready = (await http.get(f"{url}/-/ready")).is_success
                await asyncio.sleep(0.02)
        yield url
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def watching(cluster: Cluster, store: IncidentStore, *urls: str) -> AsyncIterator[Quiet]:
    view = Quiet()
    task = asyncio.create_task(watch(cluster, store, view, to=Addresses(alertmanagers=urls)))
    try:
        await until(view.started)
        yield view
    finally:
        task.cancel()
        await task


@pytest.mark.alertmanager
async def test_a_death_fires_once_and_its_recovery_resolves(
    scripted: Scripted, store: IncidentStore, pager: Pager, tmp_path: Path
) -> None:
    cluster, _, runtime = scripted
    async with (
        running_alertmanager(tmp_path / "am", free_port(), pager) as url,
        watching(cluster, store, url),
    ):
        runtime.happens("n2", "exit", 137)
        await until(lambda: pager.told("firing"))
        runtime.happens("n2", "start")
        await until(lambda: pager.told("resolved"))

    assert [each["labels"]["alertname"] for each in pager.told("firing")] == ["OperatorNodeDown"]
    assert pager.told("firing")[0]["labels"]["node"] == "n2"
    assert pager.told("firing")[0]["annotations"]["incident"] == store.list()[0].id
    assert len(pager.told("resolved")) == 1


@pytest.mark.alertmanager
async def test_an_alertmanager_that_was_away_is_told_what_fires_and_nothing_twice(
    scripted: Scripted, store: IncidentStore, pager: Pager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alertmanager, "RESEND_S", 0.5)
    cluster, _, runtime = scripted
    port = free_port()
    async with watching(cluster, store, f"http://127.0.0.1:{port}") as view:
        runtime.happens("n2", "exit", 137)
        await until(lambda: view.warned("does not take alerts"))
        async with running_alertmanager(tmp_path / "am", port, pager):
            await until(lambda: pager.told("firing"))
        async with running_alertmanager(tmp_path / "am", port, pager):
            runtime.happens("n2", "start")
            await until(lambda: pager.told("resolved"))

    assert (len(pager.told("firing")), len(pager.told("resolved"))) == (1, 1)


async def test_of_two_alertmanagers_the_dead_one_delays_neither_detection_nor_the_other(
    scripted: Scripted, store: IncidentStore
) -> None:
    cluster, _, runtime = scripted
    taken: list[Any] = []

    async def take(method: str, path: str, body: bytes) -> tuple[int, str]:
        taken.append((path, json.loads(body)))
        return 200, "{}"

    alive = await serve(take, "127.0.0.1", 0)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    urls = [f"http://127.0.0.1:{each.sockets[0].getsockname()[1]}" for each in (silent, alive)]
    try:
        async with watching(cluster, store, *urls):
            runtime.happens("n2", "exit", 137)
            await until(lambda: taken)
    finally:
        alive.close()
        silent.close()

    path, (alert, *_) = taken[0]
    assert path == "/api/v2/alerts"
    assert alert["labels"]["alertname"] == "OperatorNodeDown"
    assert alert["startsAt"] < alert["endsAt"]


async def test_an_alert_ends_with_its_incident_though_that_cannot_be_written_down(
    scripted: Scripted, store: IncidentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, _, runtime = scripted
    taken: list[Any] = []

    async def take(method: str, path: str, body: bytes) -> tuple[int, str]:
        taken.extend(json.loads(body))
        return 200, "{}"

    def fails(*_args: object, **_more: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(IncidentStore, "recover", fails)

    def resolved() -> bool:
        return any(datetime.fromisoformat(each["endsAt"]).timestamp() <= time.time() for each in taken)

    server = await serve(take, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with watching(cluster, store, url):
            runtime.happens("n2", "exit", 137)
            await until(lambda: taken)
            runtime.happens("n2", "start")
            await until(resolved)
    finally:
        server.close()


async def test_a_disk_that_is_full_silences_no_alert(
    scripted: Scripted, store: IncidentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, _, runtime = scripted
    taken: list[Any] = []

    async def take(method: str, path: str, body: bytes) -> tuple[int, str]:
        taken.extend(json.loads(body))
        return 200, "{}"

    server = await serve(take, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    store._db.execute("PRAGMA query_only = ON")  # every write fails, as on a full disk
    try:
        async with watching(cluster, store, url):
            runtime.happens("n2", "exit", 137)
            await until(lambda: taken)
    finally:
        server.close()

    assert taken[0]["labels"]["node"] == "n2"
