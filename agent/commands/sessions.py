"""`operator sessions list|show`: earlier conversations."""

from typing import TYPE_CHECKING

import click

from agent.commands.command import Result, command
from agent.commands.parameters import SESSION

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


@click.group()
def sessions() -> None:
    """Earlier conversations."""


@sessions.command("list")
@command(listing=True)
async def list_sessions(setup: "Setup", view: "View") -> Result:
    """Show the latest conversations, newest first."""
    from agent.sessions.resume import listing
    from subjects.state import open_state

    table = listing(open_state(setup.state_dir, to_read=True).sessions)
    view.show(table)
    return {"sessions": [dict(zip(table.columns, row, strict=True)) for row in table.rows]}


@sessions.command("show")
@command()
@click.argument("session", default="", type=SESSION)
async def show_session(setup: "Setup", view: "View", *, session: str) -> Result:
    """Show one conversation as Markdown.

    The last one if none is named; the beginning of an id is enough.
    """
    from agent.events import Text
    from agent.sessions.resume import show
    from subjects.state import open_state

    text = show(open_state(setup.state_dir, to_read=True).sessions, session)
    view.show(Text(text, done=True))
    return {"text": text}
