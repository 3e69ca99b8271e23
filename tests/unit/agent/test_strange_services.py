"""Whatever answers in the API's place, the person reads one line that says so, and no key is in it."""

import gzip
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.budget import Budget
from agent.compaction import Compactor
from agent.errors import AgentError, ContextOverflow, ModelError, ModelRefused, ModelUnavailable
from agent.models.base import Message, ModelEvent, Reduced, Reply, Request, Waiting
from agent.models.catalog import CATALOG, UNKNOWN, facts_of
from agent.models.claude import ClaudeModel
from agent.models.features import COMPACTION_BETA, UPDATES_BETA
from agent.models.providers import Provider
from agent.repair import text_block
from agent.sessions.choosing import choose_claude
from agent.setup import Setup
from tests.standins.clock import Clock
from tests.standins.conversation import room
from tests.standins.strange_service_standin import (
    StrangeService,
    http,
    refusal,
    spoken,
    sse,
    strange_service,
)
from tools.events import Notice

KEY = "sk-ant-api03-not-for-anyones-eyes"
FINE = spoken({"type": "text", "text": "Fine."})
START = {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}
END = ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"})
PAGE = "<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head>" + "<p>much more</p>" * 900


@asynccontextmanager
async def asked_at(
    answer: Any, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> AsyncIterator[tuple[ClaudeModel, StrangeService, Clock]]:
    clock = Clock()
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    async with strange_service(answer) as service:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", service.base_url)
        model = ClaudeModel(settings.pop("name", "claude-opus-5-5"), patience=clock.patience(), **settings)
        try:
            yield model, service, clock
        finally:
            await model.aclose()


async def hear(model: ClaudeModel, **more: Any) -> list[ModelEvent]:
    request = Request("You watch.", (), (Message("user", (text_block("How is it?"),)),), **more)
    return [event async for event in model.respond(request)]


async def replied(model: ClaudeModel) -> Reply:
    last = (await hear(model))[-1]
    assert isinstance(last, Reply)
    return last


async def failed(model: ClaudeModel) -> str:
    """The one line that a person would read."""
    with pytest.raises(ModelError) as raised:
        await hear(model)
    text = str(raised.value)
    assert "\n" not in text
    assert len(text) < 700
    assert KEY not in text
    return text


# -- what is no Messages API is told at once -----------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http(PAGE, kind="text/html; charset=utf-8"), "a web page (“Welcome to nginx!”)"),
        (http(PAGE, kind="text/plain"), "a web page"),
        (
            http('{"id":"chatcmpl-1","object":"chat.completion"}', kind="application/json"),
            "JSON in one piece",
        ),
        (http('{"error":{"message":"no such route"}}', kind="application/json"), "no such route"),
        (http("pong", kind="text/plain"), "pong"),
        (http(PAGE, "403 Forbidden", "text/html"), "HTTP 403 with a web page (“Welcome to nginx!”)"),
        (http(PAGE, "401 Unauthorized", "text/html"), "HTTP 401 with a web page"),
        (http(PAGE, "413 Content Too Large", "text/html"), "a proxy takes no request of this size. /compact"),
        (http("404 page not found\n", "404 Not Found", "text/plain"), "HTTP 404"),
        (http('{"detail":"Not Found"}', "404 Not Found", "application/json"), "Not Found"),
        (
            http(
                '{"error":{"message":"Not Found","type":"invalid_request_error"}}',
                "404 Not Found",
                "application/json",
            ),
            "has no Messages API",
        ),
        (http("", "405 Method Not Allowed", "text/html"), "HTTP 405"),
        (b"-ERR unknown command 'POST'\r\n\r\n", "does not speak HTTP"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "does not speak HTTP"),
        (http("", "302 Found", more="location: /v1/messages\r\n"), "redirects in circles"),
        (http("", "302 Found", more="location: mailto:a@b\r\n"), "Invalid URL in location header"),
        (http("", more="content-length: -1\r\n"), "bad Content-Length"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "an empty body"),
        (http(gzip.compress(b"hello")), "bytes that are no text"),
        (http(b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: [DONE]\n\n'), "choices"),
        (http('{"error": {"type": ["x"], "message": [1]}}', "400 X", "application/json"), "refused"),
        (
            http('{"type": "error", "error": {"type": "authentication_error"}}', kind="application/json"),
            "refused the credentials",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_another_service_is_told_at_once_by_what_it_answered(
    answer: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked_at(answer, monkeypatch) as (model, _, clock):
        text = await failed(model)

    assert said in text
    assert clock.slept == []


async def test_a_redirect_to_a_page_is_told_by_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(body: Mapping[str, Any]) -> bytes:
        return http("", "301 Moved", more="location: /login\r\n") if body else http(PAGE, kind="text/html")

    async with asked_at(answer, monkeypatch) as (model, _, clock):
        assert "a web page" in await failed(model)

    assert clock.slept == []


@pytest.mark.parametrize(
    "base",
    [
        *("127.0.0.1:8080", "localhost", "ftp://127.0.0.1/", "http://", "//x"),
        *("http://127.0.0.1:99999", "http://127.0.0.1:x", "http://ex ample", "http://[::1"),
    ],
)
async def test_an_address_without_scheme_or_host_is_told_by_its_variable(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked_at(FINE, monkeypatch) as (model, _, clock):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", base)
        assert "ANTHROPIC_BASE_URL must begin with http:// or https://" in await failed(model)

    assert clock.slept == []


async def test_a_proxy_that_takes_a_package_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asked_at(FINE, monkeypatch) as (model, _, clock):
        monkeypatch.setenv("HTTPS_PROXY", "socks5://me:hunter22@127.0.0.1:9")
        assert "HTTPS_PROXY names a SOCKS proxy" in await failed(model)

    assert clock.slept == []


async def test_a_password_in_the_address_is_shown_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asked_at(http(PAGE, kind="text/html"), monkeypatch) as (model, service, _):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://me:hunter22@127.0.0.1:{service.port}")
        assert "hunter22" not in await failed(model)


async def test_a_page_of_an_overloaded_gateway_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [http(PAGE, "502 Bad Gateway", "text/html"), http(PAGE, "503 Busy", "text/html"), FINE]
    async with asked_at(lambda _: answers.pop(0), monkeypatch) as (model, _, clock):
        assert (await replied(model)).text == "Fine."

    assert clock.slept == [1, 2]


# -- sloppy streams ------------------------------------------------------------------------------------

SLOPPY = {
    "text block without text": (
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
    ),
    "no index": ({"type": "content_block_start", "content_block": {"type": "text", "text": ""}},),
    "null text": (
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": None}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": None}},
    ),
}


@pytest.mark.parametrize("first", SLOPPY.values(), ids=SLOPPY)
@pytest.mark.parametrize(
    "start", [START, {"type": "message_start"}, {"type": "message_start", "message": None}]
)
@pytest.mark.parametrize("delta", [{"text": "Fine."}, {"type": "text_delta", "text": "Fine."}])
async def test_what_a_sloppy_server_leaves_out_is_taken_as_empty(
    first: tuple[Any, ...], start: Any, delta: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = sse(
        start, *first, {"type": "content_block_delta", "delta": delta}, {"type": "content_block_stop"}, *END
    )
    async with asked_at(http(stream), monkeypatch) as (model, _, clock):
        assert (await replied(model)).text == "Fine."

    assert clock.slept == []


def _block(index: int, text: str) -> list[Mapping[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": text}},
        {"type": "content_block_stop", "index": index},
    ]


@pytest.mark.parametrize(
    "blocks",
    [
        [*_block(0, "Fi"), *_block(0, "ne.")],
        [*_block(7, "Fi"), *_block(-1, "ne.")],
        [_block(0, "Fi")[0], *_block(0, "ne.")],
        [_block(0, "Fi")[0], _block(1, "ne.")[0]],
    ],
    ids=["one index for all", "indexes in any order", "begun anew without an end", "no ends"],
)
async def test_blocks_that_are_counted_wrong_are_all_kept(
    blocks: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked_at(http(sse(START, *blocks, *END)), monkeypatch) as (model, _, clock):
        reply = await replied(model)

    assert ([block["text"] for block in reply.content], clock.slept) == (["Fi", "ne."], [])


async def test_an_error_that_a_gateway_reports_as_a_success_is_waited_for_if_it_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
    answers = [http(busy, kind="application/json"), FINE]
    async with asked_at(lambda _: answers.pop(0), monkeypatch) as (model, _, clock):
        assert (await replied(model)).text == "Fine."

    assert clock.slept == [1]


async def test_a_reply_that_never_ends_as_it_should_is_not_paid_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with asked_at(http(sse(START, *_block(0, "Fine."), END[0])), monkeypatch) as (model, service, _):
        assert "without message_stop" in await failed(model)

    assert len(service.bodies) == 3


async def test_events_named_in_the_line_before_them_alone_are_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = (
        b'event: message_start\r\ndata: {"message": {}}\r\n\r\n'
        b": a comment\r\n\r\nevent: ping\r\ndata: {}\r\n\r\n"
        b'event: content_block_start\r\ndata: {"content_block":\r\n'
        b'data: {"type": "text", "text": "Fi"}}\r\n\r\n'
        b'event: content_block_delta\r\ndata: {"delta": {"text": "ne."}}\r\n\r\n'
        b"event: content_block_stop\r\ndata: {}\r\n\r\n"
        b'event: message_delta\r\ndata: {"delta": {"stop_reason": "end_turn"}}\r\n\r\n'
        b"event: message_stop\r\ndata: {}\r\n\r\ndata: [DONE]\r\n\r\n"
    )
    async with asked_at(http(lines, kind="application/octet-stream"), monkeypatch) as (model, _, clock):
        assert (await replied(model)).text == "Fine."

    assert clock.slept == []


@pytest.mark.parametrize(
    "event",
    [
        b"null",
        b"[1, 2]",
        b'"text"',
        b"{",
        b'{"type": "content_block_start", "content_block": []}',
        b'{"type": "content_block_start", "content_block": {}}',
        b'{"type": "content_block_start", "content_block": {"type": "text", "text": 5}}',
        b'{"type": "content_block_start", "content_block": {"type": 7}}',
        b'{"type": "content_block_delta", "index": 9, "delta": {"text": "x"}}',
        b'{"type": "content_block_stop", "index": 9}',
        b'{"type": "message_delta", "delta": "x"}',
        b'{"type": "message_delta", "delta": {"stop_reason": ["end_turn"]}}',
        b'{"type": "message_start", "message": "x"}',
        b'{"type": "message_stop", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda event: event[:60].decode(),
)
async def test_a_stream_that_cannot_be_a_reply_is_given_up_after_three_tries(
    event: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked_at(http(sse(START, event, *END)), monkeypatch) as (model, _, clock):
        with pytest.raises(ModelRefused, match="breaks the rules of the Messages API"):
            await hear(model)

    assert clock.slept == [1, 2]


async def test_figures_that_cannot_be_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"input_tokens": "12", "output_tokens": -4, "cache_read_input_tokens": [1], "iterations": [3],
              "cache_creation_input_tokens": 7, "cache_creation": "x"}  # fmt: skip
    usage = json.dumps(counts)[:-1] + ', "input_tokens": 1e999, "output_tokens": ' + "9" * 5000 + "}"
    started = b'{"type": "message_start", "message": {"usage": ' + usage.encode() + b"}}"
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Fine."}}
    stream = sse(started, block, {"type": "content_block_stop", "index": 0}, *END)
    async with asked_at(http(stream), monkeypatch) as (model, _, _clock):
        usage_seen = (await replied(model)).usage

    assert (usage_seen.input_tokens, usage_seen.output_tokens, usage_seen.cache_write_tokens) == (0, 0, 7)


async def test_an_unknown_stop_reason_is_told_and_is_no_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    half = spoken(
        {"type": "text", "text": "Half an ans"},
        {"type": "tool_use", "id": "t", "name": "act", "input": {}},
        stop="content_filter",
    )
    async with asked_at(half, monkeypatch) as (model, _, _clock):
        here = room(model)
        end = await here.talk.ask("?")

    assert (end.reason, end.text) == ("truncated", "Half an ans")
    assert "content_filter" in end.detail
    assert any("content_filter" in notice.text for notice in here.seen(Notice))
    assert here.house.log == []


# -- text that is no text ------------------------------------------------------------------------------


async def test_half_characters_and_nuls_never_reach_history_transcript_or_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(body: Mapping[str, Any]) -> bytes:
        if len(body["messages"]) > 1:
            return FINE
        started = (
            rb'{"type": "content_block_start", "content_block": {"type": "text", "text": "a\ud800b\u0000c"}}'
        )
        called = (
            rb'{"type": "content_block_start", "content_block": {"type": "tool_use", "id": "t\udfff", '
            rb'"name": "lo\ud83dok", "input": {}}}'
        )
        given = rb'{"type": "content_block_delta", "delta": {"partial_json": "{\"name\": \"x\\ud800\"}"}}'
        stop = {"type": "content_block_stop"}
        torn = b'{"type": "content_block_delta", "delta": {"text": "\xff\xfe"}}'
        end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}
        return http(sse(START, started, torn, stop, called, given, stop, end, {"type": "message_stop"}))

    async with asked_at(answer, monkeypatch) as (model, service, clock):
        here = room(model)
        first = await here.talk.ask("Well\udcff?")
        again = await here.talk.ask("And now?")

    assert (first.text, again.text, clock.slept) == ("Fine.", "Fine.", [])
    held = json.dumps([service.bodies, here.notes.entries], ensure_ascii=False, default=str)
    held.encode()
    assert not re.search("[\x00\ud800-\udfff]", held)
    assert not re.search(r"\\ud[89a-f]|\\u0000", json.dumps(service.bodies[-1]))


@pytest.mark.parametrize(
    "arguments", ["[1, 2", '"text"', "[" * 100_000, '{"a": ' * 200 + "1" + "}" * 200, '{"a": nope}']
)
async def test_arguments_that_stay_unreadable_are_answered_for_the_model_to_mend(
    arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(body: Mapping[str, Any]) -> bytes:
        if len(body["messages"]) > 1:
            return FINE
        call = {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "smash"}}
        given = {"type": "content_block_delta", "delta": {"partial_json": arguments}}
        end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}
        return http(sse(START, call, given, {"type": "content_block_stop"}, end, {"type": "message_stop"}))

    async with asked_at(answer, monkeypatch) as (model, service, clock):
        here = room(model)
        end = await here.talk.ask("?")

    assert (end.text, here.house.log, clock.slept) == ("Fine.", [], [1, 2])
    result = service.bodies[-1]["messages"][-1]["content"][0]
    assert result["is_error"] is True
    assert "not a JSON object" in result["content"]


# -- refusals of one parameter -------------------------------------------------------------------------

REFUSALS = {
    "thinking.display: Extra inputs are not permitted": (
        "thinking.display",
        {"thinking": {"type": "adaptive"}},
    ),
    f"anthropic-beta: Unexpected value(s) `{UPDATES_BETA}` for the header": (
        "thinking.display",
        {"thinking": {"type": "adaptive"}},
    ),
    "thinking.type: adaptive is not supported on this model": ("thinking", {"thinking": None}),
    "output_config.effort: this model does not support the effort parameter": ("output_config.effort",
                                                                               {"output_config": None}),
    "cache_control: Extra inputs are not permitted": ("cache_control", {"cache_control": None}),
}  # fmt: skip


@pytest.mark.parametrize(("message", "lost"), REFUSALS.items(), ids=REFUSALS)
async def test_only_the_refused_parameter_is_dropped_and_that_is_told_once(
    message: str, lost: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [refusal(message)]
    async with asked_at(lambda _: answers.pop() if answers else FINE, monkeypatch) as (model, service, clock):
        here = room(model)
        await here.talk.ask("?")
        await here.talk.ask("And now?")

    parameter, expected = lost
    first, second, third = service.bodies
    assert clock.slept == []
    assert [notice.text for notice in here.seen(Notice) if parameter in notice.text].__len__() == 1
    for sent in (second, third):
        for name in ("thinking", "output_config", "cache_control", "system"):
            assert sent.get(name) == (expected[name] if name in expected else first.get(name)), name


async def test_no_header_is_ever_sent_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API refuses an empty `anthropic-beta`."""
    answers = [refusal("thinking.type: adaptive is not supported on this model")]
    async with asked_at(lambda _: answers.pop() if answers else FINE, monkeypatch) as (model, service, _):
        await hear(model)
        model.name = "claude-haiku-4-5"
        await hear(model)

    for head in service.heads:
        fields = [line.partition(":") for line in head.strip().split("\r\n")[1:]]
        assert [name for name, _, value in fields if not value.strip()] == []
    assert "anthropic-beta" in service.heads[0]
    assert "anthropic-beta" not in service.heads[1]


async def test_a_smaller_room_for_replies_is_taken_from_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(body: Mapping[str, Any]) -> bytes:
        if body["max_tokens"] > 8192:
            return refusal("max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens")
        return FINE

    async with asked_at(answer, monkeypatch) as (model, service, _):
        heard = await hear(model)
        await hear(model)

    assert [body["max_tokens"] for body in service.bodies] == [64_000, 8_192, 8_192]
    assert len([event for event in heard if isinstance(event, Reduced)]) == 1


async def test_a_refusal_of_something_else_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asked_at(refusal("tools.0: this model does not call tools"), monkeypatch) as (
        model,
        service,
        _,
    ):
        assert "this model does not call tools" in await failed(model)

    assert len(service.bodies) == 1


async def test_a_service_that_refuses_one_thing_after_the_other_gets_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(body: Mapping[str, Any]) -> bytes:
        for name in ("cache_control", "output_config", "thinking", "betas"):
            if name in body:
                wrong = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs"}]
                return http(json.dumps({"detail": wrong}), "422 Unprocessable", "application/json")
        return FINE

    async with asked_at(answer, monkeypatch) as (model, service, _):
        assert (await replied(model)).text == "Fine."

    assert len(service.bodies) == 4
    assert "cache_control" in service.bodies[-1]["system"][0]


async def test_a_service_that_cannot_compact_is_asked_for_a_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [refusal(f"anthropic-beta: Unexpected value(s) `{COMPACTION_BETA}`")]
    async with asked_at(lambda _: answers.pop() if answers else FINE, monkeypatch) as (model, service, _):
        monkeypatch.setattr(ClaudeModel, "_first_party", property(lambda _self: True))
        here = room(model, compactor=Compactor(lambda: "Nothing."))
        here.talk.history.user("Earlier")
        assert await here.talk.compact()
        assert model.compaction == "model"

    assert ["compaction" in body for body in service.bodies] == [True, False]


# -- keys ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\t\n"])
async def test_a_key_with_white_space_around_it_is_used_without(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked_at(FINE, monkeypatch) as (model, service, clock):
        monkeypatch.setenv("ANTHROPIC_API_KEY", f" {KEY}{end}")
        assert (await replied(model)).text == "Fine."

    assert f"Bearer {KEY}\r\n" in service.heads[0]
    assert clock.slept == []


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS"])
@pytest.mark.parametrize("inside", ["\n", "\r\n", "…", "\x7f", "\udcff"])
async def test_a_key_that_no_header_can_carry_is_told_at_once_without_it(
    name: str, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = KEY[:12] + inside + KEY[12:]
    said = ""
    async with asked_at(FINE, monkeypatch) as (model, _, clock):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        monkeypatch.setenv(name, f"X-Gateway-Key: {broken}" if name.endswith("HEADERS") else broken)
        if name.endswith("HEADERS"):
            monkeypatch.setenv("ANTHROPIC_API_KEY", "plain")
        try:
            await hear(model)
        except ModelError as error:
            said = f"{type(error).__name__} {error}"

    assert not any(part in said for part in (KEY[:12], KEY[12:], "ModelUnavailable"))
    assert clock.slept == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [("400 Bad Request", "invalid_request_error"), ("401 X", "authentication_error"), ("500 X", "api_error")],
)
async def test_a_service_that_echoes_the_key_has_it_taken_out(
    status: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked_at(
        refusal(f"no such key: {KEY} (authorization: Bearer {KEY})", status, kind), monkeypatch
    ) as (
        model,
        _,
        clock,
    ):
        model.patience = clock.patience(total_s=3)
        await failed(model)


@pytest.mark.parametrize("provider", ["bedrock", "vertex"])
async def test_a_cloud_without_credentials_is_told_in_a_line(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("CLOUD_ML_REGION", "us-east5")
    monkeypatch.setenv("ANTHROPIC_VERTEX_PROJECT_ID", "p")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    clock = Clock()
    model = ClaudeModel("claude-opus-5-5", provider=provider, patience=clock.patience())
    with pytest.raises(ModelError) as raised:
        await hear(model)
    await model.aclose()

    assert "\n" not in str(raised.value)
    assert provider in str(raised.value).lower()
    assert clock.slept == []


# -- compatible servers, and models that nobody knows ---------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        "the request exceeds the available context size (4096 tokens), try increasing it",
        "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens",
        "litellm.ContextWindowExceededError: input is too long for requested model",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "Input is too long for requested model.",
    ],
)
async def test_a_full_context_is_known_by_the_words_of_each_server(
    message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked_at(refusal(message), monkeypatch, compat=True, name="qwen") as (model, _, _clock):
        with pytest.raises(ContextOverflow):
            await hear(model)


async def test_a_compatible_server_is_never_asked_for_a_longer_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = [spoken({"type": "text", "text": "Half of"}, stop="max_tokens")]
    async with asked_at(lambda _: cut.pop() if cut else FINE, monkeypatch, compat=True, name="qwen") as (
        model,
        service,
        _,
    ):
        assert (await room(model).talk.ask("?")).text == "Fine."

    assert [body["max_tokens"] for body in service.bodies] == [8_192, 8_192]


def test_every_model_that_the_sdk_lists_is_known() -> None:
    from typing import get_args

    from anthropic.types import Model

    named = [name for part in get_args(Model) for name in get_args(part)]
    assert len(named) > 20
    assert [name for name in named if facts_of(name) is UNKNOWN] == []
    assert facts_of("anthropic.claude-haiku-4-5-20251001-v1:0") is CATALOG["claude-haiku-4-5"]
    assert facts_of("claude-sonnet-4-5@20250929") is CATALOG["claude-sonnet-4-5"]


def test_a_model_that_nobody_knows_is_compacted_no_sooner_than_others() -> None:
    budget = Budget(UNKNOWN)
    compactor = Compactor(lambda: "")
    budget.context_tokens = 100_000
    assert not compactor.due(budget)
    budget.context_tokens = 150_001
    assert compactor.due(budget)


async def test_waits_are_told_without_what_a_server_says_in_many_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [refusal("busy\n\x1b[31mnow", "529 X", "overloaded_error"), FINE]
    async with asked_at(lambda _: answers.pop(0), monkeypatch) as (model, _, _clock):
        waits = [event for event in await hear(model) if isinstance(event, Waiting)]

    assert [wait.reason for wait in waits] == ["The service is overloaded (HTTP 529)"]


async def test_a_connection_that_stays_refused_is_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asked_at(FINE, monkeypatch) as (model, _, clock):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
        model.patience = clock.patience(total_s=3)
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            await hear(model)


async def test_an_https_address_of_an_http_server_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asked_at(b"HTTP/1.1 400 Bad Request\r\n\r\n", monkeypatch) as (model, service, clock):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"https://127.0.0.1:{service.port}")
        text = await failed(model)

    assert "does not speak TLS" in text
    assert clock.slept == []


def test_a_budget_that_cannot_be_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with pytest.raises(AgentError, match=r"price of qwen is not known.*--max-cost"):
        choose_claude(Setup(model="qwen", max_cost_usd=1.0))
    assert choose_claude(Setup(model="claude-opus-4-8", max_cost_usd=1.0)).name == "claude-opus-4-8"
