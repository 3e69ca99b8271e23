"""A cluster of which only what can be observed can be read."""

from collections.abc import AsyncIterator, Mapping

from subjects.base import (
    Capability,
    LinkRule,
    LogLine,
    Primitive,
    ProcessView,
    Runtime,
    RuntimeEvent,
)
from subjects.errors import Unsupported


class ReadOnlyRuntime:
    """A runtime of which only what was observed can be read: no link rules, no limits, no acts."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def name(self) -> str:
        """As the runtime it stands before."""
        return self._runtime.name

    @property
    def owned(self) -> bool:
        """Nothing here is the diagnostician's to act on."""
        return False

    def capabilities(self) -> Mapping[Primitive, Capability]:
        """Nothing can be done."""
        return {primitive: Capability(False, "read-only") for primitive in Primitive}

    async def inspect(self, node: str) -> ProcessView:
        """Ask the kernel or the engine about a node."""
        return await self._runtime.inspect(node)

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:
        """Return a node's own log."""
        return await self._runtime.logs(node, since, limit)

    async def network(self) -> tuple[LinkRule, ...]:
        """Nobody outside sees the rules of a network, only what they do."""
        return ()

    async def limits(self, _node: str) -> Mapping[str, float | None]:
        """Nor the limits."""
        return {}

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Nothing: the monitor's signals have them."""
        return
        yield  # pragma: no cover - makes this a generator

    async def aclose(self) -> None:
        """Do nothing: whoever opened the runtime closes it."""

    async def _refuse(self, *_args: object, **_named: object) -> None:
        raise Unsupported("The diagnostician reads and does not act.")

    up = down = start = stop = kill = pause = resume = set_network = set_limit = _refuse


def read_only(runtime: Runtime) -> Runtime:
    """Return `runtime` without what acts and without what only its owner knows."""
    return ReadOnlyRuntime(runtime)
