"""The events of one streamed reply, read from whatever answered: the API, an imitation, or something else.

Not by the SDK's own reader: it turns each event into a model of its own and back, takes invalid UTF-8 and
JSON for bugs, and a web page for a reply without events.
"""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.models.assembly import Malformed
from subjects.lines import Lines
from subjects.untrusted import NotJson, read_object, read_text

if TYPE_CHECKING:
    import httpx2

LONGEST_EVENT = 16 << 20
"""Bytes; far above any event of a reply of 128,000 tokens."""
SHOWN_BYTES = 4_000
"""How much of an answer that is no stream is read, to say what it is."""
PASSED_OVER = frozenset({"ping", ""})
NO_CONTENT = 204


class NotMessages(Exception):
    """What answered is no Messages API. `kind` is its content type, `body` how it begins."""

    def __init__(self, kind: str, body: bytes) -> None:
        super().__init__(kind)
        self.kind = kind
        self.body = body


class StreamedError(Exception):
    """The service reports inside the stream why it cannot go on; `error` is as it sent it."""

    def __init__(self, error: object) -> None:
        super().__init__(str(error))
        self.error = error


async def read_events(response: "httpx2.Response") -> AsyncGenerator[dict[str, Any], None]:
    """Yield the events of a reply, each an object with its `type`.

    Raises NotMessages, StreamedError, Malformed for what cannot be an event, and httpx2's errors.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code == NO_CONTENT or kind.endswith(("/json", "html", "+json", "xml")):
        body = await _beginning(response)
        raise _error_in(body) or NotMessages(kind, body)
    decoder = _Decoder()
    began, heard = b"", False
    async for piece in response.aiter_bytes():
        began = began if len(began) >= SHOWN_BYTES else began + piece[:SHOWN_BYTES]
        for event in decoder.feed(piece):
            if event["type"] == "error":
                raise StreamedError(event.get("error"))
            heard = True
            yield event
    if began.strip() and not (heard or _cut_in_first_line(began)) and (decoder.strange or not decoder.named):
        raise NotMessages(kind, began)


def _cut_in_first_line(began: bytes) -> bool:
    """Whether all that came may be the beginning of the first line of an event stream."""
    return b"\n" not in began and any(
        began.startswith(field) or field.startswith(began) for field in (b"event:", b"data:", b":")
    )


@dataclass(slots=True)
class _Decoder:
    """Server-sent events (WHATWG HTML, 9.2.6), as far as the API uses them: `event` and `data`."""

    named: bool = False
    """Whether any line was one of an event stream."""
    strange: bool = False
    """Whether any event was one of another API."""
    _lines: Lines = field(default_factory=Lines)
    _name: str = ""
    _data: list[bytes] = field(default_factory=list)

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        for line in self._lines.feed(piece):
            if line := line.removesuffix(b"\r"):
                self._field(line)
            else:
                event = self._event()
                self._name, self._data = "", []
                if event is not None:
                    yield event
        if self._lines.pending + sum(map(len, self._data)) > LONGEST_EVENT:
            raise Malformed("an event without end")

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._name = read_text(value)
        elif name == b"data":
            self._data.append(value)
        self.named = self.named or name in {b"event", b"data", b""}

    def _event(self) -> dict[str, Any] | None:
        data = b"\n".join(self._data)
        if self._name == "ping" or not data or data == b"[DONE]":
            return None
        try:
            event = read_object(data)
        except NotJson as error:
            raise Malformed(f"an event that is no JSON object: {error}") from error
        if not isinstance(event.get("type"), str):
            # Some imitations name an event in the line before it alone, and an error in its data alone.
            event["type"] = self._name or ("error" if "error" in event else "")
            self.strange = self.strange or not event["type"]
        return None if event["type"] in PASSED_OVER else event


def _error_in(body: bytes) -> StreamedError | None:
    """Return the error that a gateway reports in the API's own form, but as a success."""
    try:
        found = read_object(body)
    except NotJson:
        return None
    error = found.get("error")
    return StreamedError(error) if found.get("type") == "error" and isinstance(error, dict) else None


async def _beginning(response: "httpx2.Response") -> bytes:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= SHOWN_BYTES:
            break
    return body[:SHOWN_BYTES]
