"""An MCP client gets the reads, the acts only when they were allowed, and nothing else on the wire."""

import asyncio
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from agent.mcp import server as mcp_server
from agent.mcp.frames import frames
from agent.mcp.server import Offered, make_server, offer
from agent.sessions.opening import open_session
from agent.sessions.session import Session
from agent.setup import Setup
from agent.transcript.reading import read
from subjects.errors import NotReady
from tests.standins.mcp_wire_standin import operator_mcp
from tests.standins.quiet_view import QuietView
from tools.tool import Effect

mcp = pytest.importorskip("mcp")
mcp_types = pytest.importorskip("mcp_types")


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    opened = await open_session(Setup(state_dir=tmp_path / "state", offline=True), QuietView())
    yield opened
    await opened.aclose()


def offered(session: Session, *, allow_faults: bool = False) -> Offered:
    return Offered(session.dispatcher, session.transcript, allow_faults)


async def listed(tools: Offered) -> dict[str, Any]:
    async with mcp.Client(make_server(tools, "0")) as client:
        found = await client.list_tools()
    return {tool.name: tool for tool in found.tools}


async def test_by_itself_it_offers_reads_only(session: Session) -> None:
    tools = await listed(offered(session))

    assert {"cluster_status", "read_logs", "timeline", "incident_list"} <= tools.keys()
    assert all(session.dispatcher.effect(name) is Effect.READ for name in tools)
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    assert not any(tool.annotations.destructive_hint for tool in tools.values())


async def test_when_allowed_acts_are_offered_and_marked_for_what_they_are(session: Session) -> None:
    tools = await listed(offered(session, allow_faults=True))

    assert tools.keys() == session.dispatcher.tools.keys()
    for name, tool in tools.items():
        effect = session.dispatcher.effect(name)
        assert tool.annotations.read_only_hint == (effect is Effect.READ)
        assert tool.annotations.destructive_hint == (effect is Effect.DESTROY)
    assert "submit_diagnosis" not in tools


async def test_schemas_and_descriptions_are_the_registry_s(session: Session) -> None:
    tools = await listed(offered(session))

    for name, tool in tools.items():
        assert tool.input_schema == session.dispatcher.tools[name].schema
        assert tool.description == session.dispatcher.tools[name].description


async def test_a_call_returns_the_result_with_its_evidence_id(session: Session) -> None:
    async with mcp.Client(make_server(offered(session), "0")) as client:
        result = await client.call_tool("cluster_status", {})

    assert not result.is_error
    assert result.content[0].text.startswith("[E1] {")
    assert '"state":"down"' in result.content[0].text


async def test_a_bad_argument_is_an_error_that_says_what_is_valid(session: Session) -> None:
    async with mcp.Client(make_server(offered(session), "0")) as client:
        result = await client.call_tool("timeline", {"limit": "many"})

    assert result.is_error
    assert "limit" in result.content[0].text


@pytest.mark.parametrize(
    ("name", "told"),
    [("store_kill", "--allow-faults"), ("rm", "There is no tool 'rm'"), ("submit_diagnosis", "no")],
)
async def test_what_is_not_offered_is_not_run(session: Session, name: str, told: str) -> None:
    async with mcp.Client(make_server(offered(session), "0")) as client:
        result = await client.call_tool(name, {})

    assert result.is_error
    assert told in result.content[0].text
    assert len(session.ledger) == 0


async def test_each_call_is_written_down_before_and_after(session: Session) -> None:
    async with mcp.Client(make_server(offered(session), "0")) as client:
        await client.call_tool("cluster_status", {})
        await client.call_tool("incident_list", {"limit": 1})

    entries = [
        (e.type, e.data["tool"]) for e in read(session.transcript.path) if e.type in {"call", "outcome"}
    ]
    assert entries == [
        ("call", "cluster_status"),
        ("outcome", "cluster_status"),
        ("call", "incident_list"),
        ("outcome", "incident_list"),
    ]


async def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(NotReady, match=r"pip install 'chaos-operator\[mcp\]'"):
        await offer(Setup(state_dir=tmp_path), QuietView())


async def test_over_real_stdio_every_line_is_the_protocol_s_and_the_end_is_clean(tmp_path: Path) -> None:
    async with operator_mcp(tmp_path / "state") as wire:
        assert (await wire.call("cluster_status")).startswith("[E1] ")

        assert await wire.hang_up() == b""
        assert wire.process.returncode == 0


