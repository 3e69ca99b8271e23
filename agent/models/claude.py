"""Claude, by Anthropic's API or a provider of it: one streamed reply a request, with retries that are seen.

The SDK is imported in a worker thread, when it is first needed (`warm` may do so earlier): it costs a
second. All that fails comes out as an `agent.errors.ModelError`.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from agent.errors import BadCredentials
from agent.models import providers, wire
from agent.models.assembly import Assembly
from agent.models.base import Block, ModelEvent, Reply, Request, Restarted, Waiting
from agent.models.catalog import facts_of
from agent.models.retry import Patience, TransientFailure, Tries

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

STALLED_S = 300.0
"""How long pings alone may come before the reply is asked for anew; long thinking shows as pings."""
CUT_SHORT = TransientFailure("The reply ended before it was whole")


@dataclass(slots=True)
class ClaudeModel:
    """The driver. One request at a time."""

    name: str
    """The model's id, as `agent.models.catalog.choose` returns it."""
    provider: providers.Provider = "api"
    compat: bool = False
    cached_for: Literal["5m", "1h"] = "5m"
    """How long the service keeps the prompt. An hour costs more to write, and outlasts a person's pauses."""
    patience: Patience = field(default_factory=Patience)
    silence_s: float = providers.SILENCE_S
    stalled_s: float = STALLED_S
    http_client: Any = None
    """An httpx2.AsyncClient, for tests."""
    driver: Literal["claude"] = "claude"
    _client: "AsyncAnthropic | None" = None
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _unthink_before: int = 0
    _plain: bool = False

    @property
    def compaction(self) -> Literal["server", "model"]:
        """Anthropic's own service compacts; elsewhere the model is asked for a summary."""
        return "server" if self._first_party else "model"

    @property
    def _first_party(self) -> bool:
        return providers.is_first_party(self.provider) and not self.compat

    async def warm(self) -> None:
        """Load the SDK and make the client, in a worker thread; safe to call at any time."""
        async with self._starting:
            if self._client is not None:
                return
            try:
                self._client = await asyncio.to_thread(
                    providers.connect, self.provider, self.silence_s, self.http_client
                )
            except ValueError as error:  # how the SDK says that a region or project is missing
                raise BadCredentials(f"{error} {providers.setup_help(self.provider)}") from error

    async def respond(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Answer once, trying again for as long as `patience` lasts."""
        await asyncio.to_thread(_load_sdk)
        from agent.models.failures import FAILURES, explain, is_thinking_mismatch, is_too_new

        tries = Tries(self.patience)
        while True:
            assembly = Assembly()
            try:
                async with aclosing(self._attempt(request, assembly)) as events:
                    async for event in events:
                        yield event
                if (reply := assembly.reply()) is not None:
                    yield self._adjusted(reply, request)
                    return
                failure = CUT_SHORT
            except FAILURES as error:
                if is_thinking_mismatch(error) and self._may_unthink(request):
                    self._unthink_before = len(request.messages)
                    continue
                if is_too_new(error) and request.compact is None and not (self._plain or self.compat):
                    self._plain = True
                    continue
                meaning = explain(error, self.name, self.provider)
                if not isinstance(meaning, TransientFailure):
                    raise meaning from error
                failure = meaning
            wait = tries.next_wait(failure)
            if assembly.began:
                yield Restarted(failure.reason)
            yield Waiting(failure.reason, wait)
            await tries.wait(wait)

    async def aclose(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.close()

    async def _attempt(self, request: Request, assembly: Assembly) -> AsyncGenerator[ModelEvent, None]:
        await self.warm()
        assert self._client is not None  # noqa: S101 - warm made it
        if self._unthink_before > len(request.messages):
            self._unthink_before = 0  # the history was compacted since
        sent = wire.body(request, self._dialect(), unthink_before=self._unthink_before)
        api: Any = self._client.messages if self.compat else self._client.beta.messages
        async with asyncio.timeout(self.stalled_s):
            stream = await api.create(**sent)
        try:
            events = aiter(stream)
            while True:
                async with asyncio.timeout(self.stalled_s):
                    event = await anext(events, None)
                if event is None:
                    return
                for drawn in assembly.take(event.to_dict(mode="json", warnings=False)):
                    yield drawn
                if event.type == "message_stop":
                    return
        finally:
            await stream.close()

    def _dialect(self) -> wire.Dialect:
        model = providers.model_id(self.provider, self.name)
        return wire.Dialect(
            model,
            facts_of(self.name),
            compat=self.compat,
            plain=self._plain,
            first_party=self._first_party,
            cached_for=self.cached_for,
        )

    def _may_unthink(self, request: Request) -> bool:
        return wire.has_thinking(request.messages, self._unthink_before)

    def _adjusted(self, reply: Reply, request: Request) -> Reply:
        """Return the reply; where ids of calls are not unique, as other servers make them, with new ones."""
        if not self.compat:
            return reply
        seen = {block["id"] for message in request.messages for block in message.content if "id" in block}
        content: list[Block] = []
        for block in reply.content:
            mine = block
            if block.get("type") == "tool_use":
                if not block.get("id") or block["id"] in seen:
                    mine = {**block, "id": f"call_{len(request.messages)}_{len(content)}"}
                seen.add(mine["id"])
            content.append(mine)
        return replace(reply, content=tuple(content))


def _load_sdk() -> None:
    import anthropic  # noqa: F401 - a second of work, done here so that nothing waits for it elsewhere
