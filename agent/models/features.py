"""What a request may go without: each optional parameter, how a refusal names it, what its loss costs.

Older models, clouds and gateways each lack another one. Only what a refusal names is dropped.
"""

import re
from collections.abc import Collection
from enum import StrEnum


class Feature(StrEnum):
    """An optional part of a request, as it is named to the person."""

    UPDATES = "thinking.display"
    THINKING = "thinking"
    EFFORT = "output_config.effort"
    FALLBACKS = "fallbacks"
    AN_HOUR = "cache_control.ttl"
    CACHE = "cache_control"
    BLOCK_CACHE = "cache_control in system"
    SYSTEM_MESSAGES = "messages with role system"
    COMPACTION = "compaction"


UPDATES_BETA = "thinking-display-updates-2026-08-18"
FALLBACK_BETA = "server-side-fallback-2026-07-01"
COMPACTION_BETA = "compact-2026-09-04"


_KNOWN = {
    Feature.UPDATES: (
        rf"\bdisplay\b|{UPDATES_BETA}",
        "no notes are shown while the model works between two calls",
    ),
    Feature.FALLBACKS: (rf"\bfallbacks?\b|{FALLBACK_BETA}", "no other model answers where this one declines"),
    Feature.COMPACTION: (rf"\bcompaction\b|{COMPACTION_BETA}", "the model itself sums up"),
    Feature.THINKING: (r"\bthinking\b(?!-display)|\badaptive\b", "the model answers as it does unasked"),
    Feature.EFFORT: (r"\beffort\b|\boutput_config\b", "the model's own effort is used"),
    Feature.AN_HOUR: (r"\bttl\b|\b1h\b", "the prompt is cached for five minutes, not for an hour"),
    Feature.BLOCK_CACHE: (r"\bsystem\.\d+\S*cache_control", "the prompt is not cached, which costs more"),
    Feature.CACHE: (r"\bcache_control\b", "the conversation is not cached, which costs more"),
    Feature.SYSTEM_MESSAGES: (
        r"\brole\b|\bmessages\.\d+: .*system",
        "the model reads operator's notes as if you had said them",
    ),
}
"""How a refusal names each, and what going without it costs."""
_BETAS = frozenset({Feature.UPDATES, Feature.FALLBACKS, Feature.COMPACTION})
_WIDER = {
    Feature.UPDATES: Feature.THINKING,
    Feature.AN_HOUR: Feature.CACHE,
    Feature.BLOCK_CACHE: Feature.CACHE,
}
"""The narrower one is what is meant where a refusal names both (`thinking.display`)."""


def loss_of(feature: Feature) -> str:
    """Return what going without costs the person, a clause."""
    return _KNOWN[feature][1]


def refused_features(message: str, sent: Collection[Feature]) -> list[Feature]:
    """Return which of the features that were sent the refusal `message` names; none where it means others."""
    named = [
        feature
        for feature, (words, _) in _KNOWN.items()
        if feature in sent and re.search(words, message, re.IGNORECASE)
    ]
    if not named and Feature.THINKING in sent and re.search(r"\breasoning\b", message, re.IGNORECASE):
        return [Feature.THINKING]  # what gateways to other models make of it
    if not named and re.search(r"\banthropic[-_]beta\b|\bbetas?\b", message, re.IGNORECASE):
        return [feature for feature in sent if feature in _BETAS]
    return [feature for feature in named if not any(_WIDER.get(other) is feature for other in named)]


def lesser_room(message: str, asked: int) -> int | None:
    """Return the most output tokens that a refusal of `max_tokens` allows; None if it says none."""
    if not re.search(r"max_tokens|maximum.*output", message, re.IGNORECASE):
        return None
    figures = [int(digits.replace(",", "")) for digits in re.findall(r"\b\d[\d,]{1,8}\b", message)]
    return max((figure for figure in figures if 16 <= figure < asked), default=None)
