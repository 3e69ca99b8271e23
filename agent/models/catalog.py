"""What is known of models: aliases, prices, limits and what each takes.

All models that the SDK lists. Prices, limits and effort of Opus 5.5, Sonnet 5.5, Haiku 5.5, Fable 5.2 and
Fable 5.1 are those of Anthropic's model and pricing pages of 2026-11. Those of older models and of Mythos are
inferred from their families and were not checked against a page: a budget with them is an estimate.
A model that is not here works; its cost and its context window are unknown.
"""

import os
import re
from dataclasses import dataclass
from typing import Any

from agent.models.base import Usage

DEFAULT_MODEL = "claude-opus-5-5"
ALIASES = {
    "opus": "claude-opus-5-5",
    "sonnet": "claude-sonnet-5-5",
    "haiku": "claude-haiku-5-5",
    "fable": "claude-fable-5-2",
}
LONG_PROMPT_TOKENS = 100_000
"""Above this a prompt to Haiku 5.5 costs five times as much."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model. Prices are dollars per million tokens; None is `not known`."""

    context_limit: int | None = None
    max_output: int = 32_000
    input_price: float | None = None
    output_price: float | None = None
    cache_read_share: float = 0.1
    """What a token read from the cache costs, as a share of a fresh one."""
    long_prompt_factor: float = 1.0
    effort: str = "medium"
    """What the service takes by itself; sent, so that it does not change under us. Empty: it takes none."""
    adaptive_thinking: bool = True
    system_messages: bool = False
    """Whether `role: system` messages are taken inside the conversation."""

    def cost(self, usage: Usage) -> float | None:
        """Return what a reply cost in dollars, or None if prices are not known."""
        if self.input_price is None or self.output_price is None:
            return None
        factor = self.long_prompt_factor if usage.prompt_tokens > LONG_PROMPT_TOKENS else 1.0
        # A write to the cache costs 1.25 times a fresh token for five minutes, and twice for an hour.
        prompt = (
            usage.input_tokens
            + 1.25 * usage.cache_write_tokens
            + 0.75 * usage.cache_write_1h_tokens
            + self.cache_read_share * usage.cache_read_tokens
        )
        return factor * (prompt * self.input_price + usage.output_tokens * self.output_price) / 1_000_000


def _model(
    input_price: float | None, output_price: float | None, cache_read: float, **more: Any
) -> ModelFacts:
    large: dict[str, Any] = {"context_limit": 1_000_000, "max_output": 128_000}
    share = cache_read / input_price if input_price else 0.1
    prices: dict[str, Any] = {"input_price": input_price, "output_price": output_price}
    return ModelFacts(**prices, cache_read_share=share, **{**large, **more})


def _of_2025(input_price: float, output_price: float, **more: Any) -> ModelFacts:
    """The 4.5 generation: 200,000 tokens, and thinking only by a budget, which is not asked for."""
    limits: dict[str, Any] = {"context_limit": 200_000, "max_output": 64_000, "adaptive_thinking": False}
    return _model(input_price, output_price, input_price / 10, **{**limits, **more})


CATALOG = {
    "claude-opus-5-5": _model(4, 20, 0.20, system_messages=True),
    "claude-sonnet-5-5": _model(2, 10, 0.10, effort="high", system_messages=True),
    "claude-haiku-5-5": _model(0.10, 0.50, 0.01, long_prompt_factor=5.0),
    "claude-fable-5-2": _model(8, 40, 0.20, effort="high", system_messages=True),
    "claude-fable-5-1": _model(10, 50, 0.25, effort="high", system_messages=True),
    "claude-fable-5": _model(10, 50, 1.00, effort="high", system_messages=True),
    "claude-mythos-5-2": _model(None, None, 0, effort="high", system_messages=True),
    "claude-mythos-5-1": _model(10, 50, 0.25, effort="high", system_messages=True),
    "claude-mythos-5": _model(10, 50, 1.00, effort="high", system_messages=True),
    "claude-mythos-preview": _model(None, None, 0, effort="high"),
    "claude-opus-5": _model(5, 25, 0.50, effort="high", system_messages=True),
    "claude-sonnet-5": _model(2, 10, 0.20, effort="high"),
    "claude-opus-4-8": _model(5, 25, 0.50, effort="high", system_messages=True),
    "claude-opus-4-7": _model(5, 25, 0.50, effort="high"),
    "claude-opus-4-6": _model(5, 25, 0.50, effort="high"),
    "claude-sonnet-4-6": _model(3, 15, 0.30, effort="high", max_output=64_000),
    "claude-opus-4-5": _of_2025(5, 25, effort="high"),
    "claude-sonnet-4-5": _of_2025(3, 15, effort=""),
    "claude-haiku-4-5": _of_2025(1, 5, effort=""),
}
UNKNOWN = ModelFacts()

_DATED = re.compile(r"-20\d{6}(-v\d+(:\d+)?)?$")
"""The date of a snapshot, as older ids have it, and Bedrock's version behind it."""


def choose(given: str | None, configured: str | None = None) -> str:
    """Return the model's id: `given`, else `OPERATOR_MODEL`, else `configured`, else the default."""
    name = given or os.environ.get("OPERATOR_MODEL") or configured or DEFAULT_MODEL
    return ALIASES.get(name, name)


def facts_of(name: str | None) -> ModelFacts:
    """Return what is known of a model by its id, with or without a provider's prefix (`anthropic.…`)."""
    if name is None:
        return UNKNOWN
    bare = name.rsplit("anthropic.", maxsplit=1)[-1].split("@", maxsplit=1)[0]
    return CATALOG.get(_DATED.sub("", bare), UNKNOWN)
