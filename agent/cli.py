"""The command line of `operator`, and where its commands are."""

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from agent.command_line import cluster, demo, drill, mcp, records, watch
from agent.command_line.options import everywhere, make_setup, placed, run_command

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@everywhere
@placed
@click.option(
    "-p", "prompt", metavar="PROMPT", help="One request, then exit; - reads it from standard input."
)
@click.option(
    "--resume", is_flag=False, flag_value="", metavar="[ID]", help="Go on with an earlier conversation."
)
@click.option("--keep", is_flag=True, help="Leave a cluster up that the session started.")
@click.option("--allow-quorum-loss", is_flag=True, help="Let faults take the majority.")
@click.version_option(package_name="chaos-operator", prog_name="operator")
@click.pass_context
def cli(
    context: click.Context,
    /,
    prompt: str | None,
    resume: str | None,
    keep: bool,
    allow_quorum_loss: bool,
    **_: Any,
) -> None:
    """An on-call engineer for a distributed database, in a terminal.

    Without a command it opens the chat: type "run the chaos demo".
    """
    if context.invoked_subcommand is not None:
        return
    more: dict[str, Any] = {"keep": keep, "allow_quorum_loss": allow_quorum_loss}
    if prompt is None:
        _chat(context, resume, more)
    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise click.UsageError("The prompt is empty.")

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent.headless import one_request

        return await one_request(setup, view, text, resume)

    run_command(context, "prompt", work, **more)


def _chat(context: click.Context, resume: str | None, more: dict[str, Any]) -> NoReturn:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "This is no terminal. Give a prompt with -p, or see `operator demo chaos --help`."
        )
    setup = make_setup(context, "chat", **more)
    if setup.output != "text":
        raise click.UsageError("--output goes with -p and with commands; the chat is for people.")
    from agent.chat.command import chat

    sys.exit(chat(setup, resume))


for command in (
    demo.demo,
    cluster.deploy,
    cluster.restore,
    cluster.doctor,
    records.incidents,
    records.sessions,
    records.replay,
    drill.drill,
    mcp.mcp,
    watch.watch,
):
    cli.add_command(command)


def _fill_standard_streams() -> None:
    """Have those that the caller closed lead nowhere.

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
