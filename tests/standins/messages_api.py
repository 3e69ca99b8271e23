"""A public stand-in of Anthropic's Messages API: a real HTTP server on loopback, JSON and streaming.

It answers from a script, refuses what the real API refuses (`messages_rules`), and fails on demand: HTTP
errors, errors inside the stream, cuts at any event or byte, resets, clean early ends, silence, slow bytes.
Every request is kept, so that a test can compare them.

    python -m tests.standins.messages_api --script tests/standins/scripts/chaos_demo.py --port 0

prints its address; point ANTHROPIC_BASE_URL there, with any ANTHROPIC_API_KEY. A script is a Python file
with a function `answer(body) -> Step` (see `messages_script`).
"""

import argparse
import asyncio
import json
import runpy
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

from tests.standins.messages_rules import Refused, Server, check, tokens
from tests.standins.messages_script import (
    Answer,
    Fails,
    Hangs,
    Says,
    Script,
    Signer,
    Spoiled,
    Step,
    events,
    whole_message,
)


@dataclass(frozen=True)
class Seen:
    """One request that came, and how it was answered."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    status: int
    refused: str = ""


class Gone(Exception):
    """The connection is to be ended here."""


@dataclass
class MessagesApi:
    """The server. `async with` starts it on a free port; `base_url` is what a client is given."""

    answer: Answer
    server: Server = field(default_factory=Server)
    requests: list[Seen] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    """What the script itself raised; a test checks that it is empty (`raise_errors`)."""
    signer: Signer = field(default_factory=Signer)
    port: int = 0
    _listening: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self._listening.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[Mapping[str, Any]]:
        return [seen.body for seen in self.requests]

    @property
    def refusals(self) -> list[str]:
        """Why requests were refused by the rules: a loop that is right has none."""
        return [seen.refused for seen in self.requests if seen.refused]

    def raise_errors(self) -> None:
        for error in self.errors:
            raise error

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (Gone, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001 - told by raise_errors
            self.errors.append(error)
        finally:
            self._tasks.discard(task)
            with suppress(ConnectionError):
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
            if name
        }
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        body = json.loads(raw or b"{}")
        step = self._decide(path, headers, body)
        match step:
            case Hangs(refuse=True):
                raise Gone
            case Hangs():
                await reader.read()  # until the client leaves
                raise Gone
            case Fails():
                await _send_json(writer, step.status, _error(step), _retry_headers(step))
            case Says() if body.get("stream"):
                await self._stream(reader, writer, step, body)
            case Says():
                await _send_json(writer, 200, whole_message(step, body, self.signer, self._usage(body)), {})
        return True

    def _decide(self, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Step:
        kept = {name: value for name, value in headers.items() if name not in {"authorization", "x-api-key"}}
        try:
            self._check(path, headers, body)
        except Refused as refused:
            self.requests.append(Seen(path, kept, body, refused.status, str(refused)))
            kind = {401: "authentication_error", 404: "not_found_error"}.get(
                refused.status, "invalid_request_error"
            )
            return Fails(refused.status, kind, str(refused), code=refused.code)
        step: Step = self._compaction(body) if "compaction" in body else self.answer(body)
        status = step.status if isinstance(step, Fails) else 200
        self.requests.append(Seen(path, kept, body, status))
        return step

    def _check(self, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> None:
        if path.split("?")[0] != "/v1/messages":
            raise Refused(f"{path} is not here", status=404)
        key = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("x-api-key", "")
        if not key or key.startswith("bad"):
            raise Refused("invalid credentials", status=401)
        if "anthropic-version" not in headers:
            raise Refused("anthropic-version: header is required")
        betas = {name.strip() for name in headers.get("anthropic-beta", "").split(",") if name}
        check(body, betas, self.signer, self.server)

    def _compaction(self, body: Mapping[str, Any]) -> Says:
        signature = self.signer.fresh_id("compacted")
        self.signer.known.add(signature)
        summary = f"A summary of {len(body['messages'])} messages."
        return Says(({"type": "compaction", "content": summary, "signature": signature},), "compaction")

    def _usage(self, body: Mapping[str, Any]) -> dict[str, int]:
        """Counts as if every prefix that an earlier request had were read from the cache."""
        total = tokens(body)
        earlier = [seen.body for seen in self.requests[:-1] if not seen.refused]
        cached = max((_shared(body, other) for other in earlier), default=0)
        return {
            "input_tokens": max(1, total - cached),
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": 0,
        }

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, step: Says, body: Mapping[str, Any]
    ) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_standin\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        sent = 0
        for count, (kind, data) in enumerate(events(step, body, self.signer, self._usage(body))):
            if step.fault is not None and step.fault.after_events == count:
                await _spoil(reader, writer, step.fault)
            piece = f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
            room = (
                None
                if step.fault is None or step.fault.after_bytes is None
                else step.fault.after_bytes - sent
            )
            if room is not None and room < len(piece):
                _chunk(writer, piece[:room])
                assert step.fault is not None
                await _spoil(reader, writer, step.fault)
            if step.fault is not None and step.fault.how == "slow":
                for byte in piece:
                    _chunk(writer, bytes([byte]))
                    await asyncio.sleep(step.fault.pause_s)
            else:
                _chunk(writer, piece)
            sent += len(piece)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _spoil(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Spoiled) -> None:
    await writer.drain()
    match fault.how:
        case "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        case "eof":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        case "silence":
            await reader.read()
        case "pings":
            while not reader.at_eof() and not writer.is_closing():
                _chunk(writer, b'event: ping\ndata: {"type": "ping"}\n\n')
                await writer.drain()
                await asyncio.sleep(fault.pause_s)
        case "error":
            error = {
                "type": "error",
                "error": {"type": fault.error_type, "message": "scripted by the stand-in"},
            }
            _chunk(writer, f"event: error\ndata: {json.dumps(error)}\n\n".encode())
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        case "cut":
            pass
        case "slow":
            return
    raise Gone


def _chunk(writer: asyncio.StreamWriter, piece: bytes) -> None:
    if piece:
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")


async def _send_json(
    writer: asyncio.StreamWriter, status: int, value: Mapping[str, Any], headers: Mapping[str, str]
) -> None:
    raw = json.dumps(value).encode()
    more = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n{more}"
    writer.write(f"{head}request-id: req_standin\r\n\r\n".encode() + raw)
    await writer.drain()


def _error(step: Fails) -> dict[str, Any]:
    error: dict[str, Any] = {"type": step.error_type, "message": step.message}
    if step.code:
        error["details"] = {"error_code": step.code}
    return {"type": "error", "error": error}


def _retry_headers(step: Fails) -> dict[str, str]:
    return {"retry-after": step.retry_after} if step.retry_after is not None else {}


def _shared(body: Mapping[str, Any], earlier: Mapping[str, Any]) -> int:
    if body.get("tools") != earlier.get("tools") or body.get("system") != earlier.get("system"):
        return 0
    count = 0
    for mine, theirs in zip(body["messages"], earlier["messages"], strict=False):
        if mine != theirs:
            break
        count += 1
    return tokens([body.get("system"), body.get("tools"), body["messages"][:count]])


def changed_prefixes(bodies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where consecutive requests differ in what they should share: system, tools, the common messages."""
    found = []
    for number, (earlier, later) in enumerate(pairwise(bodies)):
        found += [
            f"request {number + 1}: {name}"
            for name in ("system", "tools")
            if earlier.get(name) != later.get(name)
        ]
        for index, (old, new) in enumerate(zip(earlier["messages"], later["messages"], strict=False)):
            if old != new:
                found.append(f"request {number + 1}: messages.{index}")
                break
        if len(later["messages"]) < len(earlier["messages"]):
            found.append(f"request {number + 1}: fewer messages")
    return found


async def _serve(script: str, port: int) -> None:
    answer: Answer = runpy.run_path(script)["answer"]
    async with MessagesApi(answer, port=port) as api:
        print(json.dumps({"base_url": api.base_url}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--script", required=True)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.script, given.port))


__all__ = ["MessagesApi", "Script", "Server", "changed_prefixes"]

if __name__ == "__main__":
    main()
