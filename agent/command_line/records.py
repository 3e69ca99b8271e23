"""`operator incidents`, `sessions`, `replay`: what was kept of earlier runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.command_line.options import everywhere, run_command

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View
    from tools.incidents.report import Format


@click.group()
def incidents() -> None:
    """Earlier incidents."""


@incidents.command("list")
@everywhere
@click.pass_context
def list_incidents(context: click.Context, /, **_: Any) -> None:
    """Show the latest incidents, newest first."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import records

        return await records.list_incidents(setup, view)

    run_command(context, "incidents list", work, listing=True)


@incidents.command("show")
@everywhere
@click.argument("incident", default="")
@click.pass_context
def show_incident(context: click.Context, /, incident: str, **_: Any) -> None:
    """Show one incident, the last one if none is named: its timeline, who knew when, its diagnosis."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import records

        return await records.show_incident(setup, view, incident)

    run_command(context, "incidents show", work, listing=True)


@incidents.command("report")
@everywhere
@click.argument("incident", default="")
@click.option("--format", "form", type=click.Choice(["md", "json", "html"]), default="md", show_default=True)
@click.option(
    "--to", type=click.Path(path_type=Path, dir_okay=False), help="A file; default: standard output."
)
@click.pass_context
def report(context: click.Context, /, incident: str, form: "Format", to: Path | None, **_: Any) -> None:
    """Write an incident's report as Markdown, JSON or one HTML file; the last one's if none is named."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import records

        return await records.report(setup, view, incident, form, to)

    run_command(context, "incidents report", work)


@click.group()
def sessions() -> None:
    """Earlier conversations."""


@sessions.command("list")
@everywhere
@click.pass_context
def list_sessions(context: click.Context, /, **_: Any) -> None:
    """Show the latest conversations, newest first."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import records

        return await records.list_sessions(setup, view)

    run_command(context, "sessions list", work, listing=True)


@sessions.command("show")
@everywhere
@click.argument("session", default="")
@click.pass_context
def show_session(context: click.Context, /, session: str, **_: Any) -> None:
    """Show one conversation as Markdown; the last one if none is named."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import records

        return await records.show_session(setup, view, session)

    run_command(context, "sessions show", work)


@click.command()
@everywhere
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, help="0 plays at once."
)
@click.pass_context
def replay(context: click.Context, /, file: Path, speed: float, **_: Any) -> None:
    """Play a recorded session."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import records

        return await records.replay(setup, view, file, speed)

    run_command(context, "replay", work)
