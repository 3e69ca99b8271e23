"""Earlier sessions: list them, show one, go on with one."""

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.errors import AgentError, BadTranscript
from agent.sessions.earlier import Earlier, earlier
from agent.sessions.export import as_markdown
from agent.transcript.file import Transcript
from agent.transcript.reading import read, read_header
from agent.transcript.replay import damaged_lines
from agent.turn import Conversation
from agent.view.words import answerer, one_line
from prompts import remark
from tools.events import Table
from tools.workbench import Workbench


def listing(folder: Path) -> Table:
    """Return the sessions in `folder` as a table, the latest first."""
    rows = []
    for path in _newest_first(folder):
        try:
            rows.append(_row(path))
        except BadTranscript as error:
            rows.append((path.stem, "", "", str(error)))
    return Table("Sessions", ("id", "began", "answered by", "asked first"), tuple(rows))


def show(folder: Path, session: str) -> str:
    """Return one session as Markdown. Raises BadTranscript if there is none of that id."""
    found = earlier(find(folder, session))
    text = as_markdown(found.header.id, found.messages, found.evidence)
    return f"{text}\n{damaged_lines(found.damaged)} left out.\n" if found.damaged else text


def find(folder: Path, session: str, exclude: Path | None = None) -> Path:
    """Return the transcript whose id is `session` or begins so; the latest if `session` is empty.

    Never returns `exclude`, the session that is under way. Raises BadTranscript, with what to do.
    """
    paths = [path for path in _newest_first(folder) if path != exclude]
    if not session:
        talked = next((path for path in paths if _was_talked_in(path)), None)
        if talked is None:
            raise BadTranscript(f"There is no earlier session in {folder}.")
        return talked
    fitting = [path for path in paths if path.stem.startswith(session)]
    exact = [path for path in fitting if path.stem == session]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    if fitting:
        raise BadTranscript(f"{len(fitting)} sessions begin with {session!r}: give more of the id.")
    raise BadTranscript(f"There is no session {session!r}: `operator sessions list` shows those there are.")


async def resume(
    session: str,
    workbench: Workbench,
    conversation: Conversation,
    transcript: Transcript,
    open_cluster: Callable[[], Awaitable[None]],
) -> str:
    """Go on with an earlier session in the present one; returns what to tell the person.

    The model is told what has changed since, with its next request. Raises BadTranscript, and AgentError
    where this session has seen too much of its own already.
    """
    ledger = workbench.ledger
    if any(item.source.startswith("signal:") for item in ledger):
        raise AgentError(
            "This session has evidence of its own by now. Leave it, and start with `operator --resume`."
        )
    path = find(workbench.state.sessions, session, exclude=transcript.path)
    found = earlier(path)
    transcript.take_over(path)
    ledger.rebase(found.evidence)
    conversation.history.replace(found.messages)
    now = await _present(workbench, open_cluster)
    news = since(found, now, time.time())
    conversation.paste(news)  # it has names and states as the database gave them
    conversation.note(remark("resumed"))
    asked = f" You last asked: “{one_line(found.asked, 80)}”." if found.asked else ""
    lost = f" {damaged_lines(found.damaged)} left out." if found.damaged else ""
    return f"Session {found.header.id}, {len(found.messages)} messages.{lost}{asked} {news}"


def since(found: Earlier, now: Mapping[str, Any], wall: float) -> str:
    """Say what has changed between the last snapshot of a session and the present one."""
    parts = [f"The session is resumed after {_span(wall - found.ended)}."]
    if not found.cluster:
        parts.append(f"It had not looked at a cluster; now {_state(now, 'is')}.")
    else:
        parts.append(f"When it last looked, {_state(found.cluster, 'was')}; now {_state(now, 'is')}.")
        parts.append(_changed(found.cluster, now))
    return " ".join(part for part in parts if part)


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how two snapshots of a cluster (as cluster_status gives them) differ, a phrase each."""
    news = [
        f"{name} {then.get(name)} → {now.get(name)}"
        for name in ("cluster", "state", "leader", "term")
        if then.get(name) != now.get(name) and now.get(name) is not None
    ]
    before, after = _nodes(then), _nodes(now)
    news += [f"{name} is gone" for name in before if name not in after]
    news += [f"{name} is new" for name in after if name not in before]
    for name in before.keys() & after.keys():
        news += [
            f"{name}: {field.replace('_', ' ')} {before[name].get(field)} → {after[name].get(field)}"
            for field in ("process", "says_of_itself")
            if before[name].get(field) != after[name].get(field)
        ]
    return news


async def _present(workbench: Workbench, open_cluster: Callable[[], Awaitable[None]]) -> Mapping[str, Any]:
    """Return the cluster as it is now, in the form of cluster_status; empty if there is none."""
    from tools.cluster.lifecycle import describe

    await open_cluster()
    cluster = workbench.cluster
    if cluster is None:
        return {}
    return describe(cluster, await cluster.subject.observe())


def _newest_first(folder: Path) -> list[Path]:
    found = (path for path in folder.glob("*.jsonl") if path.is_file())
    return sorted(found, key=lambda path: path.stem, reverse=True)


def _was_talked_in(path: Path) -> bool:
    try:
        return any(entry.type == "user" for entry in read(path))
    except BadTranscript:
        return False


def _row(path: Path) -> tuple[str, ...]:
    header = read_header(path)
    asked = next((entry.data.get("text", "") for entry in read(path) if entry.type == "user"), "")
    began = datetime.fromtimestamp(header.made).astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return header.id, began, answerer(header.driver, header.model), " ".join(str(asked).split())[:80]


def _nodes(snapshot: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(node.get("name")): node for node in snapshot.get("nodes") or () if isinstance(node, Mapping)}


def _changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if not now.get("nodes"):
        return ""
    changed = changes(then, now)
    return f"Changed: {'; '.join(changed)}." if changed else "Nothing that it had seen has changed."


def _state(snapshot: Mapping[str, Any], verb: str) -> str:
    if not snapshot.get("nodes"):
        return f"no cluster {verb} running"
    return f"{snapshot.get('cluster') or 'the cluster'} {verb} {snapshot.get('state')}"


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} seconds"
