"""What answers where the API server was expected: a proxy, a login page, another API. One line says so."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from subjects.base import Identity, RuntimeEvent
from subjects.errors import SubjectError
from subjects.etcd import kubernetes as etcd_plan
from subjects.runtimes.kubernetes.api import Api, connect, kubeconfig_files
from subjects.runtimes.kubernetes.attached import attach_nodes
from subjects.runtimes.kubernetes.opening import open_kubernetes
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.runtimes.kubernetes.pods import Pods
from subjects.runtimes.kubernetes.runtime import KubernetesRuntime, cores
from subjects.runtimes.kubernetes.way import Way
from subjects.state import open_state
from tests.standins import standin_http

CONTEXT = "kind-odd"
POD: dict[str, Any] = {
    "metadata": {"name": "db-0", "uid": "u1", "resourceVersion": "7"},
    "spec": {"containers": [{"name": "db"}]},
    "status": {
        "containerStatuses": [
            {
                "name": "db",
                "containerID": "containerd://a",
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
        ]
    },
}
LIST = {"metadata": {"resourceVersion": "7"}, "items": [POD]}
ODD = [
    "<html><body>Sign in</body></html>",
    "",
    "[]",
    "null",
    "{}",
    '{"metadata": null, "items": null}',
    '{"metadata": {"resourceVersion": "7"}, "items": [null]}',
    '{"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "db-0"}, "status": []}]}',
    '{"metadata": [], "spec": {"selector": "all"}, "status": 3, "major": {}, "minor": "x"}',
]


@asynccontextmanager
async def answering(folder: Path, answer: Callable[[str], str]) -> AsyncIterator[Path]:
    """A server that says what `answer` makes of a path, with 200; yields the kubeconfig that leads there."""

    async def says(method: str, path: str, body: bytes) -> standin_http.Answer:
        return 200, answer(path)

    server = await standin_http.serve(says, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = folder / "kubeconfig"
    context = {"name": CONTEXT, "context": {"cluster": "c", "user": "u"}}
    cluster = {"name": "c", "cluster": {"server": address}}
    user = {"name": "u", "user": {"token": "t"}}
    kinds = {"contexts": [context], "clusters": [cluster], "users": [user], "current-context": CONTEXT}
    config.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **kinds}))
    try:
        yield config
    finally:
        server.close()


@pytest.mark.parametrize("text", ODD)
async def test_it_is_told_in_one_line_that_names_the_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    async with answering(tmp_path, lambda _: text) as config:
        monkeypatch.setenv("KUBECONFIG", str(config))
        for options in (KubernetesOptions(selector="app=db"), KubernetesOptions(statefulset="db")):
            with pytest.raises(SubjectError, match=CONTEXT) as told:
                await attach_nodes(options, (2379,))
            assert "\n" not in str(told.value)
        with pytest.raises(SubjectError, match=CONTEXT):
            await open_kubernetes("etcd", etcd_plan, open_state(tmp_path / "state"), KubernetesOptions())


async def first_event(folder: Path, answer: Callable[[str], str]) -> RuntimeEvent:
    """Return what is told first of the pods that such a server has."""
    said: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
    async with answering(folder, answer) as config:
        api = await connect(None, str(config))
        pods = Pods(api, "default", "app=db")
        pods.tell(said.put_nowait)
        await pods.start()
        event = await asyncio.wait_for(said.get(), 60)
        await pods.aclose()
        await api.aclose()
    return event


async def test_a_watch_goes_on_after_events_that_are_none(tmp_path: Path) -> None:
    events = iter(
        ["no JSON", "[]", '{"type": "ADDED"}', json.dumps({"type": "MODIFIED", "object": {"metadata": 1}})]
    )
    gone = json.dumps({"type": "DELETED", "object": POD})
    event = await first_event(
        tmp_path, lambda path: next(events, gone) if "watch=" in path else json.dumps(LIST)
    )

    assert (event.node, event.kind) == ("db-0", "exit")


async def test_a_watch_that_is_refused_each_time_is_not_asked_for_without_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
    events = iter([json.dumps(gone)] * 3)
    ended = json.dumps({"type": "DELETED", "object": POD})
    happened: list[str] = []
    sleep = asyncio.sleep

    async def pause(_delay_s: float) -> None:
        happened.append("pause")
        await sleep(0)

    def answer(path: str) -> str:
        happened.append("watch" if "watch=" in path else "list")
        return next(events, ended) if "watch=" in path else json.dumps(LIST)

    monkeypatch.setattr(asyncio, "sleep", pause)
    await first_event(tmp_path, answer)

    assert happened[:4] == ["list", "watch", "pause", "list"]


def test_a_kubeconfig_is_found_again_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", f"mine{os.pathsep}other")

    assert kubeconfig_files() == f"{tmp_path / 'mine'}{os.pathsep}{tmp_path / 'other'}"


async def test_a_port_that_is_asked_for_no_more_is_listened_on_no_more() -> None:
    way = Way(Api(None, None, "", "", ""), "db", Pods(Api(None, None, "", "", ""), "db", ""), "forward", None)
    await way.lead_to([("db-0", 2379), ("db-1", 2379)])
    door = way.address("db-1", 2379)
    await way.lead_to([("db-0", 2379)])

    assert door is not None
    assert way.address("db-1", 2379) is None
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*door)
    await way.aclose()


async def test_a_limit_that_is_no_whole_thousandth_of_a_core_is_known_when_it_is_in_force() -> None:
    asked: list[str] = []

    async def call(*_words: object, body: dict[str, Any], **_more: object) -> None:
        asked.append(body["spec"]["containers"][0]["resources"]["limits"]["cpu"])

    async def limits(_node: str) -> dict[str, float]:
        return {"cpu_share": cores(asked[-1])}

    async def require(*_words: object) -> None:
        """The process is the one that was meant."""

    runtime = SimpleNamespace(
        databases={"db-0": SimpleNamespace(name="db")},
        api=SimpleNamespace(call=call),
        limits=limits,
        act_timeout_s=0.0,
        _require=require,
        _pod_path=str,
    )
    process = Identity("container", "u1", "7 at 1")
    await KubernetesRuntime.set_limit(cast(KubernetesRuntime, runtime), "db-0", process, "cpu_share", 1 / 3)

    assert asked == ["333m"]


async def test_a_pod_that_is_deleted_is_told_with_the_time_that_it_has_to_go(tmp_path: Path) -> None:
    asked = {"deletionTimestamp": "2026-11-28T21:12:15Z", "deletionGracePeriodSeconds": 65535}
    change = {"type": "MODIFIED", "object": {**POD, "metadata": {**POD["metadata"], **asked}}}
    event = await first_event(tmp_path, lambda path: json.dumps(change if "watch=" in path else LIST))

    assert (event.node, event.kind, event.grace_s) == ("db-0", "leaving", 65535.0)
