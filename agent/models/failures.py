"""Every way in which a request to the service fails, and what each means for the person.

Imported with the SDK only, never before the model is needed.
"""

import json

import anthropic
import httpx2

from agent.errors import BadCredentials, BudgetSpent, ContextOverflow, ModelError, ModelRefused
from agent.models.assembly import Malformed
from agent.models.providers import Provider, setup_help
from agent.models.retry import TransientFailure, retry_after

FAILURES = (
    anthropic.AnthropicError,
    httpx2.HTTPError,
    httpx2.StreamError,
    Malformed,
    json.JSONDecodeError,
    UnicodeDecodeError,
    TimeoutError,
    TypeError,
    ImportError,
)
"""What the SDK lets out while a request is made or a stream is read."""

MALFORMED_TRIES = 3
"""The service sends whole replies; one that is broken three times is not broken by chance."""

_BY_STATUS = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
    403: "permission_error", 404: "not_found_error", 408: "timeout_error", 409: "conflict_error",
    413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error", 529: "overloaded_error",
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
_TOO_NEW = (
    "thinking",
    "effort",
    "output_config",
    "beta",
    "cache_control",
    "fallbacks",
    "extra inputs",
    "role",
)
_TOO_LONG = ("prompt is too long", "exceed context limit", "context window", "maximum context length")


def explain(error: Exception, model: str, provider: Provider) -> ModelError | TransientFailure:
    """Return what `error` means: a ModelError is final, a TransientFailure is worth another try."""
    match error:
        case anthropic.APIStatusError():
            return _status(error, model, provider)
        case anthropic.APITimeoutError() | httpx2.TimeoutException() | TimeoutError():
            return TransientFailure("The service went silent")
        case anthropic.APIConnectionError():
            cause = error.__cause__ or error
            return TransientFailure(f"The service cannot be reached ({cause or type(cause).__name__})")
        case httpx2.HTTPError() | httpx2.StreamError() | json.JSONDecodeError() | UnicodeDecodeError():
            # A stream that ends within a line reaches the SDK's parser as half an event.
            return TransientFailure("The connection broke in the middle of the reply")
        case Malformed():
            return TransientFailure(f"The reply was malformed ({error})", tries=MALFORMED_TRIES)
        case ImportError():
            return _extra(provider)
        case anthropic.AnthropicError() if "missing required dependency" in str(error):
            return _extra(provider)
        case TypeError() if "resolve authentication" in str(error):  # how the SDK says it
            return BadCredentials(f"No credentials for Claude were found. {setup_help(provider)}")
        case anthropic.AnthropicError():
            return BadCredentials(
                f"The credentials for Claude cannot be used: {error}. {setup_help(provider)}"
            )
        case _:
            raise error


def is_thinking_mismatch(error: Exception) -> bool:
    """Return whether the service refuses thinking blocks that we sent back."""
    if not isinstance(error, anthropic.BadRequestError):
        return False
    text = str(error.api_message or error).lower()
    return "thinking" in text or "signature" in text


def is_too_new(error: Exception) -> bool:
    """Return whether the service refuses a parameter: an older model, or a provider that lags behind."""
    if not isinstance(error, anthropic.BadRequestError):
        return False
    text = str(error.api_message or error).lower()
    return any(sign in text for sign in _TOO_NEW)


def _status(error: anthropic.APIStatusError, model: str, provider: Provider) -> ModelError | TransientFailure:
    told = error.api_message or error.message
    where = f" (request {error.request_id})" if error.request_id else ""
    kind = error.type or _BY_STATUS.get(error.status_code) or _by_class(error.status_code)
    code = error.error_code or ""
    lowered = told.lower()
    if "spend_limit" in code or kind == "billing_error" or any(sign in lowered for sign in _SPENT):
        return BudgetSpent(f"The account's budget is spent: {told}{where}")
    if kind == "authentication_error":
        return BadCredentials(f"The service refused the credentials: {told}{where}\n{setup_help(provider)}")
    if kind == "permission_error":
        return BadCredentials(f"These credentials may not do that: {told}{where}")
    if kind == "not_found_error":
        return ModelRefused(f"The service does not know {model!r}: {told}{where} Choose one with --model.")
    if kind == "request_too_large" or any(sign in lowered for sign in _TOO_LONG):
        return ContextOverflow(f"The conversation is too long: {told}{where} /compact makes it shorter.")
    if kind in _REASONS and error.response.headers.get("x-should-retry") != "false":
        status = f" (HTTP {error.status_code})" if error.status_code >= 400 else ""
        return TransientFailure(f"{_REASONS[kind]}{status}", retry_after(dict(error.response.headers)))
    return ModelRefused(f"The service refused the request: {told}{where}")


def _extra(provider: Provider) -> ModelError:
    return ModelError(
        f"The provider {provider} needs packages that are not installed: "
        f"pip install 'chaos-operator[{provider}]'."
    )


def _by_class(status: int) -> str:
    return "api_error" if status >= 500 else "invalid_request_error"
