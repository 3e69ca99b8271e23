"""Every way in which a request to the service fails, and what each means for the person.

Imported with the SDK only, never before the model is needed. Each text is one line without keys, whatever
stood in the error below it.
"""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import anthropic
import httpx2

from agent.errors import BadCredentials, BudgetSpent, ContextOverflow, ModelError, ModelRefused
from agent.models.assembly import Malformed
from agent.models.providers import Provider, address, setup_help
from agent.models.retry import MALFORMED_TRIES, STALLED_TRIES, TransientFailure, retry_after
from agent.models.stream import NotMessages, StreamedError
from agent.view.words import one_line
from subjects.untrusted import NotJson, read_json, read_text

_BY_STATUS = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
    403: "permission_error", 404: "not_found_error", 408: "timeout_error", 409: "conflict_error",
    413: "request_too_large", 425: "overloaded_error", 429: "rate_limit_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip
_REASONS = {
    "rate_limit_error": "The service limits our rate",
    "overloaded_error": "The service is overloaded",
    "timeout_error": "The service took too long",
    "conflict_error": "The service is busy with a conflicting request",
    "api_error": "The service has an internal error",
}
_SPENT = ("spend limit", "credit balance", "usage limits", "spending limit")
"""How a 400 says that the account's money is spent: those have no code of their own."""
_TOO_LONG = re.compile(
    r"(prompt|input|request|context)( is|s are)? too (long|large)|too many (input )?tokens|max_new_tokens"
    r"|context[ _](length|window|size|limit)|exceed\w* (the )?(available |maximum |max )?context",
    re.IGNORECASE,
)
"""How Anthropic, Bedrock, Vertex, LiteLLM, llama.cpp, Ollama, vLLM and TGI say that a prompt does not fit."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_PAGE = re.compile(r"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)
_ELSEWHERE = "Check the address in ANTHROPIC_BASE_URL, and proxies on the way."
_brief = partial(one_line, limit=300)


def failures() -> tuple[type[Exception], ...]:
    """Return what the SDK and the clouds' packages let out while a request is made or a stream is read."""
    clouds = [
        getattr(sys.modules[module], name)
        for module, name in (
            ("google.auth.exceptions", "GoogleAuthError"),
            ("botocore.exceptions", "BotoCoreError"),
        )
        if module in sys.modules
    ]
    return (
        anthropic.AnthropicError,
        httpx2.HTTPError,
        httpx2.StreamError,
        httpx2.InvalidURL,
        ModelError,
        Malformed,
        NotMessages,
        StreamedError,
        TimeoutError,
        ImportError,
        ValueError,  # a header that is no ASCII, a project of Google's that is missing
        TypeError,  # no credentials at all
        RuntimeError,  # no credentials for AWS
        *clouds,
    )


def explain(error: Exception, model: str, provider: Provider) -> ModelError | TransientFailure:
    """Return what `error` means: a ModelError is final, a TransientFailure is worth another try."""
    match error:
        case ModelError():
            return error
        case anthropic.APIStatusError() | StreamedError():
            return _refused(_heard(error), model, provider)
        case anthropic.APITimeoutError() | httpx2.TimeoutException():
            return TransientFailure("The service went silent")
        case TimeoutError():
            reason = "The service holds the connection and sends no reply"
            return TransientFailure(reason, tries=STALLED_TRIES)
        case anthropic.APIConnectionError():
            return _unconnected(error.__cause__ or error)
        case Malformed():
            reason = f"The reply breaks the rules of the Messages API: {_brief(str(error))}"
            return TransientFailure(reason, tries=MALFORMED_TRIES, passes=False)
        case NotMessages():
            what = _described(error.kind, error.body)
            text = f"{address(provider)} answered with {what} instead of a reply of the Messages API."
            return ModelRefused(f"{text} {_ELSEWHERE}")
        case httpx2.DecodingError():
            reason = "The reply is not compressed as it says it is"
            return TransientFailure(reason, tries=MALFORMED_TRIES, passes=False)
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol() | httpx2.InvalidURL():
            return _unsendable(error)
        case httpx2.HTTPError() | httpx2.StreamError():
            return TransientFailure("The connection broke in the middle of the reply")
        case ImportError():
            return _missing_package(error, provider)
        case anthropic.AnthropicError() if "missing required dependency" in str(error):
            return _missing_package(error, provider)
        case TypeError() if "resolve authentication" in str(error):  # how the SDK says it
            return BadCredentials(f"No credentials for Claude were found. {setup_help(provider)}")
        case UnicodeError():
            return _unsendable(error)
        case TypeError() | RuntimeError() | ValueError() if "resolve" not in str(error):
            raise error  # a bug of ours
        case _:
            return BadCredentials(
                f"The credentials for Claude cannot be used: {_brief(str(error) or type(error).__name__)} "
                f"{setup_help(provider)}"
            )


