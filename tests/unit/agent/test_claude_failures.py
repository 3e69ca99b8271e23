"""What each failure of the service comes out as: waited for in sight of the person, or told at once."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from agent.errors import BadCredentials, BudgetSpent, ContextOverflow, ModelRefused, ModelUnavailable
from agent.events import Text
from agent.models.base import ModelEvent, Reply, Request, Restarted, TextDelta, Waiting
from agent.models.claude import ClaudeModel
from agent.models.retry import retry_after
from tests.standins.clock import Clock
from tests.standins.conversation import SYSTEM, room
from tests.standins.messages_api import MessagesApi, Script, Server, changed_prefixes
from tests.standins.messages_script import (
    Fails,
    Hangs,
    Spoiled,
    Step,
    call,
    fails,
    malformed_call,
    note,
    says,
    spend_cap,
    text,
)

FINE = says(text("Fine."))


@asynccontextmanager
async def claude(
    monkeypatch: pytest.MonkeyPatch,
    *steps: Step,
    server: Server = Server(),  # noqa: B008 - frozen
    name: str = "claude-opus-5-5",
    compat: bool = False,
) -> AsyncIterator[tuple[ClaudeModel, MessagesApi, Clock]]:
    clock = Clock()
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    async with MessagesApi(Script(steps, endless=True), server) as api:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.base_url)
        model = ClaudeModel(name, compat=compat, patience=clock.patience())
        yield model, api, clock
        await model.aclose()
        api.raise_errors()


async def hear(model: ClaudeModel) -> list[ModelEvent]:
    messages = room(model).talk.history
    messages.user("Hello")
    return [event async for event in model.respond(Request(SYSTEM, (), messages.messages))]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_what_passes_by_itself_is_waited_for_and_seen(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {408: "timeout_error", 409: "conflict_error"}
    failing = Fails(status, kinds[status]) if status in kinds else fails(status)
    async with claude(monkeypatch, failing, failing, FINE) as (model, _, clock):
        waits = [event for event in await hear(model) if isinstance(event, Waiting)]

    assert clock.slept == [1.0, 2.0]
    assert [wait.retry_in_s for wait in waits] == [1.0, 2.0]
    assert f"HTTP {status}" in waits[0].reason


async def test_the_servers_own_wish_to_wait_is_honoured_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    async with claude(monkeypatch, fails(429, retry_after="37"), FINE) as (model, _, clock):
        waits = [event for event in await hear(model) if isinstance(event, Waiting)]

    assert [wait.retry_in_s for wait in waits] == clock.slept == [37.0]


async def test_a_wish_to_wait_longer_than_we_will_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with claude(monkeypatch, fails(429, retry_after="3600")) as (model, _, clock):
        with pytest.raises(ModelUnavailable, match="3600 s"):
            await hear(model)

    assert clock.slept == []


async def test_a_server_that_wants_no_pause_gets_one_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = [fails(429, retry_after="0") for _ in range(3)]
    async with claude(monkeypatch, *busy, FINE) as (model, _, clock):
        await hear(model)

    assert clock.slept == [1, 2, 4]


def test_retry_after_is_read_as_seconds_milliseconds_or_a_date() -> None:
    now = time.time()
    later = format_datetime(datetime.fromtimestamp(now, UTC) + timedelta(seconds=90), usegmt=True)

    assert retry_after({"retry-after": "12"}) == 12
    assert retry_after({"retry-after-ms": "1500"}) == 1.5
    assert retry_after({"retry-after": later}, now=lambda: now) == pytest.approx(90, abs=1.5)
    for nonsense in ("soon", "nan", "1e999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", ""):
        assert retry_after({"retry-after": nonsense}) is None, nonsense
        assert retry_after({"retry-after-ms": nonsense}) is None, nonsense
    assert retry_after({}) is None


@pytest.mark.parametrize(
    "step",
    [
        spend_cap(),
        fails(400, message="Your organization has reached its spend limit"),
        fails(402, message="payment required"),
        fails(400, message="Your credit balance is too low"),
    ],
)
async def test_a_spent_account_is_never_asked_again(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    async with claude(monkeypatch, step) as (model, api, clock):
        with pytest.raises(BudgetSpent, match="budget is spent"):
            await hear(model)

    assert (len(api.requests), clock.slept) == (1, [])


async def test_a_refused_key_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async with claude(monkeypatch, FINE) as (model, api, _):
        monkeypatch.setenv("ANTHROPIC_API_KEY", "bad-key")
        with pytest.raises(BadCredentials, match=r"ANTHROPIC_API_KEY(.|\n)*--offline") as raised:
            await hear(model)

    assert len(api.requests) == 1
    assert "bad-key" not in str(raised.value)


async def test_a_missing_key_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async with claude(monkeypatch, FINE) as (model, api, _):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        with pytest.raises(BadCredentials, match=r"No credentials.*--offline"):
            await hear(model)

    assert api.requests == []


async def test_an_unknown_model_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with claude(monkeypatch, FINE, name="claude-opus-99") as (model, _, _clock):
        with pytest.raises(ModelRefused, match=r"claude-opus-99.*--model"):
            await hear(model)


async def test_a_prompt_too_long_is_a_failure_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with claude(monkeypatch, FINE, server=Server(context_limit=10)) as (model, _, _clock):
        with pytest.raises(ContextOverflow):
            await hear(model)


async def test_an_error_inside_the_stream_is_waited_for_if_it_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = says(text("Half of it"), fault=Spoiled("error", after_events=4))
    async with claude(monkeypatch, broken, FINE) as (model, _, clock):
        heard = await hear(model)

    assert clock.slept == [1.0]
    assert any(isinstance(event, Restarted) for event in heard)
    assert isinstance(heard[-1], Reply)
    assert heard[-1].text == "Fine."


async def test_an_error_inside_the_stream_that_stays_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = says(text("x"), fault=Spoiled("error", after_events=3, error_type="invalid_request_error"))
    async with claude(monkeypatch, broken) as (model, _, clock):
        with pytest.raises(ModelRefused):
            await hear(model)

    assert clock.slept == []


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (says(text("Half of it"), fault=Spoiled("silence", after_events=4)), {"silence_s": 0.1}),
        (Hangs(), {"silence_s": 0.1}),
    ],
)
async def test_silence_is_noticed_and_the_request_made_anew(
    step: Step, settings: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with claude(monkeypatch, step, FINE) as (model, _, clock):
        for name, seconds in settings.items():
            setattr(model, name, seconds)
        heard = await hear(model)

    assert clock.slept == [1.0]
    assert [event.reason for event in heard if isinstance(event, Waiting)] == ["The service went silent"]


@pytest.mark.parametrize("after_events", [0, 3])
async def test_a_reply_of_nothing_but_pings_is_asked_for_once_more(
    after_events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled = says(text("x"), fault=Spoiled("pings", after_events=after_events, pause_s=0.01))
    async with claude(monkeypatch, stalled, stalled) as (model, _, clock):
        model.stalled_s = 0.2
        with pytest.raises(ModelUnavailable, match=r"sends no reply \(tried 2 times\)"):
            await hear(model)

    assert clock.slept == [1.0]


async def test_a_service_out_of_reach_is_waited_for_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    async with claude(monkeypatch, Hangs(refuse=True)) as (model, _, clock):
        model.patience = clock.patience(total_s=10)
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            await hear(model)

    assert clock.slept == [1, 2, 4]


async def test_a_call_whose_input_is_no_json_is_asked_for_anew_and_never_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torn = says(malformed_call("smash", '{"name": "etcd-1'))
    async with claude(monkeypatch, torn, FINE) as (model, _, clock):
        here = room(model)
        end = await here.talk.ask("?")

    assert (end.text, here.house.log, clock.slept) == ("Fine.", [], [1.0])


async def test_slow_bytes_are_only_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = says(text("Fine."), fault=Spoiled("slow"))
    async with claude(monkeypatch, slow) as (model, _, clock):
        heard = await hear(model)

    assert "".join(event.text for event in heard if isinstance(event, TextDelta)) == "Fine."
    assert clock.slept == []


async def test_notes_between_calls_are_seen_and_their_blocks_sent_back_untouched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with claude(
        monkeypatch, says(note("First a look."), call("look")), says(note("Now told."), text("Fine."))
    ) as (model, api, _):
        here = room(model)
        await here.talk.ask("?")
        await here.talk.ask("And?")
        notes = [event.text for event in here.seen(Text) if event.note]

    assert "".join(notes).startswith("First a look.Now told.")
    assert api.refusals == []
    assert changed_prefixes(api.bodies) == []
    thinking = api.bodies[1]["messages"][1]["content"][0]
    assert (thinking["thinking"], thinking["signature"][:4]) == ("First a look.", "sig-")


async def test_refused_thinking_is_left_out_and_the_request_made_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with claude(monkeypatch, FINE) as (model, api, clock):
        here = room(model)
        here.talk.history.user("Earlier")
        foreign = {"type": "thinking", "thinking": "hm", "signature": "sig-of-another-conversation"}
        here.talk.history.assistant([foreign, text("Yes.")], "end_turn")
        end = await here.talk.ask("Now?")
        again = await here.talk.ask("And now?")

    assert (end.text, again.text, clock.slept) == ("Fine.", "Fine.", [])
    assert [seen.status for seen in api.requests] == [400, 200, 200]


async def test_another_vendors_server_gets_only_the_basics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of calls that repeat, or that Claude takes not, as such servers make them, are replaced."""
    other = Server(compat=True)
    odd = "functions.look:0"
    steps = [says(call("look", call_id=odd)), says(call("peek", call_id=odd)), FINE]
    async with claude(monkeypatch, *steps, server=other, name="qwen", compat=True) as (
        model,
        api,
        _,
    ):
        here = room(model)
        here.talk.history.user("Earlier, with Claude")
        here.talk.history.assistant([note("mine"), text("Before.")], "end_turn")
        here.talk.note("The mode changed.")
        end = await here.talk.ask("?")

    assert end.text == "Fine."
    assert here.house.log == ["begin look etcd-1", "end look etcd-1", "begin peek etcd-1", "end peek etcd-1"]
    assert api.refusals == []
    assert {seen.path for seen in api.requests} == {"/v1/messages"}


async def test_a_model_without_system_messages_is_told_by_user_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async with claude(monkeypatch, FINE, name="claude-haiku-5-5") as (model, api, _):
        here = room(model)
        here.talk.note("The mode changed.")
        await here.talk.ask("?")

    assert api.refusals == []
    assert [message["role"] for message in api.bodies[0]["messages"]] == ["user", "user"]
