"""Nodes of which only the endpoints are known: somebody else runs them."""

import asyncio
from collections.abc import AsyncIterator

from subjects.base import LogLine, Nodes, ProcessState, ProcessView, RuntimeEvent
from subjects.errors import Unsupported


class EndpointNodes:
    """Processes and logs that can't be seen from here; the database itself is asked by its subject."""

    name = "endpoints"

    async def inspect(self, node: str) -> ProcessView:
        """Nobody here can see the process of `node`."""
        return ProcessView(ProcessState.UNKNOWN, raw=f"the process of {node} cannot be seen from here")

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Wait for ever: no kernel or engine reports on these nodes."""
        await asyncio.Event().wait()
        return
        yield  # makes this an async generator

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:  # noqa: ARG002 - the protocol's
        """Refuse: logs are on the machines where the nodes run."""
        raise Unsupported(f"The log of {node} cannot be read: only the cluster's endpoints are known.")

    async def aclose(self) -> None:
        """Nothing is held."""


def _proof(nodes: EndpointNodes) -> Nodes:
    return nodes
