"""`operator replay`: a recorded session, played again."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands.command import Result, command
from agent.commands.parameters import SESSION, Number

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View
    from tools.events import Event


@click.command()
@command()
@click.argument("recording", metavar="SESSION|FILE", default="", type=SESSION)
@click.option(
    "--speed",
    type=Number(min=0),
    default=1.0,
    show_default=True,
    help="Times as fast as it was; 0 plays at once.",
)
async def replay(setup: "Setup", view: "View", *, recording: str, speed: float) -> Result:
    """Play a recorded session again.

    SESSION is its id or the beginning of it; the last one if none is named.
    """
    from agent.events import Finished
    from agent.sessions.resume import find
    from agent.transcript.replay import replay as play
    from subjects.state import open_state

    named = Path(recording)
    is_file = bool(recording) and (named.suffix == ".jsonl" or named.name != recording or named.is_file())
    path = named if is_file else find(open_state(setup.state_dir, to_read=True).sessions, recording)
    result: Result = {}

    def show(event: "Event") -> None:
        if isinstance(event, Finished):
            result.update(event.result)
        else:
            view.show(event)

    await play(path, show, speed)
    return result
