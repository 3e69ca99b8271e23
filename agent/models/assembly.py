"""A reply put together from the raw events of the API's stream, byte for byte as it will be sent again.

The SDK's own accumulation costs four times as much and copies the whole text at every delta (a
megabyte: 5.6 s of CPU against 1.3 s), and it takes a stream that merely ends for a whole one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.models.base import Block, HandedOver, NoteDelta, Reply, TextDelta, Usage
from subjects.untrusted import NotJson, read_object

MANY_TOKENS = 1 << 40
"""No reply costs more: a greater count is ignored."""

Drawn = TextDelta | NoteDelta | HandedOver

_DELTAS = {
    "text": "text_delta",
    "thinking": "thinking_delta",
    "partial_json": "input_json_delta",
    "signature": "signature_delta",
}
"""What each delta carries: by it a delta is known whose type an imitation of the API left out."""

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
"""What the API takes in no tool's name and no call's id: in the history it spoils every later request."""


MANY_PIECES = 512
"""So many pieces are joined into one: 50,000 small strings cost 14 times their characters."""


class Pieces:
    """Text that arrives in many small pieces, kept in memory of about its own size."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        """Append `piece`."""
        self._pieces.append(piece)
        if len(self._pieces) > MANY_PIECES:
            self._pieces = ["".join(self._pieces)]

    def __str__(self) -> str:
        return "".join(self._pieces)


class Malformed(Exception):
    """The stream holds something that cannot be part of a reply."""


class Assembly:
    """One reply while it arrives. Events are plain dicts in the API's own form.

    What an imitation of the API leaves out is taken as empty where that is harmless: a text, an index, the
    type of a delta. Malformed where what came is of another type than it can be.
    """

    def __init__(self) -> None:
        self.began = False
        """Whether anything came that a view has drawn."""
        self._blocks: list[Block] = []
        """In the order in which they began."""
        self._open: dict[int, tuple[Block, Pieces]] = {}
        """Those without an end yet, by the index that the server gives them: some give the same to all."""
        self._latest = -1
        self._usage: dict[str, Any] = {}
        self._stop_reason = ""
        self._detail = ""
        self._whole = False
        self._broken: dict[str, str] = {}
        """Why the input of a call is no JSON object, by the call's id."""

    def take(self, event: Mapping[str, Any]) -> Iterator[Drawn]:
        """Take one event in; yield what is to be drawn. Events of unknown types are passed over."""
        match event.get("type"):
            case "message_start":
                self._count(_object(event, "message").get("usage"))
            case "content_block_start":
                yield from self._start(self._index(event, self._latest + 1), _object(event, "content_block"))
            case "content_block_delta":
                yield from self._delta(self._index(event, self._latest), _object(event, "delta"))
            case "content_block_stop":
                yield from self._stop(self._index(event, self._latest))
            case "message_delta":
                delta = _object(event, "delta")
                self._stop_reason = _text(delta, "stop_reason") or self._stop_reason
                details = _object(delta, "stop_details")
                self._detail = _text(details, "category") or _text(details, "explanation")
                self._count(event.get("usage"))
            case "message_stop":
                self._whole = True
                for index in list(self._open):
                    yield from self._stop(index)

    def reply(self) -> Reply | None:
        """Return the reply, or None if the stream ended before it was whole."""
        if not self._whole and not self._stop_reason:
            return None
        if not self._whole or not self._stop_reason:
            raise Malformed(f"a reply without {'a stop reason' if self._whole else 'message_stop'}")
        content = _after_handover(self._blocks)
        return Reply(content, self._stop_reason, _usage(self._usage), self._detail, self._broken)

    def _index(self, event: Mapping[str, Any], otherwise: int) -> int:
        given = event.get("index")
        self._latest = given if isinstance(given, int) and not isinstance(given, bool) else otherwise
        return self._latest

    def _start(self, index: int, block: Block) -> Iterator[Drawn]:
        if index in self._open:
            yield from self._stop(index)
        pieces = Pieces()
        self._blocks.append(block)
        self._open[index] = block, pieces
        match _text(block, "type"):
            case "text":
                yield from self._said(TextDelta(_text(block, "text")), pieces)
            case "thinking":
                yield from self._said(NoteDelta(_text(block, "thinking")), pieces)
            case "tool_use":
                block["id"] = _NOT_IN_NAMES.sub("_", _text(block, "id")) or f"call_{len(self._blocks)}"
                block["name"] = _NOT_IN_NAMES.sub("_", _text(block, "name"))[:64] or "unnamed"
                block["input"] = _object(block, "input")
            case "fallback":
                declined, answers = _object(block, "from"), _object(block, "to")
                category = _text(_object(block, "trigger"), "category")
                self.began = True
                yield HandedOver(_text(declined, "model"), _text(answers, "model"), category)
            case "":
                raise Malformed("a content block without a type")

    def _delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[Drawn]:
        if index not in self._open:
            raise Malformed(f"a delta for block {index}, which is not open")
        block, pieces = self._open[index]
        kind = _text(delta, "type") or next((_DELTAS[name] for name in delta if name in _DELTAS), "")
        match kind:
            case "text_delta":
                yield from self._said(TextDelta(_text(delta, "text")), pieces)
            case "thinking_delta":
                yield from self._said(NoteDelta(_text(delta, "thinking")), pieces)
            case "input_json_delta":
                pieces.add(_text(delta, "partial_json"))
            case "signature_delta":
                block["signature"] = _text(delta, "signature")
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), _object(delta, "citation")]
            case "compaction_delta" if block["type"] == "compaction":
                block.update({key: value for key, value in delta.items() if key != "type"})

    def _stop(self, index: int) -> Iterator[Drawn]:
        if index not in self._open:
            raise Malformed(f"block {index} ended, which was not open")
        block, pieces = self._open.pop(index)
        text = str(pieces)
        match block["type"]:
            case "text":
                block["text"] = text
                if text:
                    yield TextDelta("", done=True)
            case "thinking":
                block["thinking"] = text
                if text:
                    yield NoteDelta("", done=True)
            case "tool_use" if text:
                try:
                    block["input"] = read_object(text)
                except NotJson as error:
                    self._broken[block["id"]] = str(error)

    def _said(self, delta: TextDelta | NoteDelta, pieces: Pieces) -> Iterator[Drawn]:
        if delta.text:
            pieces.add(delta.text)
            self.began = True
            yield delta

    def _count(self, usage: object) -> None:
        """Take in counts: those of a later event are totals that replace earlier ones."""
        if isinstance(usage, Mapping):
            self._usage.update({key: value for key, value in usage.items() if value is not None})


