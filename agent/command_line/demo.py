"""`operator demo chaos`."""

from typing import TYPE_CHECKING, Any

import click

from agent.command_line.options import everywhere, placed, run_command

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


@click.group()
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
@click.option("--fault", default="kill", show_default=True, help="A fault that `operator doctor` lists.")
@click.option("--target", default="random", show_default=True, help="random, leader, follower or a node.")
@click.option("--seed", type=int, help="Repeats the random choices.")
@click.option("--pause/--no-pause", default=None, help="Enter between stages (default: on a terminal).")
@click.option("--keep", is_flag=True, help="Leave the cluster up.")
@click.option("--allow-quorum-loss", is_flag=True, help="Let the fault take the majority.")
@click.pass_context
def chaos(context: click.Context, /, **options: Any) -> None:
    """Bring up a cluster, load it, break a store, detect, diagnose and heal it."""
    from tools.faults.catalogue import CATALOGUE

    if options["fault"] not in CATALOGUE:
        raise click.BadParameter(
            f"there is no fault {options['fault']!r}. The faults are: {', '.join(CATALOGUE)}.",
            param_hint="--fault",
        )

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent.chat.asking import press_enter
        from agent.demo.director import Wish
        from agent.headless import demo_chaos

        pausing = view.interactive if options["pause"] is None else options["pause"]
        wish = Wish(
            options["fault"],
            options["target"],
            options["timeout"],
            (lambda text: press_enter(text, view.aside)) if pausing and view.interactive else None,
        )
        return await demo_chaos(setup, view, wish)

    more = {name: options[name] for name in ("seed", "keep", "allow_quorum_loss")}
    run_command(context, "demo chaos", work, interrupted="Demo interrupted", **more)
