"""What goes over the wire: a pure function of the history, so that shared prefixes stay equal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.models.base import Block, Message, Request, ToolSpec
from agent.models.catalog import ModelFacts
from agent.models.features import COMPACTION_BETA, FALLBACK_BETA, UPDATES_BETA, Feature

THINKING = frozenset({"thinking", "redacted_thinking"})
PLAIN = frozenset({"text", "tool_use", "tool_result"})
"""The blocks that every compatible server takes."""

DEFAULT_OUTPUT = 64_000
"""Thinking counts against it; the API's documentation asks for no less at high effort."""
COMPAT_OUTPUT = 8_192


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to speak to one model at one provider."""

    model: str
    facts: ModelFacts
    compat: bool = False
    """Send only model, max_tokens, system, messages, tools and stream: for other servers."""
    without: frozenset[Feature] = frozenset()
    """What the service refused, for this model or at this provider."""
    most_output: int | None = None
    """The most output tokens that it takes, where it said so."""
    first_party: bool = False
    """Anthropic's own API, which lets another model answer where one declines work on faults as `cyber`."""
    cached_for: Literal["5m", "1h"] = "5m"


def body(request: Request, dialect: Dialect, *, unthink_before: int = 0) -> dict[str, Any]:
    """Return the request's arguments. Thinking in messages before index `unthink_before` is left out."""
    compat = dialect.compat
    sent: dict[str, Any] = {
        "model": dialect.model,
        "max_tokens": room(request, dialect),
        "messages": _compat(request.messages) if compat else _full(request.messages, dialect, unthink_before),
        "stream": True,
    }
    if request.tools:
        sent["tools"] = [_tool(spec) for spec in request.tools]
    if compat:
        return {**sent, "system": request.system} if request.system else sent
    features = sent_features(request, dialect)
    cached = {"type": "ephemeral", **({"ttl": "1h"} if Feature.AN_HOUR in features else {})}
    betas = []
    if request.system:
        marked = {"cache_control": cached} if Feature.BLOCK_CACHE in features else {}
        sent["system"] = [{"type": "text", "text": request.system, **marked}]
    if Feature.CACHE in features:
        sent["cache_control"] = cached
    if Feature.EFFORT in features:
        sent["output_config"] = {"effort": dialect.facts.effort}
    if Feature.THINKING in features:
        sent["thinking"] = {"type": "adaptive"}
    if Feature.UPDATES in features:
        sent["thinking"]["display"] = "updates"
        betas.append(UPDATES_BETA)
    if request.compact is not None:
        sent["compaction"] = {"type": "summarize", "instructions": request.compact}
    if Feature.FALLBACKS in features:
        sent["fallbacks"] = "default"
        betas.append(FALLBACK_BETA)
    if Feature.COMPACTION in features:
        betas.append(COMPACTION_BETA)
    return {**sent, "betas": betas} if betas else sent  # an empty header is refused


def sent_features(request: Request, dialect: Dialect) -> frozenset[Feature]:
    """Return which optional parts this request has."""
    if dialect.compat:
        return frozenset()
    facts = dialect.facts
    wanted = {
        Feature.CACHE: True,
        Feature.BLOCK_CACHE: bool(request.system),
        Feature.AN_HOUR: dialect.cached_for == "1h",
        Feature.EFFORT: bool(facts.effort),
        Feature.THINKING: facts.adaptive_thinking,
        Feature.UPDATES: facts.adaptive_thinking and Feature.THINKING not in dialect.without,
        Feature.FALLBACKS: dialect.first_party and request.compact is None,
        Feature.COMPACTION: request.compact is not None or _has(request.messages, {"compaction"}),
        Feature.SYSTEM_MESSAGES: facts.system_messages
        and any(message.role == "system" for message in request.messages),
    }
    return frozenset(feature for feature, yes in wanted.items() if yes) - dialect.without


def room(request: Request, dialect: Dialect) -> int:
    """Return how many tokens the reply may have."""
    most = min(COMPAT_OUTPUT if dialect.compat else DEFAULT_OUTPUT, dialect.facts.max_output)
    if request.max_tokens is not None:
        most = min(request.max_tokens, COMPAT_OUTPUT) if dialect.compat else request.max_tokens
    return most if dialect.most_output is None else min(most, dialect.most_output)


def has_thinking(messages: Sequence[Message], since: int = 0) -> bool:
    """Return whether any message from index `since` on holds thinking."""
    return _has(messages[since:], THINKING)


def _full(messages: Sequence[Message], dialect: Dialect, unthink_before: int) -> list[dict[str, Any]]:
    system_messages = dialect.facts.system_messages and Feature.SYSTEM_MESSAGES not in dialect.without
    handed_over = dialect.first_party and Feature.FALLBACKS not in dialect.without
    sent = []
    for index, message in enumerate(messages):
        content: Iterable[Block] = message.content
        if index < unthink_before:
            content = [block for block in content if block.get("type") not in THINKING]
        if not handed_over:
            content = [block for block in content if block.get("type") != "fallback"]
        if not dialect.first_party or Feature.COMPACTION in dialect.without:
            content = [_plain(block) for block in content]
        role = message.role
        if role == "system" and not system_messages:
            role = "user"
        sent.append({"role": role, "content": list(content)})
    return sent


def _compat(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return plain messages with roles that take turns: not every server merges those that don't."""
    sent: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [_plain(block) for block in message.content if block.get("type") in PLAIN | {"compaction"}]
        if not blocks:
            continue
        if sent and sent[-1]["role"] == role:
            sent[-1]["content"].extend(blocks)
        else:
            sent.append({"role": role, "content": blocks})
    return sent


def _plain(block: Block) -> Block:
    if block.get("type") == "compaction":
        return {"type": "text", "text": block.get("content") or "(a summary that this server cannot read)"}
    return block


def _tool(spec: ToolSpec) -> dict[str, Any]:
    return {"name": spec.name, "description": spec.description, "input_schema": dict(spec.schema)}


def _has(messages: Sequence[Message], types: Iterable[str]) -> bool:
    wanted = set(types)
    return any(block.get("type") in wanted for message in messages for block in message.content)
