"""The options that commands share, and how a command is run with them."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from subjects import databases

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View
    from tools.workbench import Choice

Command = TypeVar("Command", bound=Callable[..., Any])
Work = Callable[["Setup", "View"], Awaitable[dict[str, Any]]]
"""A command's work: returns its result (agent.running)."""

_EVERYWHERE = (
    click.option("--model", metavar="NAME", help="Claude model; opus, sonnet, haiku, fable are short names."),
    click.option(
        "--provider", type=click.Choice(["api", "bedrock", "vertex"]), help="Where Claude is reached."
    ),
    click.option("--compat", is_flag=True, help="Plain Messages API only, for compatible servers."),
    click.option("--offline", is_flag=True, help="A fixed script answers instead of Claude."),
    click.option(
        "--output", type=click.Choice(["text", "json", "stream-json"]), help="How results are printed."
    ),
    click.option("--yes", is_flag=True, help="Run what acts without asking."),
    click.option(
        "--max-cost", type=click.FloatRange(min=0, min_open=True), metavar="USD", help="The session's budget."
    ),
    click.option(
        "--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Where state is kept."
    ),
)
_PLACED = (
    click.option("--subject", type=click.Choice(["auto", *databases()]), help="The database."),
    click.option("--runtime", type=click.Choice(["auto", "process", "docker"]), help="Where its nodes run."),
    click.option("--compose-file", type=click.Path(path_type=Path), help="In place of the one that ships."),
)
_NAMES = ("model", "provider", "compat", "offline", "output", "yes", "max_cost", "state_dir")
_PLACES = ("subject", "runtime", "compose_file")


def everywhere(command: Command) -> Command:
    """Give a command the options that every command has."""
    for option in reversed(_EVERYWHERE):
        command = option(command)
    return command


def placed(command: Command) -> Command:
    """Give a command the options that choose a cluster."""
    for option in reversed(_PLACED):
        command = option(command)
    return command


def make_setup(context: click.Context, command: str, **more: Any) -> "Setup":
    """Merge the options given before and after the command's name; the nearest wins.

    Raises click's errors for a compose file that isn't there.
    """
    from agent.setup import Setup

    given = {name: _given(context, name) for name in (*_NAMES, *_PLACES)}
    merged = {name: given[name] for name in _NAMES if given[name]}
    cost = merged.pop("max_cost", None)
    return Setup(command=command, max_cost_usd=cost, choice=_choice(given), **merged, **more)


def run_command(
    context: click.Context,
    command: str,
    work: Work,
    *,
    interrupted: str = "Interrupted",
    stream: TextIO | None = None,
    listing: bool = False,
    **more: Any,
) -> None:
    """Run a command to its end and exit with its code; `stream` is drawn on instead of standard output.

    With `listing` the tables that are shown are the command's answer.
    """
    from agent.running import run

    setup = make_setup(context, command, **more)
    sys.exit(
        run(setup, lambda view: work(setup, view), interrupted=interrupted, stream=stream, listing=listing)
    )


def _given(context: click.Context, name: str) -> Any:
    at: click.Context | None = context
    while at is not None:
        if at.params.get(name):
            return at.params[name]
        at = at.parent
    return None


def _choice(given: dict[str, Any]) -> "Choice":
    from subjects.compose_file import check_compose_file
    from subjects.errors import BadSetup
    from tools.workbench import Choice

    compose_file = given["compose_file"]
    if compose_file is not None:
        try:
            check_compose_file(compose_file)
        except BadSetup as error:
            raise click.ClickException(str(error)) from error
    return Choice(given["subject"] or "auto", given["runtime"] or "auto", compose_file)