def _object(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of the object `name`; an empty one where there is none."""
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{name} is no object")
    return dict(value)


def _text(holder: Mapping[str, Any], name: str) -> str:
    """Return the text `name`; an empty one where there is none."""
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{name} is no text")
    return value


def _after_handover(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return what may be kept: of a model that declined only its text, never a call that it began."""
    last = max((at for at, block in enumerate(blocks) if block["type"] == "fallback"), default=-1)
    return tuple(
        block for at, block in enumerate(blocks) if at >= last or block["type"] in {"text", "fallback"}
    )


def _usage(counts: Mapping[str, Any]) -> Usage:
    """Return the tokens billed. Those of a compaction, and of each of several models, are in `iterations`."""
    total = _one(counts)
    given = counts.get("iterations")
    iterations = [each for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []
    if any(iteration.get("type") == "fallback_message" for iteration in iterations):
        return sum((_one(iteration) for iteration in iterations), Usage())
    for iteration in iterations:
        if iteration.get("type") == "compaction":
            total += _one(iteration)
    return total


def _one(counts: Mapping[str, Any]) -> Usage:
    written = counts.get("cache_creation")
    return Usage(
        input_tokens=_tokens(counts, "input_tokens"),
        output_tokens=_tokens(counts, "output_tokens"),
        cache_read_tokens=_tokens(counts, "cache_read_input_tokens"),
        cache_write_tokens=_tokens(counts, "cache_creation_input_tokens"),
        cache_write_1h_tokens=_tokens(written, "ephemeral_1h_input_tokens")
        if isinstance(written, Mapping)
        else 0,
    )


def _tokens(counts: Mapping[str, Any], name: str) -> int:
    """Return a count; 0 for what cannot be one."""
    value = counts.get(name)
    return int(value) if isinstance(value, int | float) and 0 <= value < MANY_TOKENS else 0
