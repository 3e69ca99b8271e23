"""The command line: `operator` and its commands. Nothing heavy is imported until a command runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from agent.setup import Setup
    from tools.workbench import Choice

Command = TypeVar("Command", bound=Callable[..., Any])

SUBJECTS = ("auto", "etcd", "tikv")
RUNTIMES = ("auto", "process", "docker")


def everywhere(command: Command) -> Command:
    """Give a command the options that every command has."""
    options = (
        click.option(
            "--model", metavar="NAME", help="Claude model; opus, sonnet, haiku and fable are short names."
        ),
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
            "--max-cost",
            type=click.FloatRange(min=0, min_open=True),
            metavar="USD",
            help="Budget of the session.",
        ),
        click.option(
            "--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Where state is kept."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def placed(command: Command) -> Command:
    """Give a command the options that choose a cluster."""
    options = (
        click.option("--subject", type=click.Choice(SUBJECTS), default="auto", show_default=True),
        click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True),
        click.option(
            "--compose-file", type=click.Path(path_type=Path), help="In place of the one that ships."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


_EVERYWHERE = ("model", "provider", "compat", "offline", "output", "yes", "max_cost", "state_dir")


def _setup(context: click.Context, command: str, **more: Any) -> "Setup":
    """Merge the options given before and after the command's name; the nearest wins."""
    from agent.setup import Setup

    merged: dict[str, Any] = {}
    at: click.Context | None = context
    while at is not None:
        for name in _EVERYWHERE:
            value = at.params.get(name)
            if value and name not in merged:
                merged[name] = value
        at = at.parent
    return Setup(command=command, max_cost_usd=merged.pop("max_cost", None), **merged, **more)


def _choice(options: dict[str, Any]) -> "Choice":
    from subjects.compose_file import check_compose_file
    from tools.workbench import Choice

    compose_file = options.get("compose_file")
    if compose_file is not None:
        check_compose_file(compose_file)
    return Choice(options["subject"], options["runtime"], compose_file)


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
def cli(context: click.Context, /, **options: Any) -> None:
    """An on-call engineer for a distributed database, in a terminal.

    Without a command it opens the chat: type "run the chaos demo".
    """
    if context.invoked_subcommand is not None:
        return
    more = {"keep": options["keep"], "allow_quorum_loss": options["allow_quorum_loss"]}
    if options["prompt"] is not None:
        prompt = sys.stdin.read() if options["prompt"] == "-" else options["prompt"]
        if not prompt.strip():
            raise click.UsageError("The prompt is empty.")
        _run(
            context,
            "prompt",
            lambda setup, view: _headless().one_request(setup, view, prompt),
            options,
            **more,
        )
    _chat(context, options, more)


@cli.group()
def demo() -> None:
    """Show what operator does, on a real cluster."""


@demo.command("chaos")
@everywhere
@placed
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=300),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the detection.",
)
@click.option(
    "--fault", default="kill", show_default=True, help="A fault of the catalogue: see operator doctor."
)
@click.option("--target", default="random", show_default=True, help="random, leader, follower or a node.")
@click.option("--seed", type=int, help="Repeats the random choices.")
@click.option(
    "--pause/--no-pause", default=None, help="Wait for Enter between stages (default: on a terminal)."
)
@click.option("--keep", is_flag=True, help="Leave the cluster up.")
@click.option("--allow-quorum-loss", is_flag=True, help="Let the fault take the majority.")
@click.pass_context
def demo_chaos(context: click.Context, /, **options: Any) -> None:
    """Bring up a cluster, load it, break a store, detect, diagnose and heal it."""
    from agent.demo import Wish
    from tools.faults.catalogue import CATALOGUE

    if options["fault"] not in CATALOGUE:
        raise click.BadParameter(
            f"there is no fault {options['fault']!r}: {', '.join(CATALOGUE)}", param_hint="--fault"
        )

    async def body(setup: "Setup", view: Any) -> dict[str, Any]:
        pausing = view.interactive if options["pause"] is None else options["pause"]
        pause = _pause(view) if pausing else None
        wish = Wish(options["fault"], options["target"], options["timeout"], pause)
        result: dict[str, Any] = await _headless().demo_chaos(setup, view, wish)
        return result

    more = {key: options[key] for key in ("seed", "keep", "allow_quorum_loss")}
    _run(context, "demo chaos", body, options, interrupted="Demo interrupted", **more)


@cli.group()
def deploy() -> None:
    """The cluster itself: up, status, down."""


def _deploy(name: str, text: str) -> None:
    @deploy.command(name, help=text)
    @everywhere
    @placed
    @click.pass_context
    def command(context: click.Context, /, **options: Any) -> None:
        from agent import deploy as work

        _run(context, f"deploy {name}", getattr(work, name), options)


_deploy("up", "Start the cluster and leave it running.")
_deploy("status", "Show the cluster.")
_deploy("down", "Stop the cluster and delete its data.")


@cli.command()
@everywhere
@placed
@click.pass_context
def restore(context: click.Context, /, **options: Any) -> None:
    """Heal every open fault in the journal. Can be run any number of times."""
    from agent import deploy as work

    _run(context, "restore", work.restore, options)


@cli.command()
@everywhere
@placed
@click.pass_context
def doctor(context: click.Context, /, **options: Any) -> None:
    """Show what works here and what doesn't, with the remedy."""
    from agent.doctor import doctor as work

    _run(context, "doctor", work, options)


def _headless() -> Any:
    from agent import headless

    return headless


def _pause(view: Any) -> Callable[[str], Any]:
    from agent.asking import press_enter

    return lambda text: press_enter(text, view.aside)


def _run(
    context: click.Context,
    command: str,
    body: Callable[["Setup", Any], Any],
    options: dict[str, Any],
    *,
    interrupted: str = "Interrupted",
    **more: Any,
) -> None:
    """Run a command to its end and exit with its code."""
    from agent.running import run
    from subjects.errors import SubjectError

    try:
        setup = _setup(context, command, choice=_choice(options), **more)
    except SubjectError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(run(setup, lambda view: body(setup, view), interrupted=interrupted))


def _chat(context: click.Context, options: dict[str, Any], more: dict[str, Any]) -> None:
    from subjects.errors import SubjectError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "This is no terminal: give a prompt with -p, or see operator demo chaos --help."
        )
    try:
        setup = _setup(context, "chat", choice=_choice(options), **more)
    except SubjectError as error:
        raise click.ClickException(str(error)) from error
    from agent.chat import chat

    sys.exit(chat(setup, resume=options["resume"]))


def main() -> None:
    """Run the command line."""
    cli(prog_name="operator")


if __name__ == "__main__":
    main()
