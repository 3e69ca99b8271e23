"""`operator mcp`: the tools for other programs."""

from typing import TYPE_CHECKING

import click

from agent.commands.command import CLUSTER, command

if TYPE_CHECKING:
    from agent.commands.command import Result
    from agent.setup import Setup
    from agent.view.base import View


@click.command()
@command(*CLUSTER, to_stderr=True)  # standard output is the protocol's alone
@click.option("--allow-faults", is_flag=True, help="Offer the tools that act, too: start, kill, heal, stop.")
@click.option("--keep", is_flag=True, help="Leave a cluster up that was started over it.")
async def mcp(setup: "Setup", view: "View", *, allow_faults: bool) -> "Result":
    """Offer the tools to an MCP client, on standard input and output."""
    from agent.mcp.server import offer

    return await offer(setup, view, allow_faults=allow_faults)
