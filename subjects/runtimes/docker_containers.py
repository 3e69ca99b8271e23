"""The containers of one Compose project: found by its labels, never by a name, and removed without a rest."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from docker.errors import APIError, NotFound

from subjects.base import Identity, ProcessState, ProcessView
from subjects.errors import NotReady, StaleTarget, SubjectError, Unreachable
from subjects.runtimes.docker_layout import DockerLayout
from subjects.runtimes.engine import Engine, NoSuch
from subjects.runtimes.supervisor import describe_exit

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
"""The labels that Compose, 1 and 2, puts on everything it makes."""

FREEZE_TRIES = 10
FREEZE_WAIT_S = 0.2
"""How often it is tried to freeze a container, and the wait before the next try."""


class Containers:
    """What the engine has of one project, as `docker inspect` writes it."""

    def __init__(self, engine: Engine, layout: DockerLayout) -> None:
        self._engine = engine
        self._api = engine.client.api
        self._layout = layout
        self._ids: dict[str, str] = {}
        self.labelled = {"label": f"{PROJECT}={layout.project}"}
        """The engine's filter for what is ours."""

    async def of(self, node: str) -> Mapping[str, Any]:
        """Inspect the node's container. NoSuch when there is none."""
        if node in self._ids:
            with contextlib.suppress(NoSuch):
                return await self._engine.ask(self._api.inspect_container, self._ids[node])
            self._ids.pop(node, None)
        for container in await self._ours():
            if container["Labels"].get(SERVICE) == node:
                self._ids[node] = container["Id"]
                return await self._engine.ask(self._api.inspect_container, container["Id"])
        raise NoSuch(f"There is no container for {node} in the project {self._layout.project}.")

    async def require(self, node: str, target: Identity) -> Mapping[str, Any]:
        """Inspect the node's container; StaleTarget unless it is `target`."""
        container = await self.of(node)
        if container["Id"] != target.id or container["State"]["StartedAt"] != target.started:
            raise StaleTarget(
                f"{node} is no longer container {target.id[:12]} started at {target.started}: it is "
                f"{container['Id'][:12]} started at {container['State']['StartedAt']}."
            )
        return container

    def inspect_all(self) -> dict[str, Mapping[str, Any]]:
        """Inspect every node's container, by node; blocking, for a thread."""
        found = {}
        for each in self._api.containers(all=True, filters=self.labelled):
            node = each["Labels"].get(SERVICE)
            if node in self._layout.nodes:
                with contextlib.suppress(NotFound):
                    found[node] = self._api.inspect_container(each["Id"])
        return found

    def forget(self) -> None:
        """Look for each container again: Compose may have made another."""
        self._ids.clear()

    async def pause(self, container: str) -> None:
        """Freeze a container, trying again where the freezer gives up.

        Under version 1 of control groups runc tries so often and leaves it to its callers to ask again, which
        a busy machine needs (opencontainers/runc#4388).
        """
        for _ in range(FREEZE_TRIES - 1):
            try:
                return await self._engine.ask(self._api.pause, container)
            except SubjectError as error:
                if "unable to freeze" not in str(error):
                    raise
            await asyncio.sleep(FREEZE_WAIT_S)
        return await self._engine.ask(self._api.pause, container)

    async def unpause(self, container: str) -> None:
        """Thaw a container; the error says what to do with one that cannot be thawed."""
        try:
            await self._engine.ask(self._api.unpause, container)
        except Unreachable as error:
            raise Unreachable(
                f"{error} The container is wedged: `docker restart {container[:12]}`."
            ) from error

    async def remove_all(self) -> None:
        """Remove the containers whatever they do, paused or not."""
        for container in await self._ours():
            await self._engine.ask(self._remove, container["Id"])
        self.forget()

    async def remove_leftovers(self) -> None:
        """Remove what carries our project's label and was left; NotReady names what can't be removed."""
        left = await self._engine.ask(self._remove_leftovers)
        if left:
            raise NotReady(f"Not everything of {self._layout.project} could be removed: {', '.join(left)}.")

    async def _ours(self) -> list[dict[str, Any]]:
        return await self._engine.ask(self._api.containers, all=True, filters=self.labelled)

    def _remove(self, container: str) -> None:
        with contextlib.suppress(APIError):
            self._api.unpause(container)
        with contextlib.suppress(NotFound):
            self._api.remove_container(container, force=True, v=True)

    def _remove_leftovers(self) -> list[str]:
        left: list[str] = []
        for network in self._api.networks(filters=self.labelled):
            try:
                self._api.remove_network(network["Id"])
            except APIError as error:
                left.append(f"network {network['Name']} ({error.explanation})")
        for volume in self._api.volumes(filters=self.labelled)["Volumes"] or ():
            try:
                self._api.remove_volume(volume["Name"], force=True)
            except APIError as error:
                left.append(f"volume {volume['Name']} ({error.explanation})")
        rest = self._api.containers(all=True, filters=self.labelled)
        return left + [f"container {each['Id'][:12]}" for each in rest]


def view(container: Mapping[str, Any]) -> ProcessView:
    """Return what the engine says of an inspected container."""
    state, short = container["State"], container["Id"][:12]
    networks = ", ".join(
        sorted(name for name, at in container["NetworkSettings"]["Networks"].items() if at.get("EndpointID"))
    )
    oom = bool(state.get("OOMKilled"))
    if state["Status"] in ("running", "paused"):
        kind = ProcessState.PAUSED if state["Status"] == "paused" else ProcessState.RUNNING
        raw = f"container {short} is {state['Status']}, in networks: {networks or 'none'}"
        identity = Identity("container", container["Id"], state["StartedAt"])
        return ProcessView(kind, identity, raw=raw, networked=bool(networks))
    if state["Status"] == "created":
        return ProcessView(ProcessState.EXITED, raw=f"container {short} was never started")
    raw = f"container {short} has ended: {describe_exit(state['ExitCode'])}, OOMKilled={str(oom).lower()}"
    return ProcessView(ProcessState.EXITED, None, exit_code=state["ExitCode"], oom_killed=oom, raw=raw)
