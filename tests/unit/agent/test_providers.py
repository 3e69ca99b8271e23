"""Where Claude is reached, what is said when it can't be, and what is known of models."""

import json
import pwd
from pathlib import Path
from typing import NoReturn

import httpx2
import pytest

from agent.errors import BadCredentials, ModelError, ModelRefused
from agent.models.base import Message, Request, Usage
from agent.models.catalog import choose, facts_of
from agent.models.claude import ClaudeModel
from agent.models.providers import Provider, credentials_found, is_first_party
from agent.models.retry import Patience
from agent.setup import config_values
from subjects.errors import NotReady
from subjects.state import state_root

HELLO = Request("s", (), (Message("user", ({"type": "text", "text": "Hi"},)),))


async def ask(provider: Provider) -> list[httpx2.Request]:
    """What reached the provider, which answers that it will not."""
    came: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        came.append(request)
        error = {"type": "invalid_request_error", "message": "not today"}
        return httpx2.Response(400, json={"type": "error", "error": error})

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
    model = ClaudeModel("claude-opus-5-5", provider=provider, http_client=client, patience=Patience(0))
    try:
        async for _ in model.respond(HELLO):
            pass
    except ModelRefused:
        return came
    finally:
        await model.aclose()
        await client.aclose()
    return came


async def test_bedrock_is_asked_in_its_region_for_its_name_of_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "token")
    (request,) = await ask("bedrock")

    assert "us-east-1" in request.url.host
    assert json.loads(request.content)["model"] == "anthropic.claude-opus-5-5"


@pytest.mark.parametrize(("provider", "names"), [("bedrock", "AWS_REGION"), ("vertex", "CLOUD_ML_REGION")])
async def test_a_missing_region_is_told_by_the_variable_that_sets_it(provider: Provider, names: str) -> None:
    with pytest.raises(BadCredentials, match=names) as raised:
        await ask(provider)

    assert "--offline" in str(raised.value)


async def test_a_missing_extra_is_told_by_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anthropic")
    monkeypatch.setenv("CLOUD_ML_REGION", "us-east5")
    monkeypatch.setenv("ANTHROPIC_VERTEX_PROJECT_ID", "p")
    monkeypatch.setitem(__import__("sys").modules, "google.auth", None)
    with pytest.raises(ModelError, match=r"chaos-operator\[vertex\]"):
        await ask("vertex")


def test_credentials_are_found_without_loading_the_sdk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not credentials_found()

    monkeypatch.setenv("ANTHROPIC_API_KEY", "  ")
    assert not credentials_found()

    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "t")
    assert credentials_found()


def test_nobody_s_home_is_no_credential_no_config_and_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME, and a user without an entry, as in many containers."""

    def nobody(_user: int) -> NoReturn:
        raise KeyError

    for name in ("HOME", "OPERATOR_STATE_DIR", "OPERATOR_CONFIG", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)

    assert not credentials_found()
    assert config_values() == {}
    with pytest.raises(NotReady, match="--state-dir"):
        state_root()


def test_a_profile_in_the_home_folder_counts_as_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".config" / "anthropic"
    folder.mkdir(parents=True)
    assert not credentials_found()

    (folder / "default.json").write_text("{}")
    assert credentials_found()


def test_only_anthropics_own_api_is_first_party(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_party("api")
    assert not is_first_party("vertex")

    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:11434")
    assert not is_first_party("api")


def test_a_model_is_chosen_by_flag_then_environment_then_file_then_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choose(None) == "claude-opus-5-5"
    assert choose(None, "sonnet") == "claude-sonnet-5-5"

    monkeypatch.setenv("OPERATOR_MODEL", "haiku")
    assert choose(None, "sonnet") == "claude-haiku-5-5"
    assert choose("claude-something-else") == "claude-something-else"


def test_a_reply_costs_what_the_price_list_says() -> None:
    usage = Usage(
        input_tokens=1_000_000,
        output_tokens=100_000,
        cache_read_tokens=1_000_000,
        cache_write_tokens=1_000_000,
    )

    # 4 fresh + 5 written to the cache at 1.25 + 0.20 read from it + 2 for the output
    assert facts_of("claude-opus-5-5").cost(usage) == pytest.approx(4 + 5 + 0.20 + 2)
    assert facts_of("anthropic.claude-opus-5-5").cost(usage) == pytest.approx(11.20)
    assert facts_of("qwen").cost(usage) is None


def test_a_long_prompt_to_haiku_costs_five_times_as_much() -> None:
    haiku = facts_of("claude-haiku-5-5")

    assert haiku.cost(Usage(input_tokens=100_000)) == pytest.approx(0.01)
    assert haiku.cost(Usage(input_tokens=200_000)) == pytest.approx(0.10)