def is_thinking_mismatch(error: Exception) -> bool:
    """Return whether the service refuses thinking blocks that we sent back."""
    text = refusal_of(error)
    return bool(
        re.search(r"\bsignature\b|\bthinking`? blocks?\b|messages\.\d+\S*thinking", text, re.IGNORECASE)
    )


def refusal_of(error: Exception) -> str:
    """Return how the service words that it does not take the request as it is; empty where it does not."""
    if not isinstance(error, anthropic.BadRequestError | anthropic.UnprocessableEntityError):
        return ""
    return _said(error.body)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A refusal, by a status or inside the stream."""

    status: int
    """200 inside the stream."""
    kind: str
    """The error's type, as the API names it; what is not from there is named by its status."""
    said: str
    named: bool
    """Whether it has the form of an API's error: a type, or a message in JSON."""
    code: str = ""
    where: str = ""
    """Which request it was, to be put behind the text."""
    headers: Mapping[str, str] | None = None


def _heard(error: anthropic.APIStatusError | StreamedError) -> _Heard:
    if isinstance(error, StreamedError):
        streamed = error.error if isinstance(error.error, dict) else {}
        return _Heard(
            200, str(streamed.get("type") or "api_error"), _brief(_said({"error": error.error})), True
        )
    body, status = error.body, error.status_code
    inner = body.get("error") if isinstance(body, dict) else None
    kind = inner.get("type") if isinstance(inner, dict) else None
    # 404: whatever else it is called
    if status == 404 or not isinstance(kind, str) or kind not in {*_BY_STATUS.values(), *_REASONS}:
        kind = _BY_STATUS.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
    return _Heard(
        status,
        kind,
        _brief(_said(body)),
        isinstance(body, dict),
        error.error_code or "",
        f" (request {_brief(error.request_id)})" if error.request_id else "",
        error.response.headers,
    )


def _refused(heard: _Heard, model: str, provider: Provider) -> ModelError | TransientFailure:
    kind, said = heard.kind, f"{heard.said}{heard.where}"
    lowered = said.lower()
    there = f"{address(provider)} answered HTTP {heard.status} with {heard.said}"
    if "spend_limit" in heard.code or kind == "billing_error" or any(sign in lowered for sign in _SPENT):
        return BudgetSpent(f"The account's budget is spent: {said}")
    if kind in {"authentication_error", "permission_error"} and not heard.named:
        return BadCredentials(
            f"{there}: it, or a proxy before it, does not let this request in. {_ELSEWHERE}"
        )
    if kind == "authentication_error":
        return BadCredentials(f"The service refused the credentials: {said} {setup_help(provider)}")
    if kind == "permission_error":
        return BadCredentials(f"These credentials may not do that: {said}")
    if kind == "not_found_error" and not heard.named:
        return ModelRefused(f"{there}, which is no answer of the Messages API. {_ELSEWHERE}")
    if kind == "not_found_error":
        return ModelRefused(
            f"The service does not know {model!r}, or {address(provider)} has no Messages API: {said} "
            "Choose a model with --model."
        )
    too_long = heard.status in {200, 400, 413, 422, 500} and _TOO_LONG.search(f"{heard.code} {said}")
    if kind == "request_too_large" or (too_long and kind != "rate_limit_error"):
        return ContextOverflow(f"The conversation is too long: {said} /compact makes it shorter.")
    headers = dict(heard.headers or {})
    if kind in _REASONS and headers.get("x-should-retry") != "false":
        status = f" (HTTP {heard.status})" if heard.status >= 400 else ""
        return TransientFailure(f"{_REASONS[kind]}{status}", retry_after(headers))
    if not heard.named:
        return ModelRefused(f"{there}, which is no answer of the Messages API. {_ELSEWHERE}")
    return ModelRefused(f"The service refused the request: {said}")


