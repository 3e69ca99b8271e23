"""Streams in the API's own form, cut at every odd place, through the real SDK into our reply.

The files in `streams/` are written after the API's documented events (ids, signatures and texts are made
up). What we assemble is compared with what the SDK's own accumulation makes of the same bytes.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import anthropic
import httpx2
import pytest
from anthropic.types.beta import BetaMessage, BetaMessageParam

from agent.models.base import Message, NoteDelta, Reply, Request, TextDelta, ToolSpec
from agent.models.claude import ClaudeModel
from tests.standins.clock import Clock
from tests.standins.conversation import room

STREAMS = sorted(Path(__file__).with_name("streams").glob("*.sse"))
SIZES = (1, 2, 3, 5, 7, 13, 101, 1009, 65_536)
ASKED = Request(
    "system",
    (ToolSpec("look", "Looks.", {"type": "object", "properties": {"name": {"type": "string"}}}),),
    (Message("user", ({"type": "text", "text": "What is up?"},)),),
)


def stream(name: str) -> bytes:
    return Path(__file__).with_name("streams").joinpath(f"{name}.sse").read_bytes()


class Pieces(httpx2.AsyncByteStream):
    def __init__(self, raw: bytes, size: int) -> None:
        self.raw, self.size = raw, size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.raw), self.size):
            yield self.raw[start : start + self.size]


def serving(size: int, *raws: bytes) -> httpx2.AsyncClient:
    """A client whose every request is answered by the next of `raws`, in pieces of `size` bytes."""
    waiting = list(raws)

    def handle(_request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream", "request-id": "req_1"}
        return httpx2.Response(200, headers=headers, stream=Pieces(waiting.pop(0), size))

    return httpx2.AsyncClient(transport=httpx2.MockTransport(handle))


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")


async def hear(raw: bytes, size: int) -> tuple[Reply, str, str]:
    model = ClaudeModel("claude-opus-5-5", http_client=serving(size, raw), patience=Clock().patience())
    events = [event async for event in model.respond(ASKED)]
    await model.aclose()
    reply = events[-1]
    assert isinstance(reply, Reply)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return reply, text, "".join(event.text for event in events if isinstance(event, NoteDelta))


async def sdk_reads(raw: bytes) -> BetaMessage:
    async with anthropic.AsyncAnthropic(http_client=serving(65_536, raw)) as client:
        asked: BetaMessageParam = {"role": "user", "content": "What is up?"}
        messages = client.beta.messages
        async with messages.stream(model="claude-opus-5-5", max_tokens=9, messages=[asked]) as reading:
            return await reading.get_final_message()


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
async def test_however_a_stream_is_cut_the_reply_is_the_one_that_the_sdk_reads(path: Path) -> None:
    raw = path.read_bytes()
    expected = (await sdk_reads(raw)).to_dict(mode="json", warnings=False)

    for size in SIZES:
        reply, text, _ = await hear(raw, size)

        assert list(reply.content) == expected["content"], size
        assert reply.stop_reason == expected["stop_reason"]
        assert text == reply.text


async def test_notes_are_heard_apart_from_the_answer_and_calls_keep_every_character() -> None:
    reply, text, notes = await hear(stream("tool_turn"), 7)

    assert notes == "Two sides first: what etcd-2 says, and what its peers say – 平等。"
    assert text == "I look at both sides of etcd-2 at once. 🔎\n\n"
    assert [dict(call.arguments) for call in reply.calls] == [{"name": 'etcd-2 é"q" 店'}, {}]
    assert reply.content[2]["caller"] == {"type": "direct"}
    assert (reply.usage.prompt_tokens, reply.usage.output_tokens) == (2114 + 310 + 1804, 188)


async def test_the_tokens_of_a_compaction_are_counted() -> None:
    reply, *_ = await hear(stream("compaction"), 101)

    assert reply.usage.output_tokens == 210 + 210


@pytest.mark.parametrize("size", [1, 7, 65_536])
async def test_a_whole_conversation_runs_over_such_streams(size: int) -> None:
    raws = [stream("tool_turn"), stream("answer")]
    model = ClaudeModel("claude-opus-5-5", http_client=serving(size, *raws), patience=Clock().patience())
    here = room(model)
    end = await here.talk.ask("What is up?")
    await model.aclose()

    assert end.reason == "answered"
    assert end.text.startswith("**etcd-2** is down; the other two hold quorum [E7].")
    assert sorted(here.house.log) == sorted(
        ['begin look etcd-2 é"q" 店', 'end look etcd-2 é"q" 店', "begin peek etcd-1", "end peek etcd-1"]
    )
    assert [message.role for message in here.talk.history.messages] == ["user", "assistant"] * 2


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
async def test_a_stream_that_ends_anywhere_before_its_end_is_never_taken_for_whole(path: Path) -> None:
    """The SDK raises nothing for it: a call could run with half of its arguments."""
    raw = path.read_bytes()
    last = raw.index(b"event: message_stop")
    for cut in range(0, last, max(1, last // 60)):
        clock = Clock()
        client = serving(65_536, raw[:cut], raw)
        model = ClaudeModel("claude-opus-5-5", http_client=client, patience=clock.patience())
        events = [event async for event in model.respond(ASKED)]
        await model.aclose()

        assert clock.slept == [1.0], cut
        assert isinstance(events[-1], Reply)
