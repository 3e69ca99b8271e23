"""`operator` itself: the chat, one prompt, and every command."""

import os
import sys
from typing import Any

import click

from agent.commands import (
    demo,
    deploy,
    doctor,
    drill,
    incidents,
    mcp,
    replay,
    restore,
    sessions,
    watch,
)
from agent.commands.command import CLUSTER, CONSENT, MODEL, make_setup, run_work, shared
from agent.commands.parameters import SESSION
from agent.commands.prompt import one_request


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-p", "prompt", metavar="PROMPT", help="One request, then exit; - reads it from standard input."
)
@click.option(
    "--resume",
    type=SESSION,
    is_flag=False,
    flag_value="",
    metavar="[ID]",
    help="Go on with an earlier conversation.",
)
@click.option("--keep", is_flag=True, help="Leave a cluster up that the session started.")
@click.option("--allow-quorum-loss", is_flag=True, help="Let faults take the majority.")
@click.version_option(package_name="chaos-operator", prog_name="operator")
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """An on-call engineer for a distributed database, in a terminal.

    Without a command it opens the chat: type "run the chaos demo".
    """
    if context.invoked_subcommand is not None:
        return
    if given["prompt"] is not None:
        if given["prompt"] == "-":
            given["prompt"] = sys.stdin.read()
        if not given["prompt"].strip():
            raise click.UsageError("The prompt is empty.")
        run_work(context, given, one_request)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "This is no terminal. Give a prompt with -p, or see `operator demo chaos --help`."
        )
    setup, own = make_setup(context, given)
    if setup.output != "text":
        raise click.UsageError("--output goes with -p and with commands; the chat is for people.")
    from agent.chat.command import chat

    sys.exit(chat(setup, own["resume"]))


cli.params[-1:-1] = shared(*MODEL, *CONSENT, *CLUSTER)
for command in (
    demo.demo,
    deploy.deploy,
    restore.restore,
    doctor.doctor,
    incidents.incidents,
    sessions.sessions,
    replay.replay,
    drill.drill,
    mcp.mcp,
    watch.watch,
):
    cli.add_command(command)


def _fill_standard_streams() -> None:
    """Point the streams that the caller closed at nothing.

    A file opened later must not become standard output: what is printed would be written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def main() -> None:
    """Run the command line."""
    _fill_standard_streams()
    cli(prog_name="operator")
