"""An earlier session can be found, shown and gone on with, and what changed meanwhile is told."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.errors import AgentError, BadCredentials, BadTranscript
from agent.sessions.earlier import earlier
from agent.sessions.opening import open_session
from agent.sessions.resume import changes, find, listing, show, since
from agent.sessions.session import Session
from agent.setup import Setup
from agent.transcript.file import Transcript
from agent.transcript.reading import Header, read
from tests.standins.quiet_view import QuietView

PICTURE = {
    "cluster": "etcd × process",
    "state": "healthy",
    "leader": "etcd-1",
    "term": 2,
    "nodes": [{"name": "etcd-1", "process": "running"}, {"name": "etcd-2", "process": "running"}],
}


def written(folder: Path, session: str, *, ended: bool = True) -> Path:
    """Write a session in which the status was read, and, unless it `ended`, a kill was under way."""
    folder.mkdir(parents=True, exist_ok=True)
    transcript = Transcript.create(folder, Header(session, time.time() - 7200, "0", "playbook", None))
    text = f"[E4] {json.dumps(PICTURE)}"
    call: dict[str, Any] = {"type": "tool_use", "id": "c1", "name": "cluster_status", "input": {}}
    for entry in (
        {"type": "user", "text": f"status of {session}", "by": "person"},
        {"type": "assistant", "content": [call], "stop_reason": "tool_use"},
        {"type": "call", "id": "c1", "tool": "cluster_status", "arguments": {}, "effect": "read"},
        {"type": "outcome", "id": "c1", "tool": "cluster_status", "ran": True, "ok": True, "text": text,
         "data": PICTURE, "evidence": "E4", "seconds": 0.1},
    ):  # fmt: skip
        transcript.record({"t": 1.0, **entry})
    if ended:
        answer = {"type": "text", "text": "It is healthy."}
        transcript.record({"type": "assistant", "t": 2.0, "content": [answer], "stop_reason": "end_turn"})
    else:
        kill = {"type": "tool_use", "id": "c2", "name": "store_kill", "input": {}}
        transcript.record({"type": "assistant", "t": 2.0, "content": [kill], "stop_reason": "tool_use"})
        transcript.record({"type": "call", "t": 2.0, "id": "c2", "tool": "store_kill", "arguments": {}})
    transcript.close()
    return transcript.path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
async def session(state: Path) -> AsyncIterator[Session]:
    opened = await open_session(Setup(state_dir=state, offline=True), QuietView())
    yield opened
    await opened.aclose()


def test_sessions_are_listed_the_latest_first_with_what_was_asked(tmp_path: Path) -> None:
    written(tmp_path, "20260101-a")
    written(tmp_path, "20260201-b")
    (tmp_path / "20260301-c.jsonl").write_text("not a transcript\n")

    rows = listing(tmp_path).rows

    assert [row[0] for row in rows] == ["20260301-c", "20260201-b", "20260101-a"]
    assert rows[1][2:] == ("offline mode", "status of 20260201-b")
    assert "no transcript" in rows[0][3]


def test_times_in_the_list_name_their_zone(tmp_path: Path) -> None:
    """An id is in UTC, and so is a report: a time of day without a zone is read as that."""
    written(tmp_path, "20260101-a")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", "NPT-5:45")
        time.tzset()
        rows = listing(tmp_path).rows
    time.tzset()

    assert rows[0][1].endswith(" NPT")


def test_a_session_is_found_by_the_beginning_of_its_id_if_that_is_clear(tmp_path: Path) -> None:
    first, second = written(tmp_path, "20260101-a"), written(tmp_path, "20260201-b")

    assert find(tmp_path, "20260101") == first
    assert find(tmp_path, "") == second
    assert find(tmp_path, "", exclude=second) == first
    with pytest.raises(BadTranscript, match="give more of the id"):
        find(tmp_path, "2026")
    with pytest.raises(BadTranscript, match="operator sessions list"):
        find(tmp_path, "../../etc/passwd")


def test_without_sessions_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadTranscript, match="no earlier session"):
        find(tmp_path, "")


def test_a_session_is_shown_as_markdown(tmp_path: Path) -> None:
    written(tmp_path, "20260101-a")

    text = show(tmp_path, "20260101-a")

    assert "status of 20260101-a" in text
    assert "It is healthy." in text
    assert "E4" in text


def test_an_earlier_session_leaves_its_history_and_its_evidence_under_the_old_ids(tmp_path: Path) -> None:
    found = earlier(written(tmp_path, "s1"))

    assert [message.role for message in found.messages] == ["user", "assistant", "user", "assistant"]
    assert [(item.id, item.source) for item in found.evidence] == [("E4", "cluster_status")]
    assert json.loads(found.evidence[0].text) == PICTURE
    assert found.cluster == PICTURE


def test_a_call_that_a_crash_cut_is_answered_and_never_called_retryable(tmp_path: Path) -> None:
    found = earlier(written(tmp_path, "s1", ended=False))

    result = found.messages[-1].content[0]
    assert result["tool_use_id"] == "c2"
    assert result["is_error"]
    assert "unknown" in result["content"]


async def test_a_resumed_session_goes_on_in_the_same_file_with_fresh_evidence_ids(
    state: Path, session: Session
) -> None:
    path = written(state / "sessions", "20260101-a")
    own = session.transcript.path

    told = await session.resume("")
    await session.ask("help")

    assert "120 minutes" in told
    assert "no cluster is running" in told
    assert session.id == "20260101-a"
    assert not own.exists()
    assert session.ledger.get("E4") is not None
    assert session.ledger.add("x", "y").id == "E5"
    assert [message.role for message in session.messages][:4] == ["user", "assistant", "user", "assistant"]
    texts = [entry.data["text"] for entry in read(path) if entry.type == "user"]
    assert texts == ["status of 20260101-a", "help"]


async def test_the_model_is_told_with_its_next_request_what_has_changed(
    state: Path, session: Session
) -> None:
    written(state / "sessions", "20260101-a")
    await session.resume("20260101-a")

    await session.ask("help")

    systems = [message for message in session.messages if message.role == "system"]
    assert len(systems) == 1
    assert "etcd" not in systems[0].content[0]["text"], "what a database wrote is no word of operator's"
    told = next(block["text"] for message in session.messages for block in message.content
                if "now no cluster is running" in block.get("text", ""))  # fmt: skip
    assert told.startswith("<pasted_content>")
    assert "etcd × process was healthy" in told


async def test_the_script_answers_what_was_typed_meanwhile_as_the_next_request(session: Session) -> None:
    session.interject("was anything lost?")
    session.interject("undo everything")
    await session.ask("help")

    assert session.unread() == ("was anything lost?", "undo everything")
    assert session.unread() == ()


async def test_what_goes_wrong_while_the_model_is_made_ready_is_left_to_the_first_request(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLOUD_ML_REGION", "ANTHROPIC_VERTEX_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    opened = await open_session(Setup(state_dir=state, provider="vertex"), QuietView())
    opened.warm()
    with pytest.raises(BadCredentials, match="CLOUD_ML_REGION"):
        await opened.ask("?")
    await opened.aclose()


async def test_a_session_that_was_talked_in_keeps_its_own_file_when_another_is_resumed(
    state: Path, session: Session
) -> None:
    written(state / "sessions", "20260101-a")
    own = session.transcript.path
    await session.ask("help")

    await session.resume("20260101-a")

    assert own.exists()
    assert session.transcript.path != own


async def test_evidence_of_the_person_s_own_look_gets_ids_after_the_old_ones(
    state: Path, session: Session
) -> None:
    written(state / "sessions", "20260101-a")
    session.ledger.add("cluster_status", "just now")

    await session.resume("20260101-a")

    assert [(item.id, item.source) for item in session.ledger] == [
        ("E4", "cluster_status"),
        ("E5", "cluster_status"),
    ]


async def test_a_session_with_signals_of_its_own_is_not_mixed_with_another(
    state: Path, session: Session
) -> None:
    written(state / "sessions", "20260101-a")
    session.ledger.add("signal:process", "etcd-1 exited")

    with pytest.raises(AgentError, match="--resume"):
        await session.resume("20260101-a")


async def test_a_transcript_that_cannot_be_resumed_leaves_the_session_as_it_was(
    state: Path, session: Session
) -> None:
    held = Transcript.create(state / "sessions", Header("20260101-a", time.time(), "0", "playbook", None))

    with pytest.raises(BadTranscript, match="open in another operator"):
        await session.resume("20260101-a")
    held.close()

    await session.ask("help")
    assert any(entry.type == "user" for entry in read(session.transcript.path))


def changed(**fields: Any) -> Mapping[str, Any]:
    return {**PICTURE, **fields}


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (PICTURE, []),
        (changed(leader="etcd-2", term=3), ["leader etcd-1 → etcd-2", "term 2 → 3"]),
        (changed(nodes=PICTURE["nodes"][:1]), ["etcd-2 is gone"]),  # type: ignore[index]
        (
            changed(
                nodes=[{"name": "etcd-1", "process": "running"}, {"name": "etcd-2", "process": "exited"}]
            ),
            ["etcd-2: process running → exited"],
        ),
    ],
)
def test_what_changed_is_named(now: Mapping[str, Any], told: list[str]) -> None:
    assert changes(PICTURE, now) == told


def test_nothing_changed_is_told_too(tmp_path: Path) -> None:
    found = earlier(written(tmp_path, "s1"))

    assert "Nothing that it had seen has changed" in since(found, PICTURE, time.time())
