"""A cluster that somebody else runs, given by its endpoints: it is looked at and never touched."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from subjects.base import (
    Capability,
    Identity,
    LinkRule,
    LogLine,
    Primitive,
    ProcessState,
    ProcessView,
    Runtime,
    RuntimeEvent,
)
from subjects.errors import Unsupported

REASON = "this cluster was given by its endpoints: somebody else runs it, and operator only looks at it"


class AttachRuntime:
    """Says `unknown` of every process and refuses every act."""

    name = "attach"
    owned = False

    def capabilities(self) -> Mapping[Primitive, Capability]:
        """Nothing can be done here, for one reason."""
        return dict.fromkeys(Primitive, Capability(available=False, reason=REASON))

    async def inspect(self, node: str) -> ProcessView:
        """Nobody here can see the process of `node`."""
        return ProcessView(ProcessState.UNKNOWN, raw=f"{node} runs where operator cannot look")

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Wait for ever: no kernel or engine tells us of these nodes."""
        await asyncio.Event().wait()
        return
        yield  # makes this an async generator

    async def up(self) -> None:
        """Refuse."""
        raise _refusal("start")

    async def down(self) -> None:
        """Refuse."""
        raise _refusal("stop")

    async def start(self, node: str) -> None:
        """Refuse."""
        raise _refusal(f"start {node}")

    async def stop(self, node: str) -> None:
        """Refuse."""
        raise _refusal(f"stop {node}")

    async def kill(self, node: str, identity: Identity) -> None:  # noqa: ARG002 - the protocol's
        """Refuse."""
        raise _refusal(f"kill {node}")

    async def pause(self, node: str, identity: Identity) -> None:  # noqa: ARG002 - the protocol's
        """Refuse."""
        raise _refusal(f"pause {node}")

    async def resume(self, node: str, identity: Identity) -> None:  # noqa: ARG002 - the protocol's
        """Refuse."""
        raise _refusal(f"resume {node}")

    async def network(self) -> tuple[LinkRule, ...]:
        """No rule of ours can be in force."""
        return ()

    async def set_network(self, rules: Sequence[LinkRule]) -> None:
        """Refuse, unless there is nothing to put in force."""
        if rules:
            raise _refusal("change the network of")

    async def limits(self, node: str) -> Mapping[str, float | None]:  # noqa: ARG002 - the protocol's
        """No limit is known."""
        return {}

    async def set_limit(self, node: str, identity: Identity, name: str, value: float | None) -> None:  # noqa: ARG002
        """Refuse."""
        raise _refusal(f"limit {node}")

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:  # noqa: ARG002
        """Refuse: logs are on the machines where the nodes run."""
        raise _refusal(f"read the log of {node}")

    async def aclose(self) -> None:
        """Nothing is held."""


def _refusal(act: str) -> Unsupported:
    return Unsupported(f"Cannot {act}: {REASON}.")


def _fits(runtime: AttachRuntime) -> Runtime:
    """Static proof that the class is a Runtime."""
    return runtime
