"""Engines that are slow, far away or told of late, and a Compose that does not end."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

import pytest

from subjects.base import RuntimeEvent
from subjects.errors import NotReady, SubjectError
from subjects.runtimes import compose
from subjects.runtimes.docker import DockerRuntime
from subjects.runtimes.docker_events import EventStream
from subjects.runtimes.docker_layout import DockerLayout, Service
from subjects.runtimes.engine import Engine, connect
from tests.standins.authority import Authority

P = ParamSpec("P")
T = TypeVar("T")
HOST = "127.0.0.1"
BOUND_S = 60.0
"""Ends what hangs."""
LAYOUT = DockerLayout("tikv", "p", "/f", "unix:///x", {}, (Service("tikv0", "x", {}),))
CONTAINER: Mapping[str, Any] = {
    "Id": "c" * 64,
    "State": {"Status": "running", "Paused": False, "StartedAt": "2026-01-01T00:00:00Z"},
}


class RecordedEngine(Engine):
    """Notes how long each call may take."""

    def __init__(self, client: Any) -> None:
        super().__init__(client, "unix:///x")
        self.bounds: dict[str, float] = {}

    async def ask_within(self, bound_s: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.bounds[getattr(call, "__name__", "")] = bound_s
        return await super().ask_within(bound_s, call, *args, **kwargs)


async def test_a_graceful_stop_is_waited_for_as_long_as_it_was_granted(tmp_path: Path) -> None:
    def stop(_container: str, timeout: int) -> int:
        return timeout

    listed = [{"Id": CONTAINER["Id"], "Labels": {"com.docker.compose.service": "tikv0"}}]
    api = SimpleNamespace(
        stop=stop, containers=lambda **_: listed, inspect_container=lambda _: CONTAINER, unpause=None
    )
    engine = RecordedEngine(SimpleNamespace(api=api))
    runtime = DockerRuntime(tmp_path, LAYOUT, engine, ("docker",), 0)

    await runtime.stop("tikv0", 30.0)

    assert engine.bounds["stop"] > 30.0
    assert runtime.act_timeout_s > engine.bounds["stop"]


async def test_a_container_that_is_made_while_the_stream_is_open_is_told_of() -> None:
    happened = [
        {"Action": action, "timeNano": at * 10**9, "Actor": {"ID": CONTAINER["Id"], "Attributes": attributes}}
        for at, action, attributes in (
            (1, "start", {"com.docker.compose.service": "tikv0"}),
            (2, "die", {"com.docker.compose.service": "tikv0", "exitCode": "137"}),
        )
    ]
    api = SimpleNamespace(events=lambda **_: iter(happened))
    stream = EventStream(RecordedEngine(SimpleNamespace(api=api)), LAYOUT, dict)
    told: list[RuntimeEvent] = []
    reading = stream.read()
    async with asyncio.timeout(BOUND_S):
        told.append(await anext(reading))
        told.append(await anext(reading))
    await reading.aclose()

    assert [(each.kind, each.exit_code) for each in told] == [("start", None), ("exit", 137)]


async def test_a_compose_that_takes_no_end_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "GRACE_S", 0.2, raising=False)
    stubborn = ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done")

    async with asyncio.timeout(BOUND_S):
        with pytest.raises(SubjectError, match="took longer"):
            await compose.run(stubborn, {}, 0.2)


@pytest.fixture
async def engine_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The address of an engine that says its version over TLS; the certificates for it are set."""
    authority = Authority(tmp_path)
    signed = authority.sign("engine", [HOST])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(signed.cert, signed.key)
    version = json.dumps({"ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "25.0"}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(version)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + version)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, HOST, 0, ssl=tls)
    for name, path in (("ca", authority.cert), ("cert", signed.cert), ("key", signed.key)):
        (tmp_path / f"{name}.pem").write_bytes(path.read_bytes())
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests would take them in place of the engine's
        monkeypatch.delenv(name, raising=False)
    address = f"tcp://{HOST}:{server.sockets[0].getsockname()[1]}"
    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    yield address
    server.close()
    await server.wait_closed()


async def test_an_engine_that_wants_certificates_is_found_again_by_its_address(engine_over_tls: str) -> None:
    for given in (None, engine_over_tls):
        engine = await connect(given)
        assert engine.address == engine_over_tls
        engine.close()


async def test_an_engine_whose_certificate_does_not_verify_is_told_as_that(
    engine_over_tls: str, tmp_path: Path
) -> None:
    (tmp_path / "another").mkdir()
    (tmp_path / "ca.pem").write_bytes(Authority(tmp_path / "another").cert.read_bytes())

    with pytest.raises(NotReady, match=f"{engine_over_tls} cannot be spoken to over TLS: .*certificate"):
        await connect()
