"""Where Claude is reached: the API itself, Bedrock, Vertex, or any compatible server; and the credentials."""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from agent.errors import BadCredentials, ModelError
from agent.view.words import one_line

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

Provider = Literal["api", "bedrock", "vertex"]
CONNECT_S = 10.0
SILENCE_S = 120.0
"""How long the service may send not even a ping before we take the connection for dead."""

_VARIABLES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
    "ANTHROPIC_IDENTITY_TOKEN",
)
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy")
_PREFIXES = ("ANTHROPIC_", "AWS_", "CLOUD_ML_REGION")

_HOW: dict[Provider, str] = {
    "api": (
        "Set ANTHROPIC_API_KEY to a key from https://platform.claude.com/settings/keys, or sign in with "
        "`ant auth login`. Bedrock and Vertex take --provider and their own credentials."
    ),
    "bedrock": "Bedrock needs AWS_REGION and AWS credentials, or AWS_BEARER_TOKEN_BEDROCK.",
    "vertex": (
        "Vertex needs CLOUD_ML_REGION, ANTHROPIC_VERTEX_PROJECT_ID and Google's application default "
        "credentials (`gcloud auth application-default login`)."
    ),
}


def setup_help(provider: Provider = "api") -> str:
    """Return how to give credentials, and what works without."""
    return f"{_HOW[provider]} Without any of it, --offline runs the same tools without a model."


def credentials_found(provider: Provider = "api") -> bool:
    """Return whether credentials seem to be there, without loading the SDK: enough to choose a driver."""
    if provider != "api":
        return True  # the clouds have a dozen ways; the first request will tell
    if any(os.environ.get(name, "").strip() for name in _VARIABLES):
        return True
    folder = os.environ.get("ANTHROPIC_CONFIG_DIR")
    try:
        root = Path(folder) if folder else Path.home() / ".config" / "anthropic"
        return root.is_dir() and any(root.iterdir())
    except (OSError, RuntimeError):  # RuntimeError: nobody knows of a home
        return False


def base_url() -> str:
    """Return the address that was given for the API, as the SDK wants it; empty where none was."""
    return os.environ.get("ANTHROPIC_BASE_URL", "").strip().rstrip("/").removesuffix("/v1")


def address(provider: Provider) -> str:
    """Return where requests go, fit to be shown."""
    if provider != "api":
        return provider.capitalize()
    return re.sub(r"//[^/@]*@", "//", base_url()) or "https://api.anthropic.com"


def is_first_party(provider: Provider) -> bool:
    """Return whether requests go to Anthropic's own API, which alone has all of its betas."""
    base = base_url()
    return provider == "api" and (not base or base.endswith("//api.anthropic.com"))


def model_id(provider: Provider, name: str) -> str:
    """Return the model's id as the provider writes it."""
    if provider == "bedrock" and not name.startswith(
        ("anthropic.", "us.", "eu.", "apac.", "global.", "arn:")
    ):
        return f"anthropic.{name}"
    return name


def connect(provider: Provider, silence_s: float = SILENCE_S, http_client: Any = None) -> "AsyncAnthropic":
    """Return a client without retries of its own. Slow (it loads the SDK and TLS): call it in a thread.

    `http_client` is an httpx2.AsyncClient for tests. Raises ModelError for settings that are missing or
    cannot be used.
    """
    import anthropic
    import httpx2

    _check_environment()
    settings: dict[str, Any] = {
        "max_retries": 0,  # retries are ours, and seen
        "timeout": httpx2.Timeout(600.0, connect=CONNECT_S, read=silence_s),
    }
    if http_client is not None:
        settings["http_client"] = http_client
    client: Any
    try:
        match provider:
            case "api":
                if base := base_url():
                    settings["base_url"] = base
                client = anthropic.AsyncAnthropic(**settings, open_telemetry=False)
            case "bedrock":
                client = anthropic.AsyncAnthropicBedrockMantle(**settings)
            case "vertex":
                client = anthropic.AsyncAnthropicVertex(**settings)
    except (ValueError, anthropic.AnthropicError, httpx2.InvalidURL) as error:
        # How the SDK says that a region or project is missing, and httpx2 that it cannot use a proxy.
        raise BadCredentials(f"{one_line(str(error), 300)} {setup_help(provider)}") from error
    return client  # type: ignore[no-any-return] # the three have the same `messages`


def _check_environment() -> None:
    """Strip the settings for Claude of white space, and see that HTTP can carry them.

    A key that was read from a file ends in a line break. Raises ModelError, which never has the value in it.
    """
    for name in list(os.environ):
        if not name.startswith(_PREFIXES):
            continue
        value = os.environ[name].strip()
        if not value:
            del os.environ[name]  # the SDK would take an empty key for one
            continue
        os.environ[name] = value
        if name != "ANTHROPIC_CUSTOM_HEADERS" and not (value.isascii() and value.isprintable()):
            raise BadCredentials(
                f"{name} holds a line break or another character that has no place in it. Set it again."
            )
    base = base_url()
    if base and not (re.fullmatch(r"(?i)https?://[^/\s]\S*", base) and _has_a_port_or_none(base)):
        raise ModelError(
            "ANTHROPIC_BASE_URL must begin with http:// or https:// and name a host, as in "
            "http://127.0.0.1:8080."
        )
    for name in _PROXIES:
        if os.environ.get(name, "").lower().startswith("socks") and find_spec("socksio") is None:
            raise ModelError(f"{name} names a SOCKS proxy, which needs a package: pip install socksio.")


def _has_a_port_or_none(base: str) -> bool:
    try:
        return urlsplit(base).port != 0
    except ValueError:
        return False
