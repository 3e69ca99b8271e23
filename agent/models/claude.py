"""Claude, by Anthropic's API or a provider of it: one streamed reply a request, with retries that are seen.

The SDK is imported in a worker thread, when it is first needed (`warm` may do so earlier): it costs a
second. All that fails comes out as an `agent.errors.ModelError`.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from agent.models import providers, wire
from agent.models.assembly import Assembly
from agent.models.base import Block, ModelEvent, Reduced, Reply, Request, Restarted, Waiting
from agent.models.catalog import facts_of
from agent.models.features import Feature, lesser_room, loss_of, refused_features
from agent.models.retry import MALFORMED_TRIES, Patience, TransientFailure, Tries
from agent.models.stream import read_events

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

STALLED_S = 300.0
"""How long pings alone may come before the reply is asked for again; long thinking shows as pings."""
CUT_SHORT = TransientFailure("The reply ended before it was whole")
UNREADABLE_CALL = TransientFailure("The reply holds a call whose arguments are no JSON object")


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
    _without: frozenset[Feature] = frozenset()
    _most_output: int | None = None

    @property
    def compaction(self) -> Literal["server", "model"]:
        """Anthropic's own service compacts; elsewhere the model is asked for a summary."""
        return "server" if self._first_party and Feature.COMPACTION not in self._without else "model"

    @property
    def _first_party(self) -> bool:
        return providers.is_first_party(self.provider) and not self.compat

    async def warm(self) -> None:
        """Load the SDK and make the client, in a worker thread; safe to call at any time."""
        async with self._starting:
            if self._client is not None:
                return
            self._client = await asyncio.to_thread(
                providers.connect, self.provider, self.silence_s, self.http_client
            )

    async def respond(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Answer once, trying again for as long as `patience` lasts."""
        await asyncio.to_thread(_load_sdk)
        from agent.models.failures import explain, failures, is_thinking_mismatch, refusal_of

        tries = Tries(self.patience)
        broken_calls = 0
        while True:
            assembly = Assembly()
            failure: TransientFailure
            try:
                async with aclosing(self._attempt(request, assembly)) as events:
                    async for event in events:
                        yield event
                reply = assembly.reply()
            except failures() as error:
                if is_thinking_mismatch(error) and wire.has_thinking(request.messages, self._unthink_before):
                    self._unthink_before = len(request.messages)
                    continue
                if (refused := refusal_of(error)) and (reduced := self._reduce(refused, request)):
                    for each in reduced:
                        yield each
                    continue
                meaning = explain(error, self.name, self.provider)
                if not isinstance(meaning, TransientFailure):
                    raise meaning from error
                failure = meaning
            else:
                unreadable = reply is not None and reply.stop_reason == "tool_use" and bool(reply.broken)
                broken_calls += unreadable
                if reply is not None and (not unreadable or broken_calls == MALFORMED_TRIES):
                    yield self._adjusted(reply, request)
                    return
                failure = CUT_SHORT if reply is None else UNREADABLE_CALL
            wait = tries.next_wait(failure)
            if assembly.began:
                yield Restarted(failure.reason)
            yield Waiting(failure.reason, wait)
            await self.patience.sleep(wait)  # cancelled when the person stops waiting

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
        answering = api.with_streaming_response.create(**sent)
        async with asyncio.timeout(self.stalled_s):
            response = await answering.__aenter__()
        try:
            async with aclosing(read_events(response.http_response)) as stream:
                while True:
                    async with asyncio.timeout(self.stalled_s):
                        event = await anext(stream, None)
                    if event is None:
                        return
                    for drawn in assembly.take(event):
                        yield drawn
                    if event["type"] == "message_stop":
                        return
        finally:
            await answering.__aexit__(None, None, None)

    def _dialect(self) -> wire.Dialect:
        model = providers.model_id(self.provider, self.name)
        return wire.Dialect(
            model,
            facts_of(self.name),
            compat=self.compat,
            without=self._without,
            most_output=self._most_output,
            first_party=self._first_party,
            cached_for=self.cached_for,
        )

    def _reduce(self, refusal: str, request: Request) -> list[Reduced]:
        """Go without what a refusal names from now on; returns what that is, none if it names nothing."""
        dialect = self._dialect()
        refused = refused_features(refusal, wire.sent_features(request, dialect))
        self._without |= frozenset(refused)
        if request.compact is not None and Feature.COMPACTION in refused:
            return []  # the request was for nothing else
        if refused:
            return [Reduced(str(feature), loss_of(feature)) for feature in refused]
        room = lesser_room(refusal, wire.room(request, dialect))
        if room is None:
            return []
        self._most_output = room
        return [Reduced(f"more than {room:,} output tokens", "longer replies are cut")]

    def _adjusted(self, reply: Reply, request: Request) -> Reply:
        """Return the reply; where ids of calls are not unique, as other servers make them, with new ones."""
        seen = {block["id"] for message in request.messages for block in message.content if "id" in block}
        content: list[Block] = []
        broken: dict[str, str] = {}
        for block in reply.content:
            mine = block
            if block.get("type") == "tool_use":
                if block["id"] in seen:
                    mine = {**block, "id": f"call_{len(request.messages)}_{len(content)}"}
                seen.add(mine["id"])
                if why := reply.broken.get(block["id"]):
                    broken[mine["id"]] = why
            content.append(mine)
        return replace(reply, content=tuple(content), broken=broken)


def _load_sdk() -> None:
    import anthropic  # noqa: F401 - a second of work, done here so that nothing waits for it elsewhere
