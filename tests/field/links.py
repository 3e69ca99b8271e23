"""The network between members: a real TCP relay before each peer port, in which a way can be cut or slowed.

Members say who they are in the first request of each connection (`X-Server-From`, etcd's rafthttp), so the
relay knows the way from one member to another without any help of the kernel's.
"""

import asyncio
import re
import threading
from collections.abc import Coroutine
from typing import Any

HOST = "127.0.0.1"
HEAD = 16_384
_FROM = re.compile(rb"\r\nx-server-from: ([0-9a-f]+)", re.IGNORECASE)


class Links:
    """Relays of one cluster, in a thread with an event loop of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut: set[tuple[str, str]] = set()
        self._delays: dict[tuple[str, str], float] = {}
        self.ids: dict[str, str] = {}
        """Member id → name, filled in once the members are up."""

    def add(self, name: str, listen: int, target: int) -> None:
        """Relay connections to `listen` on to the peer port `target` of member `name`."""
        self._do(self._serve(name, listen, target))

    def cut(self, *ways: tuple[str, str]) -> None:
        """Let nothing pass any more on these ways, each from one member to another; silence, no reset."""
        self._cut |= set(ways)

    def isolate(self, name: str, others: tuple[str, ...]) -> None:
        """Cut one member off from the others, both ways."""
        self.cut(*((name, other) for other in others), *((other, name) for other in others))

    def delay(self, seconds: float, *ways: tuple[str, str]) -> None:
        """Let what goes on these ways come later."""
        self._delays.update(dict.fromkeys(ways, seconds))

    def restore(self) -> None:
        """Let everything pass again; connections that were silent are ended, as a firewall's would be."""
        self._cut.clear()
        self._delays.clear()

    def close(self) -> None:
        """End all relays and the thread."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, name: str, listen: int, target: int) -> None:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await self._relay(name, target, reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                self._tasks.discard(task)
                writer.transport.abort()

        self._servers.append(await asyncio.start_server(relay, HOST, listen))

    async def _relay(
        self, name: str, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.read(HEAD)
        found = _FROM.search(head)
        source = found[1].decode() if found else ""
        there, back = (source, name), (name, source)
        await self._passable(there)
        out_reader, out = await asyncio.open_connection(HOST, target)
        try:
            out.write(head)
            await asyncio.gather(self._pump(reader, out, there), self._pump(out_reader, writer, back))
        finally:
            out.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: tuple[str, str]
    ) -> None:
        while data := await reader.read(65536):
            await self._passable(way)
            if delay := self._delays.get(self._named(way)):
                await asyncio.sleep(delay)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    async def _passable(self, way: tuple[str, str]) -> None:
        """Return at once on a way that is open; on one that is cut never: it ends when the cut heals."""
        if self._named(way) not in self._cut:
            return
        while self._named(way) in self._cut:
            await asyncio.sleep(0.05)
        raise ConnectionResetError

    def _named(self, way: tuple[str, str]) -> tuple[str, str]:
        """Return the way by names: connections are made before anybody knows the members' ids."""
        return self.ids.get(way[0], way[0]), self.ids.get(way[1], way[1])

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
