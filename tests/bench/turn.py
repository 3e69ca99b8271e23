"""What the loop costs: CPU per model turn beside the bare SDK's, and one megabyte of streamed text.

    python -m tests.bench.turn

prints JSON. A turn is one question, one reply with two calls, their results, one answer, over streams of
400 deltas each; `bare_sdk` is the same two requests read by the SDK's own `messages.stream`.
"""

import asyncio
import json
import os
import statistics
import time
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anthropic
import httpx2

from agent.models.base import Message, Request, TextDelta
from agent.models.claude import ClaudeModel
from tests.bench.machine import describe
from tests.standins.conversation import SYSTEM, room
from tests.standins.messages_script import Block, Signer, call, events, note, says, text

MODEL = "claude-opus-5-5"
TURNS = 20
WORDS = "etcd-2 is down; the other two members hold quorum. " * 40
BODY: Mapping[str, Any] = {
    "model": MODEL,
    "messages": [],
    "thinking": {"type": "adaptive", "display": "updates"},
}


class Stream(httpx2.AsyncByteStream):
    """A streamed reply in the API's form, an event a piece."""

    def __init__(self, *blocks: Block) -> None:
        said = events(says(*blocks), BODY, Signer(), {"input_tokens": 9})
        self.pieces = [f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode() for kind, data in said]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


class Megabyte(httpx2.AsyncByteStream):
    """One megabyte of text in pieces of 20 characters, made as it is sent."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        head, tail = Stream(text("x" * 12)).pieces[:3], Stream(text("x" * 12)).pieces[4:]
        for piece in head:
            yield piece
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 20}}
        piece = f"event: content_block_delta\ndata: {json.dumps(delta)}\n\n".encode()
        for number in range(50_000):
            if number % 50 == 0:
                await asyncio.sleep(0)  # as a socket would
            yield piece
        for piece in tail:
            yield piece


def client(*streams: httpx2.AsyncByteStream) -> httpx2.AsyncClient:
    waiting = list(streams)

    def handle(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=waiting.pop(0))

    return httpx2.AsyncClient(transport=httpx2.MockTransport(handle))


def turn_streams() -> list[httpx2.AsyncByteStream]:
    calls = Stream(note(WORDS), call("look", "a", name="etcd-1"), call("peek", "b", name="etcd-2"))
    return [calls, Stream(text(WORDS))]


async def our_turn() -> float:
    model = ClaudeModel(MODEL, http_client=client(*turn_streams()))
    await model.warm()
    here = room(model)
    began = time.process_time()
    end = await here.talk.ask("What is up?")
    spent = time.process_time() - began
    assert end.reason == "answered"
    await model.aclose()
    return spent


async def bare_turn() -> float:
    async with anthropic.AsyncAnthropic(http_client=client(*turn_streams())) as sdk:
        began = time.process_time()
        for _ in range(2):
            asked: Any = [{"role": "user", "content": "What is up?"}]
            reading = sdk.beta.messages.stream(model=MODEL, max_tokens=9, messages=asked, system=SYSTEM)
            async with reading as stream:
                async for _event in stream:
                    pass
                (await stream.get_final_message()).to_dict(mode="json")
        return time.process_time() - began


async def raw_turn() -> float:
    """The same bytes through the SDK's raw events: the least that it can cost, nothing put together."""
    async with anthropic.AsyncAnthropic(http_client=client(*turn_streams())) as sdk:
        began = time.process_time()
        for _ in range(2):
            asked: Any = [{"role": "user", "content": "What is up?"}]
            create = sdk.beta.messages.create
            async for _event in await create(model=MODEL, max_tokens=9, messages=asked, stream=True):
                pass
        return time.process_time() - began


async def megabyte() -> dict[str, float]:
    model = ClaudeModel(MODEL, http_client=client(Megabyte(), Megabyte()))
    request = Request(SYSTEM, (), (Message("user", (text("Tell me all."),)),))
    async for _ in model.respond(request):
        pass
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    characters, began = 0, time.process_time()
    async for event in model.respond(request):
        characters += len(event.text) if isinstance(event, TextDelta) else 0
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    await model.aclose()
    return {
        "characters": characters,
        "cpu_s_traced": round(time.process_time() - began, 2),
        "peak_mb_over_text": round((peak - characters) / 1e6, 2),
    }


async def measure() -> dict[str, Any]:
    for once in (our_turn, bare_turn, raw_turn):
        await once()
    ours = [await our_turn() for _ in range(TURNS)]
    bare = [await bare_turn() for _ in range(TURNS)]
    raw = [await raw_turn() for _ in range(TURNS)]
    mine, theirs, least = (statistics.median(times) * 500 for times in (ours, bare, raw))
    return {
        "workbench": "turn",
        "turns": TURNS,
        "cpu_ms_per_model_turn": round(mine, 2),
        "bare_sdk_ms": round(theirs, 2),
        "raw_events_of_the_sdk_ms": round(least, 2),
        "over_bare_sdk_ms": round(mine - theirs, 2),
        "over_raw_events_ms": round(mine - least, 2),
        "limit_over_bare_sdk_ms": 5,
        "machine": describe(),
        "megabyte": await megabyte(),
    }


def main() -> None:
    os.environ.setdefault("ANTHROPIC_API_KEY", "workbench")
    print(json.dumps(asyncio.run(measure()), indent=2))


if __name__ == "__main__":
    main()
