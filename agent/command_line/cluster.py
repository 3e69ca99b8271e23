"""`operator deploy`, `restore`, `doctor`: the cluster and what was done to it, without a model."""

from typing import TYPE_CHECKING, Any

import click

from agent.command_line.options import everywhere, placed, run_command

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


@click.group()
def deploy() -> None:
    """The cluster itself: up, status, down."""


@deploy.command("up")
@everywhere
@placed
@click.pass_context
def up(context: click.Context, /, **_: Any) -> None:
    """Start the cluster and leave it running."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import deploy as work_of

        return await work_of.up(setup, view)

    run_command(context, "deploy up", work)


@deploy.command("status")
@everywhere
@placed
@click.pass_context
def status(context: click.Context, /, **_: Any) -> None:
    """Show the cluster."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import deploy as work_of

        return await work_of.status(setup, view)

    run_command(context, "deploy status", work, listing=True)


@deploy.command("down")
@everywhere
@placed
@click.pass_context
def down(context: click.Context, /, **_: Any) -> None:
    """Stop the cluster and delete its data."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import deploy as work_of

        return await work_of.down(setup, view)

    run_command(context, "deploy down", work)


@click.command()
@everywhere
@click.pass_context
def restore(context: click.Context, /, **_: Any) -> None:
    """Heal every open fault in the journal. Can be run any number of times."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent import deploy as work_of

        return await work_of.restore(setup, view)

    run_command(context, "restore", work)


@click.command()
@everywhere
@click.pass_context
def doctor(context: click.Context, /, **_: Any) -> None:
    """Show what works here and what doesn't, with the remedy."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent.doctor import doctor as work_of

        return await work_of(setup, view)

    run_command(context, "doctor", work, listing=True)
