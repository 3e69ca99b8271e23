"""`operator mcp`: the tools for other programs."""

import sys
from typing import TYPE_CHECKING, Any

import click

from agent.command_line.options import everywhere, placed, run_command

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


@click.command()
@everywhere
@placed
@click.option("--allow-faults", is_flag=True, help="Offer the tools that act, too: start, kill, heal, stop.")
@click.option("--keep", is_flag=True, help="Leave a cluster up that was started over it.")
@click.pass_context
def mcp(context: click.Context, /, *, allow_faults: bool, keep: bool, **_: Any) -> None:
    """Offer the tools to an MCP client, on standard input and output."""

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent.mcp.server import offer

        return await offer(setup, view, allow_faults=allow_faults)

    # Standard output is the protocol's alone.
    run_command(context, "mcp", work, stream=sys.stderr, keep=keep)
