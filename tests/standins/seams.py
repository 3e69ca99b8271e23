"""What comes from outside, one function a seam: each takes any bytes and must come to an expected end."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from agent.errors import BadTranscript
from agent.history import rebuild
from agent.mcp.frames import frames
from agent.models.assembly import Assembly, Malformed
from agent.models.stream import StreamedError, _Decoder
from agent.sessions.earlier import earlier
from agent.transcript.reading import FORMAT
from agent.transcript.replay import replay
from subjects.errors import SubjectError, Unreachable
from subjects.etcd.status import read_members, read_status
from subjects.runtimes import layout
from subjects.scrub import scrub
from subjects.tikv.pd import _parse, read_group, read_stores
from subjects.untrusted import NotJson, clean, read_json
from tools.cluster.last_words import last_words
from tools.detection.health_answer import AnswerReader, StrangeAnswer, judge

HARD_TEXT = st.one_of(
    st.text('aé{"', max_size=6),
    st.sampled_from(["\x00", "\ud800", "a\udfffb", "\x1b[2J", "9" * 400, "", "text"]),
)
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.just(10**400))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, HARD_TEXT)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(HARD_TEXT, st.lists(SCALARS, max_size=2), max_size=2),
)


def _objects(kinds: list[str], names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that look nearly right: a known type, known names, any values."""
    return st.builds(
        lambda kind, rest: {"type": kind, **rest},
        st.one_of(st.sampled_from(kinds), VALUES),
        st.dictionaries(st.sampled_from(names), st.one_of(VALUES, st.just({"type": "text", "text": "x"}))),
    )


EVENTS = st.lists(
    _objects(
        ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
         "message_stop", "error", "ping"],
        ["index", "content_block", "delta", "message", "usage", "error"],
    ), max_size=5,
)  # fmt: skip
ENTRIES = st.lists(
    _objects(
        ["user", "assistant", "call", "outcome", "system", "event", "end", "resumed"],
        ["text", "t", "id", "tool", "content", "stop_reason", "data", "arguments", "remark", "by", "kind",
         "messages", "name", "event", "evidence", "seconds", "ok", "summary", "made"],
    ), max_size=5,
)  # fmt: skip


def stream_of_events(events: list[dict[str, Any]]) -> None:
    assembly = Assembly()
    try:
        for event in events:
            list(assembly.take(event))
        assembly.reply()
    except Malformed:
        return


def stream_of_bytes(data: bytes) -> None:
    decoder, assembly = _Decoder(), Assembly()
    try:
        for at in range(0, len(data), 7):
            for event in decoder.feed(data[at : at + 7]):
                list(assembly.take(event))
    except (Malformed, StreamedError):
        return


def transcript(entries: list[dict[str, Any]], header: dict[str, Any], noise: bytes) -> None:
    head = {**header, "format": FORMAT, "version": 1}
    lines = [json.dumps(each).encode() for each in (head, *entries)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.jsonl"
        path.write_bytes(b"\n".join([lines[0], *lines[1:], noise]) + b"\n")
        try:
            found = earlier(path)
            json.dumps([message.content for message in found.messages], ensure_ascii=False).encode()
            asyncio.run(replay(path, lambda _event: None, 0))
        except BadTranscript:
            return


def history(entries: list[dict[str, Any]]) -> None:
    from agent.transcript.reading import read_entry

    read = [read_entry(1, json.dumps(each).encode()) for each in entries]
    rebuild(entry.data for entry in read if entry is not None)


def cluster_file(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cluster.json").write_bytes(data)
        try:
            layout.load(Path(folder))
        except SubjectError:
            return


def mcp_frame(data: bytes) -> None:
    answered: list[object] = []

    async def go() -> None:
        async def lines() -> Any:
            yield data.decode("utf-8", "replace")

        async def refuse(*given: object) -> None:
            answered.append(given)

        answered.extend([frame async for frame in frames(lines(), lambda frame: bool(frame), refuse)])

    asyncio.run(go())
    assert len(answered) <= 1


def any_json(data: bytes) -> None:
    try:
        value = read_json(data)
    except NotJson:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


def answer_of_a_database(data: bytes) -> None:
    read_status(data)
    read_members(data)
    last_words([data.decode("utf-8", "replace")])
    for read in (read_group, read_stores):
        with suppress(Unreachable):
            read(_parse(data.decode("utf-8", "replace")))
    reader = AnswerReader()
    with suppress(StrangeAnswer):
        for part in (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", data):
            if answer := reader.feed(part) or reader.end():
                judge(answer)


def any_text(text: str) -> None:
    found = scrub(text)
    assert scrub(found) == found
    clean(text).encode()


SECRET_TEXTS = st.lists(
    st.sampled_from(
        ["password", "token", "Authorization", "Bearer", "Basic", "http", "://", "a:b", "@", ":", "=", "?",
         "&", '"', "\\", "'", " ", "cm9vdDpw", "sk-aaaaaaaaaaaaaaaa", "[scrubbed]",
         "\n", "api_key", "--user", "\x1b"]
    ), max_size=12,
).map("".join)  # fmt: skip
JSON_BYTES = st.one_of(
    st.binary(max_size=200), VALUES.map(lambda value: json.dumps(value).encode()),
    st.integers(1, 5000).map(lambda deep: b"[" * deep),
)  # fmt: skip
STREAM_BYTES = st.one_of(
    st.binary(max_size=300),
    EVENTS.map(lambda events: b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)),
)
DATABASE_BYTES = st.one_of(
    JSON_BYTES,
    st.dictionaries(
        st.sampled_from(
            ["stores", "store", "header", "member_id", "cluster_id", "leader", "version", "errors", "members",
             "isLearner", "ID", "clientURLs", "name", "raftTerm", "dbSize", "health", "msg", "client_urls"]
        ), st.one_of(VALUES, st.just({"member_id": "1", "cluster_id": "2"}), st.just("7")),
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip

SEAMS: Mapping[str, tuple[Callable[..., None], tuple[st.SearchStrategy[Any], ...]]] = {
    "API stream, events": (stream_of_events, (EVENTS,)),
    "API stream, bytes": (stream_of_bytes, (STREAM_BYTES,)),
    "transcript": (
        transcript,
        (ENTRIES, st.dictionaries(HARD_TEXT, VALUES, max_size=3), st.binary(max_size=40)),
    ),
    "history": (history, (ENTRIES,)),
    "cluster file": (cluster_file, (JSON_BYTES,)),
    "MCP frame": (mcp_frame, (JSON_BYTES,)),
    "JSON of databases": (any_json, (JSON_BYTES,)),
    "answers of databases": (answer_of_a_database, (DATABASE_BYTES,)),
    "keys in texts": (any_text, (SECRET_TEXTS,)),
}
