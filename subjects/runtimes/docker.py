"""Nodes as containers of one Compose project of ours, on any engine that the SDK reaches.

Containers are found by Compose's labels and our project name, never by a name. The engine's calls run in
threads; every one is bounded.
"""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from subjects.base import (
    Capability,
    Cluster,
    Control,
    Deployment,
    Identity,
    Kill,
    Lifecycle,
    Limits,
    LinkRule,
    LogLine,
    Network,
    Nodes,
    Pause,
    Primitive,
    ProcessState,
    ProcessView,
    RuntimeEvent,
    Scope,
)
from subjects.base.control import can, cannot
from subjects.errors import BadSetup, NotReady, SubjectError, Unsupported
from subjects.runtimes import docker_layout, docker_network, logtime
from subjects.runtimes.compose import Compose, find_compose
from subjects.runtimes.docker_containers import Containers, view
from subjects.runtimes.docker_events import EventStream
from subjects.runtimes.docker_layout import DockerLayout
from subjects.runtimes.docker_limits import cpu_share, set_cpu_share
from subjects.runtimes.docker_network import Attachments, Place
from subjects.runtimes.docker_sight import KernelSight
from subjects.runtimes.engine import ANSWER_S, Engine, NoSuch, connect
from subjects.runtimes.json_file import LOCK, laying_out
from subjects.state import StateFolder