async def test_what_was_piped_in_is_answered_though_the_client_closed_its_end(tmp_path: Path) -> None:
    async with operator_mcp(tmp_path / "state") as wire:
        await wire.tell("tools/list", id=98)
        await wire.tell("tools/call", {"name": "cluster_status", "arguments": {}}, id=99)

        answers = [json.loads(line) for line in (await wire.hang_up()).splitlines()]

    assert sorted(answer["id"] for answer in answers) == [98, 99]


async def test_a_server_that_is_ended_while_a_line_arrives_ends_as_it_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The transport fails for the line that nobody takes any more, and forgets that it was cancelled."""

    class Busy:
        def create_initialization_options(self) -> None: ...

        async def run(self, incoming: Any, outgoing: Any, _options: None) -> None:
            async with incoming, outgoing:
                await asyncio.sleep(60)

    came = asyncio.Event()

    async def one_line(*_: object) -> AsyncIterator[str]:
        came.set()
        yield '{"jsonrpc": "2.0", "method": "notifications/initialized"}'

    monkeypatch.setattr(mcp_server, "divert_input", lambda: 0)
    monkeypatch.setattr(mcp_server, "frames", one_line)
    serving = asyncio.create_task(mcp_server.serve(cast(Any, Busy())))
    await came.wait()
    for _ in range(10):  # until the transport waits for somebody to take the line
        await asyncio.sleep(0)
    serving.cancel()

    await asyncio.wait({serving})
    assert serving.cancelled()


async def test_a_terminated_server_ends_though_its_client_still_holds_the_line(tmp_path: Path) -> None:
    async with operator_mcp(tmp_path / "state") as wire:
        wire.process.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(wire.process.wait(), 60) == 128 + signal.SIGTERM


def test_a_server_ends_when_nobody_reads_its_answers_though_its_input_is_held_open(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "agent", "--state-dir", str(tmp_path / "state"), "mcp"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()

        assert process.wait(60) == 128 + signal.SIGPIPE


def test_an_answer_that_nobody_reads_ends_the_server_without_a_traceback(tmp_path: Path) -> None:
    client = {"name": "x", "version": "1"}
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    with subprocess.Popen(
        [sys.executable, "-m", "agent", "--state-dir", str(tmp_path / "state"), "mcp"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(hello).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(b'{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}\n', timeout=60)

    assert b"Traceback" not in err
    assert process.returncode in (0, 128 + signal.SIGPIPE)


@pytest.mark.parametrize(
    ("frame", "code", "call_id"),
    [
        (b"hello", -32700, None),
        (b"{", -32700, None),
        (b"\xff\xfe", -32700, None),
        (b"[" * 100_000, -32700, None),
        (b"[]", -32600, None),
        (b"null", -32600, None),
        (b'{"jsonrpc":"2.0","id":7}', -32600, 7),
        (b'{"jsonrpc":"1.0","id":"x","method":"ping"}', -32600, "x"),
        (b'{"jsonrpc":"2.0","id":8,"method":5}', -32600, 8),
        (b'{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":%s,"method":"ping"}' % (b"9" * 5000), -32600, None),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else "",
)
async def test_a_frame_that_is_none_is_answered_with_an_error(
    frame: bytes, code: int, call_id: object, tmp_path: Path
) -> None:
    refused: list[tuple[object, int]] = []

    async def lines() -> AsyncIterator[str]:
        yield frame.decode("utf-8", "replace")
        yield '\ufeff{"jsonrpc":"2.0","id":9,"method":"a\\ud800"}'

    async def refuse(known: object, number: int, _text: str) -> None:
        refused.append((known, number))

    def valid(text: str) -> bool:
        try:
            mcp_types.jsonrpc_message_adapter.validate_json(text, by_name=False)
        except ValidationError:
            return False
        return True

    kept = [json.loads(each) async for each in frames(lines(), valid, refuse)]

    assert refused == [(call_id, code)]
    assert [(each["id"], each["method"]) for each in kept] == [(9, "a\ufffd")]


async def test_on_the_wire_a_bad_frame_is_answered_and_the_next_is_served(tmp_path: Path) -> None:
    async with operator_mcp(tmp_path / "state") as wire:
        assert wire.process.stdin is not None
        assert wire.process.stdout is not None
        wire.process.stdin.write(b"no frame at all\n")
        answer = json.loads(await asyncio.wait_for(wire.process.stdout.readline(), 30))
        assert (answer["id"], answer["error"]["code"]) == (None, -32700)
        status = await wire.call("cluster_status")

    assert "cluster_start" not in status, "what is not offered is not advised"
    assert "only reads" in status
