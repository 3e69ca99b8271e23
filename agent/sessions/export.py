"""A conversation as Markdown, for a colleague or a ticket."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from agent.models.base import Message
from subjects.untrusted import clean
from tools.observe.ledger import Evidence

MAX_RESULT = 2_000
"""Characters of one tool result that are written; the whole is in the transcript."""


def as_markdown(session: str, messages: Sequence[Message], evidence: Iterable[Evidence]) -> str:
    """Return what was said and done in a session, with the evidence that it speaks of."""
    parts = [f"# operator, session {session}"]
    for message in messages:
        parts += [part for block in message.content if (part := _block(message.role, block))]
    listed = [f"- **{item.id}** {item.source}{f' ({item.node})' if item.node else ''}" for item in evidence]
    if listed:
        parts += ["## Evidence", "\n".join(listed)]
    return clean("\n\n".join(parts)) + "\n"


def _block(role: str, block: dict[str, Any]) -> str:
    match block.get("type"):
        case "text" if role == "user":
            return (
                f"## {block['text'].strip()}"
                if "\n" not in block["text"].strip()
                else f"## You\n\n{block['text']}"
            )
        case "text" if role == "assistant":
            return str(block["text"])
        case "thinking" if block.get("thinking"):
            return f"*{' '.join(str(block['thinking']).split())}*"
        case "tool_use":
            return f"`{block['name']} {json.dumps(block['input'], ensure_ascii=False)}`"
        case "tool_result":
            return fenced(_text_of(block.get("content", "")), MAX_RESULT)
        case _:
            return ""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def fenced(text: str, limit: int | None = None) -> str:
    """Return `text` as a code block whose fence nothing in it can close."""
    kept = text if limit is None or len(text) <= limit else f"{text[:limit]}… [cut]"
    fence = "```"
    while fence in kept:
        fence += "`"
    return f"{fence}\n{kept}\n{fence}"
