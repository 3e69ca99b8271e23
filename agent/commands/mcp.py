"""`operator mcp`: the tools for other programs."""

import sys
from typing import TYPE_CHECKING

import click

from agent.commands.command import CLUSTER, LOAD, Result, command
from agent.exit_codes import ExitCode

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


@click.command()
@command(*CLUSTER, *LOAD, to_stderr=True)  # standard output is the protocol's alone
@click.option("--allow-faults", is_flag=True, help="Offer the tools that act, too: start, kill, heal, stop.")
@click.option("--keep", is_flag=True, help="Leave a cluster up that was started over it.")
async def mcp(setup: "Setup", view: "View", *, allow_faults: bool) -> Result:
    """Offer the tools to an MCP client, on standard input and output."""
    if sys.stdin.isatty():
        from agent.events import Verbatim

        view.show(Verbatim(_how_to(allow_faults=allow_faults)))
        return {"ok": False, "error": "no MCP client", "exit_code": ExitCode.WRONG_USAGE}
    from agent.mcp.server import offer

    return await offer(setup, view, allow_faults=allow_faults)


def _how_to(*, allow_faults: bool) -> str:
    """Say how a client starts this command, in lines that can be pasted."""
    import json
    import shutil

    words = [shutil.which("operator") or "operator", "mcp", *(["--allow-faults"] if allow_faults else [])]
    config = {"mcpServers": {"operator": {"command": words[0], "args": words[1:]}}}
    return (
        "An MCP client starts this command; nobody types here.\n"
        f"Claude Code: claude mcp add operator -- {' '.join(words)}\n"
        f"Other clients, in their configuration:\n{json.dumps(config, indent=2)}"
    )
