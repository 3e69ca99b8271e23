"""What of a broken reply or round may stay in the history: pure functions over blocks.

Worded for chaos: a call whose end nobody saw is never called retryable.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agent.models.base import Block
from prompts import remark

WHOLE = frozenset({"tool_use", "end_turn", "stop_sequence", "pause_turn", "compaction"})
"""The stop reasons after which a reply is kept byte for byte; after all others only its text is."""

SILENT = frozenset({"thinking", "redacted_thinking", "fallback"})
"""Blocks that are no answer by themselves: a message of nothing else is not kept."""


def text_block(text: str) -> Block:
    """Return a text block."""
    return {"type": "text", "text": text}


def keepable(content: Sequence[Block], stop_reason: str) -> tuple[Block, ...]:
    """Return the blocks of a reply that may be sent again.

    A whole reply is kept as it came. Of any other only text that says something stays: a call in it
    may be cut where it looks complete, and thinking in it may be unsigned. `tool_use` without a call
    in it, and a refusal, leave nothing that would mislead.
    """
    if stop_reason == "refusal":
        return ()
    if stop_reason in WHOLE:
        whole = tuple(block for block in content if not _blank(block))
        if stop_reason == "tool_use" or not any(block.get("type") == "tool_use" for block in whole):
            return whole if any(block.get("type") not in SILENT for block in whole) else ()
    return tuple(
        {"type": "text", "text": block["text"]}
        for block in content
        if block.get("type") == "text" and not _blank(block)
    )


def result_block(call_id: str, text: str, *, ok: bool) -> Block:
    """Return the tool_result of one call."""
    block: Block = {"type": "tool_result", "tool_use_id": call_id, "content": text}
    if not ok:
        block["is_error"] = True
    return block


def tool_results(
    calls: Sequence[Block], outcomes: Mapping[str, Mapping[str, Any]], started: Collection[str]
) -> list[Block]:
    """Return one result for each `tool_use` block, in order: the real one, or what is known of it."""
    blocks = []
    for call in calls:
        outcome = outcomes.get(call["id"])
        if outcome is not None:
            blocks.append(result_block(call["id"], outcome["text"], ok=outcome["ok"]))
        else:
            known = "unknown-outcome" if call["id"] in started else "not-run"
            blocks.append(result_block(call["id"], remark(known), ok=False))
    return blocks


def answered(calls: Sequence[Block], outcomes: Collection[str]) -> bool:
    """Return whether every call has its outcome."""
    return bool(calls) and all(call["id"] in outcomes for call in calls)


def _blank(block: Block) -> bool:
    return block.get("type") == "text" and not block.get("text", "").strip()
