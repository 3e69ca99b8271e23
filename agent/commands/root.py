"""`operator` itself: the chat, one prompt, and every command."""

import os
import signal
import sys
from typing import Any

import click

from agent.commands import (
    config,
    demo,
    deploy,
    describe,
    doctor,
    drill,
    fault,
    incidents,
    logs,
    mcp,
    replay,
    restore,
    sessions,
    watch,
)
from agent.commands.command import CLUSTER, CONSENT, LOAD, MODEL, make_setup, run_work, shared
from agent.commands.examples import epilog
from agent.commands.parameters import SESSION
from agent.commands.prompt import one_request
from agent.commands.usage import in_one_line
from agent.exit_codes import ExitCode

LONGEST_PROMPT = 4_000_000
"""Characters: about a million tokens, which is what the largest model reads at once."""


class Operator(click.Group):
    """The group of all commands: in the order of a first day, and helpful about those there are not."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were added."""
        return list(self.commands)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the options before the command's name."""
        with in_one_line():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is named."""
        with in_one_line():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; for a name that is none, say which one does that."""
        name = args[0] if args else ""
        if name and self.get_command(ctx, name) is None and (meant := self._meant(name)):
            raise click.UsageError(f"No such command {name!r}. Did you mean `operator {meant}`?", ctx)
        return super().resolve_command(ctx, args)

    def _meant(self, name: str) -> str:
        """Return the subcommand of that name, or the command that injects the fault of that name."""
        from tools.faults.catalogue import CATALOGUE

        if name in CATALOGUE:
            return f"fault inject {name}"
        groups = [(each, group) for each, group in self.commands.items() if isinstance(group, click.Group)]
        return next((f"{each} {name}" for each, group in groups if name in group.commands), "")


@click.group(
    cls=Operator, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
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
@click.option("--allow-quorum-loss", is_flag=True, help="Let faults break quorum.")
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
            given["prompt"] = _piped_prompt()
        if len(given["prompt"]) > LONGEST_PROMPT:
            raise click.UsageError(
                f"The prompt has more than {LONGEST_PROMPT:,} characters: give a part of it."
            )
        if not given["prompt"].strip():
            raise click.UsageError("The prompt is empty.")
        run_work(context, given, one_request)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("This is no terminal. Give a prompt with -p, or name a command.")
    setup, own = make_setup(context, given)
    if setup.output != "text":
        raise click.UsageError("--output goes with -p and with commands; the chat is for people.")
    from agent.chat.command import chat

    sys.exit(chat(setup, own["resume"]))


def _piped_prompt() -> str:
    """Return what standard input holds; bytes that are no text are shown as such."""
    from agent.view.outlet import tolerant

    try:
        return tolerant(sys.stdin).read(LONGEST_PROMPT + 1)
    except OSError as error:
        raise click.UsageError(f"Standard input cannot be read: {error.strerror}.") from error


cli.params[-1:-1] = shared(*MODEL, *CONSENT, *CLUSTER, *LOAD)
for command in (
    demo.demo,
    deploy.deploy,
    watch.watch,
    describe.describe,
    logs.logs,
    fault.fault,
    restore.restore,
    drill.drill,
    incidents.incidents,
    sessions.sessions,
    replay.replay,
    doctor.doctor,
    config.config,
    mcp.mcp,
):
    cli.add_command(command)


def _add_examples(path: str, command: click.Command) -> None:
    command.epilog = epilog(path)
    for name, below in command.commands.items() if isinstance(command, click.Group) else ():
        _add_examples(f"{path} {name}", below)


_add_examples("operator", cli)


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
    try:
        cli(prog_name="operator")
    except SystemExit as end:
        # click has printed a help to a reader that went away, and calls that a failure.
        if end.code == ExitCode.FAILED and "PacifyFlush" in type(sys.stdout).__name__:
            sys.exit(128 + signal.SIGPIPE)
        raise
