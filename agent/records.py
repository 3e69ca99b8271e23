"""What was kept of earlier runs, shown: incidents, their reports, conversations, recordings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.events import Finished, Text
from agent.setup import Setup
from agent.view.base import View
from subjects.errors import NotReady
from subjects.state import open_state
from tools.events import Event, Notice, Table
from tools.incidents.record import Incident
from tools.incidents.report import Format
from tools.incidents.store import IncidentStore

MAX_SEARCHED = 1000
"""The latest incidents that the beginning of an id is looked for in."""


async def list_incidents(setup: Setup, view: View) -> dict[str, Any]:
    """Show the latest incidents."""
    with _store(setup) as store:
        found = store.list()
    rows = tuple((i.id, i.cluster, str(i.state), _clock(i.opened), i.text) for i in found)
    view.show(Table("Incidents", ("id", "cluster", "state", "opened", "what"), rows))
    return {"ok": True, "command": "incidents list", "incidents": [_brief(i) for i in found]}


async def show_incident(setup: Setup, view: View, incident: str) -> dict[str, Any]:
    """Show one incident."""
    with _store(setup) as store:
        found = _find(store, incident)
    opened = _clock(found.opened)
    view.show(Text(f"{found.text} · {found.cluster} · {found.state} · opened {opened}", done=True))
    knew = tuple(
        (
            k.who,
            "–" if k.seconds is None else f"{k.seconds:.3f} s",
            k.how if k.measured else f"by rule: {k.how}",
        )
        for k in found.knew
    )
    view.show(Table("Who knew when", ("who", "after", "how"), knew))
    entries = tuple(
        (f"+{e.wall - found.opened:.3f} s", e.source, e.node or "", e.text) for e in found.entries
    )
    view.show(Table("Timeline", ("at", "who", "node", "what"), entries))
    if found.diagnosis:
        from tools.events import Diagnosed

        view.show(Diagnosed(dict(found.diagnosis)))
    return {"ok": True, "command": "incidents show", "incident": asdict(found)}


async def report(setup: Setup, view: View, incident: str, form: Format, to: Path | None) -> dict[str, Any]:
    """Write one incident's report."""
    from tools.incidents.report import render

    with _store(setup) as store:
        found = _find(store, incident)
        text = render(found, form)
    if to is None:
        view.show(Text(text, done=True))
    else:
        _write(to, text)
        view.show(Notice(f"The report is in {to}."))
    result: dict[str, Any] = {"ok": True, "command": "incidents report", "incident": found.id, "format": form}
    return {**result, "file": str(to)} if to else {**result, "report": text}


async def list_sessions(setup: Setup, view: View) -> dict[str, Any]:
    """Show the latest conversations."""
    from agent.sessions.resume import listing

    table = listing(open_state(setup.state_dir).sessions)
    view.show(table)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return {"ok": True, "command": "sessions list", "sessions": rows}


async def show_session(setup: Setup, view: View, session: str) -> dict[str, Any]:
    """Show one conversation."""
    from agent.sessions.resume import show

    text = show(open_state(setup.state_dir).sessions, session)
    view.show(Text(text, done=True))
    return {"ok": True, "command": "sessions show", "text": text}


async def replay(_setup: Setup, view: View, file: Path, speed: float) -> dict[str, Any]:
    """Play a recording."""
    from agent.transcript.replay import replay as play

    result: dict[str, Any] = {}

    def show(event: Event) -> None:
        if isinstance(event, Finished):
            result.update(event.result)
        else:
            view.show(event)

    await play(file, show, speed)
    return {"command": "replay", **result}


@contextmanager
def _store(setup: Setup) -> Iterator[IncidentStore]:
    store = IncidentStore(open_state(setup.state_dir).database)
    try:
        yield store
    finally:
        store.close()


def _find(store: IncidentStore, incident: str) -> Incident:
    """Return the incident whose id is `incident` or alone begins so; the latest if `incident` is empty."""
    ids = [each.id for each in store.list(MAX_SEARCHED) if each.id.startswith(incident)]
    if incident in ids or len(ids) == 1 or (ids and not incident):
        return store.get(incident if incident in ids else ids[0])
    if not incident:
        raise NotReady("There is no incident yet: `operator demo chaos` makes one.")
    raise NotReady(
        f"There is no incident {incident!r}, or several begin so: `operator incidents list` shows them."
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotReady(f"{path} cannot be written: {error.strerror}.") from error


def _brief(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "cluster": incident.cluster,
        "state": str(incident.state),
        "opened": incident.opened,
        "recovered": incident.recovered,
        "nodes": list(incident.nodes),
        "text": incident.text,
        "kind": (incident.diagnosis or {}).get("kind"),
    }


def _clock(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().strftime("%Y-%m-%d %H:%M:%S")