def _said(body: object) -> str:
    """Return what an error's body says, whoever wrote it: one of the usual fields, else the body itself."""
    if isinstance(body, str | bytes):
        return _described("", body.encode("utf-8", "replace") if isinstance(body, str) else body)
    if isinstance(body, dict):
        for name in ("error", "message", "Message", "detail", "msg"):
            inner = body.get(name)
            if isinstance(inner, str) and inner.strip():
                return inner
            if isinstance(inner, dict | list) and inner:
                return _said(inner)
    if isinstance(body, list) and body:
        # FastAPI's form: `loc` names the parameter, `msg` what is wrong with it.
        parts = [f"{'.'.join(map(str, each.get('loc', ())))}: {_said(each)}" if isinstance(each, dict) and
                 isinstance(each.get("loc"), list) else _said(each) for each in body[:5]]  # fmt: skip
        return "; ".join(parts)
    return "an empty body" if body in (None, {}, []) else json.dumps(body, default=str)


def _described(kind: str, body: bytes) -> str:
    """Say in a few words what a body is that is no reply."""
    text = read_text(body)
    if "html" in kind or _PAGE.match(text):
        title = _TITLE.search(text)
        return f"a web page (“{one_line(title[1], 80)}”)" if title and title[1].strip() else "a web page"
    if not text.strip():
        return "an empty body"
    try:
        value = read_json(text)
    except NotJson:
        if text.count("\ufffd") > len(text) // 10:
            return "bytes that are no text"
        return f"{_brief(kind) or 'text'} (“{one_line(text, 120)}”)"
    if isinstance(value, dict) and "error" in value:
        return f"an error in JSON (“{one_line(_said(value), 200)}”)"
    return f"JSON in one piece (“{one_line(text, 120)}”)"


def _unconnected(cause: BaseException) -> ModelError | TransientFailure:
    text = str(cause)
    if isinstance(cause, httpx2.TooManyRedirects):
        return ModelRefused(f"The service redirects in circles. {_ELSEWHERE}")
    if isinstance(
        cause, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol | httpx2.InvalidURL | UnicodeError
    ):
        return _unsendable(cause)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return ModelRefused(
            f"The service's certificate does not verify: {_brief(text)}. "
            "SSL_CERT_FILE names another authority."
        )
    if "SSL" in text and ("WRONG_VERSION" in text or "RECORD_LAYER" in text.upper().replace(" ", "_")):
        return ModelRefused(f"The service does not speak TLS: is it http:// and not https://? {_ELSEWHERE}")
    if isinstance(cause, httpx2.RemoteProtocolError) and not re.search("disconnected|closed", text):
        what = _brief(text.replace("bytearray(b", "(")).rstrip(".")
        return ModelRefused(f"The service does not speak HTTP: {what}. {_ELSEWHERE}")
    return TransientFailure(f"The service cannot be reached ({_brief(text) or type(cause).__name__})")


def _unsendable(_error: BaseException) -> ModelError:
    # Its text may hold the header with the key.
    return ModelRefused(
        "The request cannot be sent as it is: an address or a header holds what HTTP does not allow. Check "
        "ANTHROPIC_BASE_URL, ANTHROPIC_CUSTOM_HEADERS and the key."
    )


def _missing_package(error: Exception, provider: Provider) -> ModelError:
    if provider == "api":
        return ModelError(f"A package that these settings need is missing: {_brief(str(error))}")
    return ModelError(
        f"The provider {provider} needs packages that are not installed: "
        f"pip install 'chaos-operator[{provider}]'."
    )
