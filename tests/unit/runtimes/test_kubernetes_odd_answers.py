"""What answers where the API server was expected: a proxy, a login page, another API. One line says so."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from subjects.base import RuntimeEvent
from subjects.errors import SubjectError
from subjects.etcd import kubernetes as etcd_plan
from subjects.runtimes.kubernetes.api import connect
from subjects.runtimes.kubernetes.attached import attach_nodes
from subjects.runtimes.kubernetes.opening import open_kubernetes
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.runtimes.kubernetes.pods import Pods
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


async def test_a_pod_that_is_deleted_is_told_with_the_time_that_it_has_to_go(tmp_path: Path) -> None:
    asked = {"deletionTimestamp": "2026-11-28T21:12:15Z", "deletionGracePeriodSeconds": 65535}
    change = {"type": "MODIFIED", "object": {**POD, "metadata": {**POD["metadata"], **asked}}}
    event = await first_event(tmp_path, lambda path: json.dumps(change if "watch=" in path else LIST))

    assert (event.node, event.kind, event.grace_s) == ("db-0", "leaving", 65535.0)