class DockerRuntime:
    """The containers of one Compose project."""

    name = "docker"
    act_timeout_s = 60.0
    """The longest act, a graceful stop, takes 30 s of TiKV, and the engine is waited for a while longer."""
    verify_s = 15.0
    healthy_timeout_s = 180.0
    """TiKV's containers wait for PD and for each other."""
    restarted_by_others = True
    """By the restart policy of their Compose file, where it has one."""

    def __init__(
        self,
        folder: Path,
        layout: DockerLayout,
        engine: Engine,
        command: tuple[str, ...],
        needed_bytes: int,
    ) -> None:
        self.folder = folder
        self.layout = layout
        self.engine = engine
        self.compose = Compose(
            command, layout.project, Path(layout.file), {**engine.environment, **layout.environment}
        )
        self._needed_bytes = needed_bytes
        self._api = engine.client.api
        self._containers = Containers(engine, layout)
        self._sight = KernelSight()
        self._attachments = Attachments(folder)
        self._events = EventStream(engine, layout, self._containers.inspect_all)
        self._network_lock = asyncio.Lock()

    def capabilities(self) -> Mapping[Primitive, Capability]:
        """Say what can be done with containers."""
        return {
            Primitive.KILL: can("the engine sends SIGKILL"),
            Primitive.PAUSE: can("the engine freezes the container's control group"),
            Primitive.NETWORK_CUT: can("the container is taken off its network, and given back as it was"),
            Primitive.NETWORK_ONE_WAY: cannot(docker_network.ONE_WAY_REASON),
            Primitive.NETWORK_SCOPE: can(docker_network.SCOPE_WAY)
            if docker_network.tells_scopes(Path(self.layout.file))
            else cannot(docker_network.NO_SCOPE_REASON),
            Primitive.NETWORK_SHAPE: cannot(docker_network.SHAPE_REASON),
            Primitive.NETWORK_LOSS: cannot(docker_network.SHAPE_REASON),
            Primitive.DISK_LIMIT: cannot("volumes of the local driver have no size limit"),
            Primitive.CPU_LIMIT: can("the engine's update, live; the value before is put back"),
            Primitive.RESTART: can("the engine stops and starts the container"),
        }

    async def up(self) -> None:
        """Let Compose create and start what does not run; LaidOutMeanwhile as with local processes."""
        await self.engine.require_memory(self._needed_bytes)
        async with laying_out(self.folder, self.layout, docker_layout.load, docker_layout.save):
            docker_layout.copy_mounted(self.layout, self.folder)
        try:
            await self.compose.up()
        except NotReady as error:
            if unhealthy := await self._unhealthy():
                raise NotReady(unhealthy) from error
            raise
        self._containers.forget()
        await self._places()

    async def down(self) -> None:
        """Let Compose remove containers, networks and volumes, and make sure that nothing is left."""
        await self._containers.remove_all()
        # Of a file that has gone since, what it made is removed all the same.
        with contextlib.suppress(BadSetup):
            await self.compose.down()
        await self._containers.remove_leftovers()
        ours = [self.folder / name for name in (docker_layout.FILE, docker_network.FILE, LOCK)]
        for path in (*ours, *docker_layout.mounted(self.layout, self.folder)):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    async def _unhealthy(self) -> str:
        """Say which container's health check fails, and what it printed last; empty where none does."""
        containers = await asyncio.to_thread(self._containers.inspect_all)
        for node, container in sorted(containers.items()):
            health = container["State"].get("Health") or {}
            if health.get("Status") != "unhealthy":
                continue
            log = health.get("Log") or [{}]
            said = str(log[-1].get("Output") or "").strip().replace("\n", " ")[:300] or "nothing"
            return (
                f"{node} did not become healthy: its health check says {said!r} (exit status "
                f"{log[-1].get('ExitCode')}). `docker logs {container['Name'].lstrip('/')}` shows the rest."
            )
        return ""

    async def inspect(self, node: str) -> ProcessView:
        """Ask the engine."""
        try:
            container = await self._containers.of(node)
            return self._sight.check(container, view(container))
        except NoSuch:
            return ProcessView(ProcessState.EXITED, raw=f"there is no container for {node}")
        except SubjectError as error:
            return ProcessView(ProcessState.UNKNOWN, raw=str(error))

    def startable(self, node: str) -> Capability:  # noqa: ARG002 - the engine keeps a stopped container whole
        """Say that the engine can start it: a container is kept with its image."""
        return can("its container is kept")

    async def start(self, node: str) -> None:
        """Start the node's container on its own volume; Compose makes it again if it was removed."""
        try:
            container = await self._containers.of(node)
        except NoSuch:
            await self.compose.up(node)
            self._containers.forget()
            return
        await self.engine.ask(self._api.start, container["Id"])

    async def stop(self, node: str, timeout_s: float) -> None:
        """SIGTERM, and SIGKILL after `timeout_s`. A paused container is let go on first."""
        container = await self._containers.of(node)
        if container["State"]["Paused"]:
            await self._containers.unpause(container["Id"])
        bound_s = timeout_s + ANSWER_S
        await self.engine.ask_within(bound_s, self._api.stop, container["Id"], timeout=int(timeout_s))

    async def kill(self, node: str, identity: Identity) -> None:
        """SIGKILL by the container's full id."""
        await self._containers.require(node, identity)
        await self.engine.ask(self._api.kill, identity.id)

    async def pause(self, node: str, identity: Identity) -> None:
        """Freeze the container; does nothing for one that is frozen."""
        container = await self._containers.require(node, identity)
        if not container["State"]["Paused"]:
            await self._containers.pause(identity.id)

    async def resume(self, node: str, identity: Identity) -> None:
        """Thaw the container; does nothing for one that isn't frozen."""
        container = await self._containers.require(node, identity)
        if container["State"]["Paused"]:
            await self._containers.unpause(identity.id)

    async def network(self) -> tuple[LinkRule, ...]:
        """Return the cuts in force: what the containers belong to and are not in."""
        return docker_network.rules_in_force(await self._places())

    async def set_network(self, rules: Sequence[LinkRule]) -> None:
        """Take containers off their networks and give them back, until just these cuts are in force."""
        docker_network.refuse_what_cannot_be(rules)
        async with self._network_lock:
            for place in await self._places():
                wanted = docker_network.to_be_missing(place, rules)
                for each in place.belongs:
                    if each.network in wanted and each.network in place.attached:
                        await docker_network.disconnect(self.engine, place, each)
                    elif each.network not in wanted and each.network not in place.attached:
                        await docker_network.connect(self.engine, place, each)

    async def limits(self, node: str) -> Mapping[str, float | None]:
        """Return the share of the cores."""
        return {"cpu_share": cpu_share(await self._containers.of(node))}

    async def set_limit(self, node: str, identity: Identity, name: str, value: float | None) -> None:
        """Set the share of the cores, live."""
        if name != "cpu_share":
            raise Unsupported(f"{name} cannot be set on containers: cpu_share is the only limit there is.")
        await set_cpu_share(self.engine, await self._containers.require(node, identity), value)

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:
        """Return what the container wrote to its standard outputs."""
        container = await self._containers.of(node)
        raw = await self.engine.ask(
            self._api.logs, container["Id"], tail=max(limit, logtime.AT_LEAST), since=since
        )
        return logtime.lines(node, raw.decode("utf-8", "replace").splitlines(), since, limit)

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield the engine's events; nothing is lost when the stream breaks."""
        async with contextlib.aclosing(self._events.read()) as happened:
            async for event in happened:
                yield event

    async def aclose(self) -> None:
        """Close the event stream and the connections."""
        await self._events.aclose()
        self.engine.close()

    async def _places(self) -> list[Place]:
        containers = await self.engine.ask(self._containers.inspect_all)
        networks = await self.engine.ask(self._api.networks, filters=self._containers.labelled)
        scopes = {
            network["Id"]: Scope(label)
            for network in networks
            if (label := (network.get("Labels") or {}).get(docker_network.SCOPE_LABEL)) in tuple(Scope)
        }
        return [
            self._attachments.place(node, container, scopes) for node, container in sorted(containers.items())
        ]


