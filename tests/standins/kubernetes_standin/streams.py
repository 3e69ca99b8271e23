"""What goes through the API server into a pod: exec and port-forward by websocket, and logs."""

import asyncio
import contextlib
import json
import struct
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from aiohttp import WSMsgType, web

from tests.standins.kubernetes_standin.containers import Instance, stamp
from tests.standins.kubernetes_standin.kinds import Object
from tests.standins.kubernetes_standin.kubelet import Kubelet
from tests.standins.kubernetes_standin.pod import RunningPod, Slot
from tests.standins.kubernetes_standin.store import ApiError

STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
EXEC_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
END_LATE_S = 1.0
"""A port-forward tells the end of a connection so late: containerd holds it back."""


class Streams:
    """Serves them for one kubelet."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    async def __call__(
        self, request: web.Request, namespace: str, name: str, subresource: str
    ) -> web.StreamResponse:
        running = self._kubelet.find(namespace, name)
        if subresource == "log":
            return await self._logs(request, running, name)
        if running is None:
            raise ApiError(400, "BadRequest", f"pod {name} does not have a host assigned")
        if subresource == "portforward":
            return await self._forward(request, running)
        return await self._exec(request, running)

    def _slot(self, request: web.Request, running: RunningPod | None, name: str) -> Slot:
        slots = running.slots if running is not None else {}
        wanted = request.query.get("container", "")
        if not wanted and len(slots) > 1:
            text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(slots)}]"
            raise ApiError(400, "BadRequest", text)
        wanted = wanted or next(iter(slots), "")
        if wanted not in slots:
            raise ApiError(400, "BadRequest", f"container {wanted} is not valid for pod {name}")
        return slots[wanted]

    async def _exec(self, request: web.Request, running: RunningPod) -> web.StreamResponse:
        slot = self._slot(request, running, running.pod["metadata"]["name"])
        instance = slot.instance
        if instance is None or instance.pid is None:
            raise ApiError(
                500,
                "InternalError",
                f'unable to upgrade connection: container not found ("{slot.spec["name"]}")',
            )
        socket = web.WebSocketResponse(protocols=EXEC_PROTOCOLS, compress=False, max_msg_size=0)
        await socket.prepare(request)
        await socket.send_bytes(bytes([STDOUT]))
        command = request.query.getall("command", [])
        image_has = instance.place.has(command[0]) and (
            slot_shell(slot) or command[0].rpartition("/")[2] not in _SHELLS
        )
        if not image_has:
            text = (
                "error executing command in container: failed to exec in container: failed to start exec: "
                "OCI runtime exec failed: exec failed: unable to start container process: "
                f'exec: "{command[0]}": executable file not found in $PATH: unknown'
            )
            failed = ApiError(500, "InternalError", f"Internal error occurred: {text}")
            await _status(socket, failed.status)
            return socket
        if command[0].rpartition("/")[2] == "nc":
            await self._netcat(socket, running, instance, command[1:])
        else:
            await Execution(socket, running, instance, request).run(command)
        return socket

    async def _netcat(
        self, socket: web.WebSocketResponse, running: RunningPod, instance: Instance, words: list[str]
    ) -> None:
        """`nc [-w SECONDS] HOST PORT`, without a process: these are many, and each holds one connection."""
        wait_s = float(words[words.index("-w") + 1]) if "-w" in words else None
        host, port = words[-2:]
        network, namespace = self._kubelet.network, running.pod["metadata"]["namespace"]
        address = network.inner_of(self._kubelet.lookup(host, namespace) or host)
        try:
            async with asyncio.timeout(wait_s):
                reader, writer = await asyncio.open_connection(
                    address, int(port), local_addr=(running.door.inner, 0)
                )
        except (OSError, TimeoutError) as error:
            text = f"nc: {host} ({host}:{port}): {getattr(error, 'strerror', None) or 'timed out'}\n"
            await socket.send_bytes(bytes([STDERR]) + text.encode())
            await _status(socket, _outcome(1))
            return
        sending = asyncio.create_task(_send(socket, writer))
        receiving = asyncio.create_task(_receive(reader, socket))
        ending = asyncio.create_task(instance.ended())
        await asyncio.wait([sending, receiving, ending], return_when=asyncio.FIRST_COMPLETED)
        code = receiving.result() if receiving.done() else 137
        for task in (sending, receiving, ending):
            task.cancel()
        writer.transport.abort()
        await _status(socket, _outcome(code))

    async def _forward(self, request: web.Request, running: RunningPod) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",), compress=False, max_msg_size=0)
        await socket.prepare(request)
        ports = [int(each) for part in request.query.getall("ports", []) for each in part.split(",")]
        writers: dict[int, asyncio.StreamWriter] = {}
        copying = []
        for at, port in enumerate(ports):
            for channel in (2 * at, 2 * at + 1):
                await socket.send_bytes(bytes([channel]) + struct.pack("<H", port))
            try:  # the node reaches the pod past its network
                reader, writers[2 * at] = await asyncio.open_connection(running.door.hidden, port)
            except OSError:
                text = f"failed to connect to localhost:{port} inside namespace: connection refused"
                await socket.send_bytes(bytes([2 * at + 1]) + text.encode())
                await socket.close()
                return socket
            copying.append(asyncio.create_task(_copy(reader, socket, 2 * at, END_LATE_S)))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[0] in writers:
                    writers[message.data[0]].write(message.data[1:])
        finally:
            for task in copying:
                task.cancel()
            for writer in writers.values():
                writer.close()
        return socket

    async def _logs(self, request: web.Request, running: RunningPod | None, name: str) -> web.StreamResponse:
        slot = self._slot(request, running, name)
        query = request.query
        previous = query.get("previous") in ("true", "1")
        instance = slot.previous if previous else slot.instance
        if instance is None:
            container = slot.spec["name"]
            what = "previous terminated container" if previous else "container"
            text = f'{what} "{container}" in pod "{name}" not found'
            if not previous:
                text = f'container "{container}" in pod "{name}" is waiting to start: {slot.waiting}'
            raise ApiError(400, "BadRequest", text)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        stamped = query.get("timestamps") in ("true", "1")
        with contextlib.suppress(ConnectionError):
            async for at, line in _lines(instance, query):
                text = f"{datetime.fromtimestamp(at).astimezone().isoformat()} {line}" if stamped else line
                await response.write(text.encode() + b"\n")
            await response.write_eof()
        return response


_SHELLS = {"sh", "ash", "bash", "dash"}


def slot_shell(slot: Slot) -> bool:
    from tests.standins.kubernetes_standin.images import find_image

    image = find_image(slot.spec["image"])
    return image is not None and image.shell


async def _lines(instance: Instance, query: Mapping[str, str]) -> AsyncIterator[tuple[float, str]]:
    since = 0.0
    if "sinceSeconds" in query:
        since = time.time() - float(query["sinceSeconds"])
    if "sinceTime" in query:
        since = datetime.fromisoformat(query["sinceTime"].replace("Z", "+00:00")).timestamp()
    lines = [each for each in instance.lines if each[0] >= since]
    if "tailLines" in query:
        count = int(query["tailLines"])
        lines = lines[-count:] if count else []
    last = instance.lines[-1] if instance.lines else None
    for each in lines:
        yield each
    follow = query.get("follow") in ("true", "1")
    while follow:
        written, ended = instance.written, not instance.state.running()
        fresh = list(instance.lines)
        for at in range(len(fresh) - 1, -1, -1):
            if fresh[at] is last:
                fresh = fresh[at + 1 :]
                break
        for each in fresh:
            last = each
            yield each
        if ended and not fresh:
            return
        if not fresh:
            await written.wait()


class Execution:
    """One program run in a container for as long as it lives; its reader may leave before."""

    def __init__(
        self, socket: web.WebSocketResponse, running: RunningPod, instance: Instance, request: web.Request
    ) -> None:
        self._socket, self._running, self._instance = socket, running, instance
        self._wants = {
            name: request.query.get(name) in ("true", "1") for name in ("stdin", "stdout", "stderr")
        }

    async def run(self, command: list[str]) -> None:
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *self._instance.place.argv(command),
            cwd=self._instance.place.folder,
            env=self._instance.environment,
            stdin=pipe if self._wants["stdin"] else null,
            stdout=pipe if self._wants["stdout"] else null,
            stderr=pipe if self._wants["stderr"] else null,
            start_new_session=True,
        )
        self._running.executed.add(process.pid)
        copying = [
            asyncio.create_task(_copy(reader, self._socket, channel))
            for reader, channel in ((process.stdout, STDOUT), (process.stderr, STDERR))
            if reader is not None
        ]
        feeding = asyncio.create_task(self._feed(process))
        ending = asyncio.create_task(self._end(process, copying))
        try:
            await asyncio.wait([feeding, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            feeding.cancel()
            if process.stdin is not None:
                process.stdin.close()
            if not ending.done():  # whoever asked has left; the program goes on, its pipes closed
                ending.cancel()
                for task in copying:
                    task.cancel()
                _REAPING.add(task := asyncio.create_task(_reap(process, self._running)))
                task.add_done_callback(_REAPING.discard)
            else:
                self._running.executed.discard(process.pid)

    async def _feed(self, process: asyncio.subprocess.Process) -> None:
        async for message in self._socket:
            data = message.data if message.type is WSMsgType.BINARY else str(message.data).encode()
            if process.stdin is None or not data:
                continue
            if data[0] == STDIN:
                with contextlib.suppress(ConnectionError):
                    process.stdin.write(data[1:])
                    await process.stdin.drain()
            elif data[0] == CLOSE and data[1:2] == bytes([STDIN]):
                process.stdin.close()

    async def _end(self, process: asyncio.subprocess.Process, copying: list["asyncio.Task[None]"]) -> None:
        code = await process.wait()
        await asyncio.gather(*copying, return_exceptions=True)
        await _status(self._socket, _outcome(128 - code if code < 0 else code))


_REAPING: set["asyncio.Task[None]"] = set()


async def _reap(process: asyncio.subprocess.Process, running: RunningPod) -> None:
    await process.wait()
    running.executed.discard(process.pid)


async def _copy(
    reader: asyncio.StreamReader, socket: web.WebSocketResponse, channel: int, end_late_s: float | None = None
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(32768):
            await socket.send_bytes(bytes([channel]) + data)
    if end_late_s is not None:
        await asyncio.sleep(end_late_s)
        await _hang_up(socket)


async def _send(socket: web.WebSocketResponse, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        async for message in socket:
            if message.type is WSMsgType.BINARY and message.data[0] == STDIN:
                writer.write(message.data[1:])
                await writer.drain()


async def _receive(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> int:
    """Pass on what comes; returns as what the program ends."""
    try:
        while data := await reader.read(65536):
            await socket.send_bytes(bytes([STDOUT]) + data)
    except ConnectionError:
        return 1
    return 0


async def _status(socket: web.WebSocketResponse, status: Object) -> None:
    with contextlib.suppress(ConnectionError):
        await socket.send_bytes(bytes([STATUS]) + json.dumps(status).encode())
    await _hang_up(socket)


async def _hang_up(socket: web.WebSocketResponse) -> None:
    """End a stream as the API server does: the connection is closed, with no word of the websocket's own."""
    writer = socket._writer
    if writer is not None and writer.transport is not None:
        writer.transport.close()


def _outcome(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit code {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


__all__ = ["Streams", "stamp"]
