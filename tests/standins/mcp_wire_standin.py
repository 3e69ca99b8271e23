"""A bare MCP client on the wire of a real process: it sees every byte that the server writes."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

BOUND_S = 120.0


class Wire:
    """One `operator mcp` process and the line to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._asked = 0

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask, and return the next line, which must be the answer."""
        self._asked += 1
        await self.tell(method, params, id=self._asked)
        assert self.process.stdout is not None
        answer = json.loads(await asyncio.wait_for(self.process.stdout.readline(), BOUND_S))
        assert answer["id"] == self._asked, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def tell(self, method: str, params: dict[str, Any] | None = None, **more: Any) -> None:
        """Say something that needs no answer."""
        assert self.process.stdin is not None
        message = {
            "jsonrpc": "2.0",
            "method": method,
            **more,
            **({} if params is None else {"params": params}),
        }
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        await self.process.stdin.drain()

    async def call(self, name: str, **arguments: Any) -> str:
        """Call a tool that must succeed; return the text of its result."""
        result = await self.ask("tools/call", name=name, arguments=arguments)
        text: str = result["content"][0]["text"]
        assert not result.get("isError"), text
        return text

    async def hang_up(self) -> bytes:
        """Close the line; return what the server still wrote before it ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        left = await asyncio.wait_for(self.process.stdout.read(), BOUND_S)
        await asyncio.wait_for(self.process.wait(), BOUND_S)
        return left


@contextlib.asynccontextmanager
async def operator_mcp(state: Path, *options: str) -> AsyncIterator[Wire]:
    """Start `operator mcp` on a state folder, greet it, and see that it is gone at the end."""
    with (state.parent / "told").open("wb") as told:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "agent", "mcp", "--subject", "etcd", "--state-dir", str(state), *options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=told,
            env=dict(os.environ),
        )
    wire = Wire(process)
    try:
        client = {"name": "wire", "version": "0"}
        greeted = await wire.ask(
            "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client
        )
        assert greeted["serverInfo"]["name"] == "operator"
        await wire.tell("notifications/initialized")
        yield wire
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
