"""How the database in the pods is reached from here.

straight: by the pods' own addresses, where they can be reached from this machine.
probe: through a pod of ours, each connection an exec of `nc` there: what a client in the cluster sees.
forward: through the API server and the pod's node. It goes round the network between pods, so it shows what
the database says of itself and nothing of whether clients get through.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Literal, TypeVar

from subjects.errors import SubjectError
from subjects.runtimes.kubernetes.api import Api
from subjects.runtimes.kubernetes.pods import Pods
from subjects.runtimes.kubernetes.stream import Stream, execute, forward
from subjects.runtimes.ports import HOST

T = TypeVar("T")
Mode = Literal["straight", "probe", "forward"]
STRAIGHT_S = 0.75
"""How long a pod's address may take to answer, or to refuse, to count as reachable."""
HOST_AFTER_S = 0.15
"""An answer takes 1 to 5 ms; what takes longer is also asked for on the node's own host."""
CONNECT_S = "10"
"""How long `nc` in the probe pod tries to connect."""
_RESET = struct.pack("ii", 1, 0)
_PIECE = 65536


class Way:
    """The ports of pods, each at an address that can be used from here."""

    def __init__(
        self, api: Api, namespace: str, pods: Pods, mode: Mode, probe: tuple[str, str] | None
    ) -> None:
        self.mode = mode
        self._api = api
        self._namespace = namespace
        self._pods = pods
        self.probe = probe
        """Pod and container in which `nc` runs."""
        self._doors: dict[tuple[str, int], tuple[asyncio.Server, int]] = {}
        self._open: set[asyncio.Task[None]] = set()

    def address(self, node: str, port: int) -> tuple[str, int] | None:
        """Return where a pod's port is reached; None while the pod has no address, or no way is open yet."""
        if self.mode == "straight":
            pod = self._pods.get(node)
            ip = (pod or {}).get("status", {}).get("podIP")
            return (str(ip), port) if ip else None
        door = self._doors.get((node, port))
        return (HOST, door[1]) if door else None

    async def lead_to(self, targets: Iterable[tuple[str, int]]) -> None:
        """Have an address for each of these nodes' ports from now on, and for no others."""
        if self.mode == "straight":
            return
        wanted = set(targets)
        for gone in self._doors.keys() - wanted:
            self._doors.pop(gone)[0].close()
        for node, port in wanted:
            if (node, port) not in self._doors:
                server = await asyncio.start_server(self._accepter(node, port), HOST, 0)
                self._doors[node, port] = server, server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Close every connection and every door."""
        for server, _ in self._doors.values():
            server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._doors.clear()

    def _accepter(self, node: str, port: int) -> Callable[..., None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._carry(node, port, reader, writer))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

        return accept

    async def _carry(
        self, node: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one connection; whoever made it is reset where the far end can't be reached."""
        clean = False
        try:
            async with self._dial(node, port) as far:
                clean = await _join(reader, writer, far)
        except (SubjectError, OSError):
            clean = False
        finally:
            if not clean:
                near = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
            writer.close()

    def _dial(self, node: str, port: int) -> contextlib.AbstractAsyncContextManager[Stream]:
        if self.mode == "forward" or self.probe is None:
            return forward(self._api, self._namespace, node, port)
        pod = self._pods.get(node)
        ip = (pod or {}).get("status", {}).get("podIP")
        if not ip:
            raise ConnectionRefusedError(f"the pod {node} has no address")
        where, container = self.probe
        command = ("nc", "-w", CONNECT_S, str(ip), str(port))
        return execute(self._api, self._namespace, where, container, command)


async def past_network(
    as_client: Coroutine[Any, Any, T], on_host: Callable[[], Awaitable[T]], good: Callable[[T], bool]
) -> T:
    """Return what a client is answered, or what the node's own host is where only that is `good`.

    The host is asked where the client's answer takes long, or is none.
    """
    asked = asyncio.ensure_future(as_client)
    try:
        await asyncio.wait({asked}, timeout=HOST_AFTER_S)
        if asked.done() and good(asked.result()):
            return asked.result()
        said = await on_host()
        return said if good(said) else await asked
    finally:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


async def reachable(addresses: Iterable[tuple[str, int]]) -> bool:
    """Whether pods' own addresses can be reached from here: one of them answers, or refuses."""
    found = await asyncio.gather(*(_answers(host, port) for host, port in addresses))
    return any(found)


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(STRAIGHT_S):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far: Stream) -> bool:
    """Pass bytes both ways until one side ends; whether it ended in order."""

    async def out() -> None:
        while data := await reader.read(_PIECE):
            await far.send(data)

    async def back() -> bool:
        got = False
        while data := await far.receive():
            got = True
            writer.write(data)
            await writer.drain()
        return got

    sending = asyncio.ensure_future(out())
    receiving = asyncio.ensure_future(back())
    try:
        await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        if receiving.done():
            return receiving.exception() is None and receiving.result()
        return True  # whoever connected has closed
    finally:
        for each in (sending, receiving):
            each.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)