async def open_docker(
    subject: str, plan: ModuleType, state: StateFolder, compose_file: Path | None
) -> Cluster:
    """Return the cluster, found again or laid out new. Nothing is started and nothing is pulled.

    `plan` is the database's `compose` module. Raises NotReady when there is no engine or no Compose,
    BadSetup when the Compose file is none, or when a cluster made of another file is still there.
    """
    folder = state.clusters / f"{subject}-docker"
    layout = docker_layout.load(folder)
    found = Path(layout.file) if layout is not None else plan.compose_file()
    file = (compose_file or found).resolve()
    if layout is not None and layout.file != str(file):
        raise BadSetup(
            f"A cluster made of {layout.file} is still there: stop it first (`operator deploy down`), "
            f"then use {file}."
        )
    engine = await connect(layout.engine if layout else None)
    try:
        command = await find_compose()
        if layout is None:
            layout = await docker_layout.make_layout(subject, folder, file, engine, command)
        runtime = DockerRuntime(folder, layout, engine, command, plan.NEEDED_BYTES)
        return Cluster(folder.name, plan.make_subject(runtime), runtime, runtime)
    except BaseException:
        engine.close()
        raise


async def images_present(subject: str) -> tuple[bool, str]:
    """Say whether an engine answers and has all images of the subject's own file, and why not."""
    plan = importlib.import_module(f"subjects.{subject}.compose")
    try:
        engine = await connect()
    except NotReady as error:
        return False, _first_sentence(error)
    try:
        command = await find_compose()
        text = await Compose(command, "operator-look", plan.compose_file(), engine.environment).run("config")
        services = docker_layout.read_services(text, plan.compose_file())
        for image in sorted({service.image for service in services}):
            try:
                await engine.ask(engine.client.api.inspect_image, image)
            except NoSuch:
                return False, f"Docker answers, but {image} is not here (`--subject {subject}` pulls it)"
    except SubjectError as error:
        return False, _first_sentence(error)
    finally:
        engine.close()
    return True, "a Docker engine answers, and the images are there"


def _first_sentence(error: SubjectError) -> str:
    """What is the case, without the remedy: who did not ask for Docker needs none."""
    return str(error).partition(". ")[0].removesuffix(".")


def _proof(
    runtime: DockerRuntime,
) -> tuple[Nodes, Control, Deployment, Lifecycle, Kill, Pause, Network, Limits]:
    return (runtime,) * 8
