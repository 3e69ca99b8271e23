"""Reading one HTTP/1.1 answer to a health question: bounded, incremental, cheap."""

from dataclasses import dataclass

from subjects.base import Health
from subjects.untrusted import NotJson, read_json

MAX_ANSWER = 64 * 1024
"""No health answer is longer: etcd's has 200 bytes, TiKV's none. One that is, is none or never ends."""

MAX_SHOWN = 200
"""How much of an answer is kept as the raw observation."""


_ALARMED = b'"reason":"ALARM'
"""etcd up to 3.5.3 leaves out only one member's alarm of those that `exclude` names."""


class StrangeAnswer(Exception):
    """What came back is not a health answer of any database; the text says what it was."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer."""

    status: int
    body: bytes
    closes: bool
    """Whether the server ends the connection after it."""


class AnswerReader:
    """Collects the bytes of one answer; fresh for each question."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Answer | None:
        """Take more bytes; return the answer once it is whole. StrangeAnswer for what can't become one."""
        self._data = self._data + data if self._data else data
        if len(self._data) > MAX_ANSWER:
            raise StrangeAnswer(f"an answer that does not end (more than {MAX_ANSWER} bytes)")
        return self._read(ended=False)

    def end(self) -> Answer | None:
        """The server closed: return the answer if the close is what ends it."""
        return self._read(ended=True) if self._data else None

    def _read(self, *, ended: bool) -> Answer | None:
        data = self._data
        if not data.startswith(b"HTTP/1."[: len(data)]):
            raise StrangeAnswer(f"not HTTP: {shown(data)}")
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = data[:end].lower()
        status = head[9:12]
        if not status.isdigit():
            raise StrangeAnswer(f"not HTTP: {shown(data)}")
        body = _body(head, data[end + 4 :], ended=ended)
        if body is None:
            return None
        return Answer(int(status), body, b"\r\nconnection: close" in head or head.startswith(b"http/1.0"))


def judge(answer: Answer) -> tuple[Health, str]:
    """Return what an answer says of its node, and in what words. StrangeAnswer for a wrong service.

    200 with an empty body (TiKV) or a JSON object that doesn't deny it (etcd, PD) is healthy. So is etcd that
    gives an alarm as its reason: that is of the whole cluster, and read elsewhere.
    """
    raw = f"HTTP {answer.status} {shown(answer.body)}".strip()
    body = answer.body.strip()
    if body and not body.startswith((b"{", b"[")) and answer.status == 200:
        raise StrangeAnswer(f"an answer of some other service: {raw}")
    if answer.status in {404, 405, 400, 401, 403} or 300 <= answer.status < 400:
        raise StrangeAnswer(f"an answer of some other service: {raw}")
    if _ALARMED in body:
        return Health.HEALTHY, raw
    if answer.status != 200:
        return Health.UNHEALTHY, raw
    return (Health.UNHEALTHY if _denies(body) else Health.HEALTHY), raw


def shown(data: bytes) -> str:
    """Return the beginning of `data` as one line of text; control sequences are removed further on."""
    text = data[:MAX_SHOWN].decode("utf-8", errors="replace")
    return " ".join(text.split()) + ("…" if len(data) > MAX_SHOWN else "")


def _denies(body: bytes) -> bool:
    if b"false" not in body:
        return False
    try:
        said = read_json(body)
    except NotJson:
        return False
    return isinstance(said, dict) and said.get("health") in {"false", False}


def _body(head: bytes, rest: bytes, *, ended: bool) -> bytes | None:
    """Return the body if it is whole. `head` is in lower case."""
    length = _header(head, b"content-length")
    if length is not None:
        if not length.isdigit():
            raise StrangeAnswer(f"a length that is no number: {shown(length)}")
        wanted = int(length)
        if wanted > MAX_ANSWER:
            raise StrangeAnswer(f"an answer of {wanted} bytes, where a health answer has few")
        return rest[:wanted] if len(rest) >= wanted else None
    if _header(head, b"transfer-encoding") == b"chunked":
        return _chunks(rest)
    if head[9:12] in {b"204", b"304"}:
        return b""
    return rest if ended else None


def _header(head: bytes, name: bytes) -> bytes | None:
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def _chunks(rest: bytes) -> bytes | None:
    body = b""
    while True:
        line_end = rest.find(b"\r\n")
        if line_end < 0:
            return None
        size_text = rest[:line_end].split(b";")[0].strip()
        try:
            size = int(size_text, 16)
        except ValueError:
            raise StrangeAnswer(f"a chunk whose length is no number: {shown(size_text)}") from None
        if size < 0 or size > MAX_ANSWER:
            raise StrangeAnswer("a chunk longer than any health answer")
        if size == 0:
            return body
        rest = rest[line_end + 2 :]
        if len(rest) < size + 2:
            return None
        body += rest[:size]
        rest = rest[size + 2 :]
