"""A small real HTTP server that speaks as much of etcd's JSON gateway as the load needs, and misbehaves."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Answer = Callable[[str], web.StreamResponse]


class Gateway:
    """Keys in memory; `stall_s` holds every request that comes from then on, `answer` replaces its answer."""

    def __init__(self) -> None:
        self.url = ""
        self.stall_s = 0.0
        self.answer: Answer | None = None
        self.puts = 0
        self._revision = 0
        self._rows: dict[str, dict[str, Any]] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, or misbehave."""
        body = await request.json()
        method = request.match_info["method"]
        self.puts += method == "put"
        if self.stall_s:
            await asyncio.sleep(self.stall_s)
        if self.answer is not None:
            return self.answer(method)
        return web.json_response(self._do(method, body))

    def _do(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        if method == "put":
            self._revision += 1
            b64decode(body["value"], validate=True)
            self._rows[body["key"]] = {**body, "mod_revision": str(self._revision)}
        header = {"revision": str(self._revision)}
        row = self._rows.get(body["key"])
        return {"header": header, "kvs": [row]} if method == "range" and row else {"header": header}


@asynccontextmanager
async def gateway() -> AsyncIterator[Gateway]:
    """Serve one on a free port of loopback."""
    standin = Gateway()
    app = web.Application()
    app.router.add_post("/v3/kv/{method}", standin.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    standin.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield standin
    finally:
        await runner.cleanup()
