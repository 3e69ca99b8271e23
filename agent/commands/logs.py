"""`operator logs NODE`: a node's own log."""

from typing import TYPE_CHECKING

import click

from agent.commands.command import CLUSTER, Result, command
from agent.commands.parameters import DURATION, NODE
from subjects import clock
from subjects.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.setup import Setup
    from agent.view.base import View
    from subjects.base import LogLine

READ_LINES = 4000
"""Lines that are read for one look at a log."""
FOLLOW_S = 0.5
"""Between two looks of `--follow`."""


@click.command()
@command(*CLUSTER, listing=True)
@click.argument("node", type=NODE)
@click.option("--since", type=DURATION, help="Only lines of that last span: 30s, 10m, 2h.")
@click.option(
    "--tail", "-n", type=click.IntRange(min=0), default=100, show_default=True, help="Lines at most."
)
@click.option(
    "--grep", metavar="TEXT", default="", help="Only lines with this text in them; case is ignored."
)
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines until Ctrl-C.")
async def logs(
    setup: "Setup", view: "View", *, node: str, since: float | None, tail: int, grep: str, follow: bool
) -> Result:
    """Show the end of a node's own log."""
    import asyncio

    from agent.events import Verbatim
    from agent.workbench import opened_workbench
    from tools.cluster import lifecycle

    def show(lines: "Sequence[LogLine]") -> None:
        if lines:
            view.show(Verbatim("\n".join(line.text for line in lines)))

    def matching(lines: "Sequence[LogLine]") -> "list[LogLine]":
        return [line for line in lines if grep.lower() in line.text.lower()]

    async with opened_workbench(setup, view) as workbench:
        if await lifecycle.chosen(workbench) is None:
            raise NotReady("No cluster is running: `operator deploy up` starts one.")
        nodes = workbench.require_cluster().nodes
        name = workbench.require_node(node)
        began = None if since is None else clock.earliest(clock.wall() - since)
        seen = await nodes.logs(name, began, READ_LINES)
        shown = matching(seen)[-tail:] if tail else []
        show(shown)
        while follow:
            await asyncio.sleep(FOLLOW_S)
            now = await nodes.logs(name, began, READ_LINES)
            show(matching(_after(seen, now)))
            seen = now
    return {"node": name, "lines": [line.text for line in shown]}


def _after(seen: "Sequence[LogLine]", now: "Sequence[LogLine]") -> "Sequence[LogLine]":
    """Return what `now` has after the last line of `seen`; all of it where that line is gone."""
    if not seen:
        return now
    for n in range(len(now) - 1, -1, -1):
        if now[n] == seen[-1]:
            return now[n + 1 :]
    return now
