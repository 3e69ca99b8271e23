"""`operator incidents list|show|report`: earlier incidents."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.commands.command import Result, command
from agent.commands.parameters import INCIDENT, WordedOption
from subjects.errors import NotReady

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View
    from tools.incidents.record import Incident
    from tools.incidents.report import Format
    from tools.incidents.store import IncidentStore

MAX_SEARCHED = 1000
"""The latest incidents that the beginning of an id is looked for in."""


@click.group()
def incidents() -> None:
    """Earlier incidents."""


@incidents.command("list")
@command(listing=True)
async def list_incidents(setup: "Setup", view: "View") -> Result:
    """Show the latest incidents, newest first."""
    from tools.events import Notice, Table

    with _store(setup) as store:
        found = store.list()
    if not found:
        view.show(Notice("No incidents yet: `operator demo chaos` makes one."))
    else:
        rows = tuple((i.id, i.cluster, i.state.words, _clock(i.opened), i.text) for i in found)
        view.show(Table("Incidents", ("id", "cluster", "state", "opened", "what"), rows))
    return {"incidents": [_brief(i) for i in found]}


@incidents.command("show")
@command(listing=True)
@click.argument("incident", default="", type=INCIDENT)
async def show_incident(setup: "Setup", view: "View", *, incident: str) -> Result:
    """Show one incident: timeline, who knew when, diagnosis.

    The last one if none is named; the beginning of an id is enough.
    """
    from agent.events import Text
    from tools.events import Diagnosed, Table
    from tools.incidents.report_words import knew, seconds
    from tools.observe.signal import WHO

    with _store(setup) as store:
        found = _find(store, incident)
    opened = _clock(found.opened)
    view.show(Text(f"{found.text} · {found.cluster} · {found.state.words} · opened {opened}", done=True))
    known = knew([each.as_json() for each in found.knew])
    view.show(Table("Who knew when", ("who", "after", "how"), tuple(known)))
    entries = tuple(
        (seconds(s.wall - found.opened), WHO.get(s.source, s.source), s.node or "", s.raw)
        for s in found.signals
    )
    view.show(Table("Timeline", ("at", "who", "node", "what"), entries))
    if found.diagnosis:
        view.show(Diagnosed(dict(found.diagnosis)))
    return {"incident": asdict(found)}


@incidents.command("report")
@command()
@click.argument("incident", default="", type=INCIDENT)
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "json", "html"]),
    default="md",
    show_default=True,
    help="Which kind.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    cls=WordedOption,
    show_default="standard output",
    help="Write it there.",
)
async def report(setup: "Setup", view: "View", *, incident: str, form: "Format", to: Path | None) -> Result:
    """Write a report as Markdown, JSON or one HTML file.

    Of the last incident if none is named; the beginning of an id is enough.
    """
    from agent.events import Text
    from tools.events import Notice
    from tools.incidents.report import render

    with _store(setup) as store:
        found = _find(store, incident)
        text = render(found, form)
    result: Result = {"incident": found.id, "format": form}
    if to is None:
        view.show(Text(text, done=True))
        return {**result, "report": text}
    _write(to, text)
    view.show(Notice(f"The report is in {to}."))
    return {**result, "file": str(to)}


@contextmanager
def _store(setup: "Setup") -> "Iterator[IncidentStore]":
    from subjects.state import open_state
    from tools.incidents.store import IncidentStore

    store = IncidentStore(open_state(setup.state_dir, to_read=True).database)
    with closing(store):
        try:
            yield store
        finally:
            store.require_readable()  # what was read of a damaged file is no answer


def _find(store: "IncidentStore", incident: str) -> "Incident":
    """Return the incident whose id is `incident` or alone begins so; the latest if `incident` is empty."""
    ids = [each.id for each in store.list(MAX_SEARCHED) if each.id.startswith(incident)]
    if incident in ids or len(ids) == 1 or (ids and not incident):
        return store.get(incident if incident in ids else ids[0])
    if not incident:
        raise NotReady("There is no incident yet: `operator demo chaos` makes one.")
    if ids:
        raise NotReady(f"Ambiguous prefix {incident!r}: {', '.join(ids[:10])}.")
    raise NotReady(f"There is no incident {incident!r}: `operator incidents list` shows those there are.")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotReady(f"{path} cannot be written: {error.strerror}.") from error


def _brief(incident: "Incident") -> dict[str, Any]:
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
    return datetime.fromtimestamp(wall).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
