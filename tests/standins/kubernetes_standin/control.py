"""What tests do to the cluster from outside: kill, drain, pause the API server, let tokens expire."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.standins.kubernetes_standin import controllers
from tests.standins.kubernetes_standin.api import Api, Trouble
from tests.standins.kubernetes_standin.chaos_mesh import ChaosMesh
from tests.standins.kubernetes_standin.containers import Instance
from tests.standins.kubernetes_standin.kinds import Object
from tests.standins.kubernetes_standin.kubelet import Kubelet
from tests.standins.kubernetes_standin.pod import RunningPod, Slot, descendants
from tests.standins.kubernetes_standin.pod_network import ANYWHERE, Rule
from tests.standins.kubernetes_standin.store import ApiError


@dataclass
class Front:
    """The process that clients reach the API server through."""

    port: int
    target: int
    process: asyncio.subprocess.Process | None = field(default=None)

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.standins.kubernetes_standin.front",
            str(self.port),
            str(self.target),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        await self.process.stdout.readline()

    async def set(self, mode: str) -> None:
        """`paused` accepts and says nothing, `cut` refuses, `up` serves again."""
        assert self.process is not None
        match mode:
            case "paused":
                self.process.send_signal(signal.SIGSTOP)
            case "cut":
                self.process.kill()
                await self.process.wait()
            case "up" if self.process.returncode is not None:
                await self.start()
            case "up":
                self.process.send_signal(signal.SIGCONT)

    async def close(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@dataclass
class Control:
    """Carries out what `Cluster` (handle) asks."""

    api: Api
    kubelet: Kubelet
    front: Front
    chaos_mesh: ChaosMesh

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        try:
            return web.json_response(await self._do(asked.pop("act"), asked))
        except ApiError as error:
            return web.json_response(str(error), status=400)

    async def _do(self, act: str, asked: Object) -> object:
        store = self.kubelet.store
        match act:
            case "api":
                await self.front.set(asked["mode"])
            case "trouble":
                self.api.troubles.append(Trouble(**asked))
            case "calm":
                self.api.troubles.clear()
            case "compact":
                store.compact()
            case "outdate":
                self._outdate(asked["namespace"], asked["pod"], asked["annotations"])
            case "requests":
                asked_for, self.api.requests = self.api.requests, []
                return asked_for
            case "expire":
                self.api.access.expire(asked["token"])
            case "signal":
                os.kill(self._pid(asked), asked["number"])
            case "oom":
                instance, _ = self._instance(asked)
                instance.why = "OOMKilled"
                os.kill(self._pid(asked), signal.SIGKILL)
            case "kubelet":
                self.kubelet.asleep = bool(asked.get("asleep"))
                self.kubelet.late_by(float(asked.get("late_s", 0.0)))
            case "cut":
                rules = [Rule(0, ANYWHERE, passes=False)] if asked["cut"] else []
                self.kubelet.network.set_rules(self._running(asked).door, rules)
            case "chaos-mesh":
                self.chaos_mesh.set_alive(alive=asked["alive"])
            case "pid":
                return self._pid(asked)
            case "alive":
                return _alive(self._slot(asked))
            case "drain":
                await self._drain(asked["node"])
            case "uncordon":
                controllers.cordon(store, asked["node"], off=True)
            case _:
                raise ApiError(400, "BadRequest", f"the stand-in cannot {act}")
        return None

    def _outdate(self, namespace: str, pod: str, annotations: Object) -> None:
        """End every watch, change a pod, and forget that: where a watch goes on from is too old by then."""
        store = self.kubelet.store
        store.end_watches()
        store.update("pods", namespace, pod, lambda known: known["metadata"].update(annotations=annotations))
        store.compact()

    def _running(self, asked: Object) -> RunningPod:
        running = self.kubelet.find(asked["namespace"], asked["pod"])
        if running is None:
            raise ApiError(404, "NotFound", f"no pod {asked['pod']} runs")
        return running

    def _slot(self, asked: Object) -> Slot:
        running = self._running(asked)
        name = asked.get("container") or next(iter(running.slots))
        return running.slots[name]

    def _instance(self, asked: Object) -> tuple[Instance, int]:
        """What runs in a container, and its first process."""
        instance = self._slot(asked).instance
        pid = instance.pid if instance is not None else None
        if instance is None or pid is None:
            raise ApiError(404, "NotFound", f"{asked['pod']} does not run")
        return instance, pid

    def _pid(self, asked: Object) -> int:
        """The process of a program in a container, or its first one where none is named."""
        (_, first), program = self._instance(asked), asked.get("program")
        for pid in descendants({first}):
            if not program or Path(f"/proc/{pid}/comm").read_text().strip() == program:
                return pid
        raise ApiError(404, "NotFound", f"{program} does not run in {asked['pod']}")

    async def _drain(self, node: str) -> None:
        """As `kubectl drain`: cordon, then evict each pod, again and again where a budget is against it."""
        store = self.kubelet.store
        controllers.cordon(store, node)
        waiting = [each for each in store.list("pods") if each["spec"].get("nodeName") == node]
        while waiting:
            refused = []
            for pod in waiting:
                meta = pod["metadata"]
                try:
                    self.api.removal.evict(meta["namespace"], meta["name"], {})
                except ApiError as error:
                    if error.code == 429:
                        refused.append(pod)
            waiting = refused
            await asyncio.sleep(1.0 if refused else 0)


def _alive(slot: Slot) -> bool:
    pid = slot.instance.pid if slot.instance else None
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
